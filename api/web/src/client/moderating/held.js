/**
 * What is held of partners' reports (docs/protocol.md §6): moderators of every collective decide, with
 * their bearer token alone. `client` acts as her; all throw as its `call` does.
 */
import { mismatch } from "./checks.js";
import { readHeld, readHeldAnswer } from "./messages.js";

const HELD = "/v1/moderation/held";
const PAGE = "100";

/**
 * `{items, more}`: the first of what waits, danger first, oldest first, and whether there is more.
 * Throws also Failure `mismatch` for a list that repeats a report.
 */
export async function held(client) {
  const { items, next } = readHeld(
    (await client.call("GET", HELD, { params: { limit: PAGE } })).json,
  );
  if (new Set(items.map((one) => one.entry)).size < items.length) mismatch("held", "repeated");
  return { items, more: next !== undefined };
}

/** Accepts or refuses a report, or its erasure, as what `item` shows it; gives `{decision}`. */
export async function decideHeld(client, { entry, kind }, accept) {
  const path = `${HELD}/${entry}/${accept ? "accept" : "refuse"}`;
  return readHeldAnswer((await client.call("POST", path, { json: { kind } })).json);
}
