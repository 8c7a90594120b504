import assert from "node:assert/strict";

/** Asserts that `action` throws a Failure of this code, which says nothing else. */
export function refused(code, action) {
  assert.throws(action, { name: "Failure", code, message: code, members: {} });
}

/** Asserts the same of what a promise rejects with. */
export async function rejected(code, promise) {
  await assert.rejects(promise, { name: "Failure", code, message: code, members: {} });
}
