/**
 * What can go wrong, as a stable code (docs/protocol.md §10, and codes of our own). Nothing that was
 * typed or received is ever in it.
 */
export class Failure extends Error {
  constructor(code, members = {}) {
    super(code);
    this.name = "Failure";
    this.code = code;
    this.members = members;
  }
}

/** Throws Failure `code`; usable where an expression is needed. */
export function fail(code, members) {
  throw new Failure(code, members);
}
