/**
 * What a moderator does with her bearer token alone (docs/protocol.md §6; port of
 * `api/moderating/docket.py`): her collective's reports, and the decisions that need no signature.
 * `client` acts as her; all throw as its `call` does.
 */
import { encodeBase64, equal } from "../bytes.js";
import { formatInvitation, parseInvitation } from "../bearers.js";
import { fail } from "../failures.js";
import { mismatch } from "./checks.js";
import { readApproval, readInvitations, readPage, readStatus } from "./messages.js";

const REPORTS = "/v1/moderation/reports";
const PAGE = "100";
const ID = /^[0-9a-f]{32}$/;

/**
 * Her collective's reports, danger first, oldest first: those of a status, by default the open ones;
 * with `token` those that hold it, in any status. Throws also Failure `mismatch` for a queue that has
 * no end, repeats a report, or shows one that does not hold the token.
 */
export async function* queue(client, { status, token } = {}) {
  const params = {
    limit: PAGE,
    ...(status && { status }),
    ...(token && { token: encodeBase64(token) }),
  };
  const seen = new Set();
  for (;;) {
    const page = readPage((await client.call("GET", REPORTS, { params })).json);
    if (page.items.length === 0 && page.next !== undefined) mismatch("queue", "endless");
    for (const item of page.items) {
      if (seen.has(item.id)) mismatch("queue", "repeated");
      seen.add(item.id);
      if (token && !item.identifiers.some((one) => equal(one.token, token))) {
        mismatch("queue", "identifiers");
      }
      yield item;
    }
    if (page.next === undefined) return;
    params.after = page.next;
  }
}

/** Her collective's reports about `{kind, canonical}`, in any status; throws as `tokens` too. */
export async function* find(client, identifier) {
  const [token] = await client.tokens([identifier]);
  yield* queue(client, { token });
}

/** Ends a report unpublished; gives `{status}`, as the next two do. */
export const reject = (client, id, reason) => decide(client, id, "reject", { reason }, readStatus);

/** Ends a report as part of the report `into`, about the same identifier. */
export const merge = (client, id, into) => decide(client, id, "merge", { into }, readStatus);

/** Takes back what is pending: a dispute, or a decision that still lacks a signature. */
export const release = (client, id) => decide(client, id, "release", undefined, readStatus);

/** Sends a decision with an envelope, or none in it; gives `{status, approvals, needed}`. */
export const signOff = (client, id, decision, json) =>
  decide(client, id, decision, json, readApproval);

/** Sends a box key sealed for a colleague; gives `{status}`. */
export const reseal = (client, id, kid, sealed) =>
  decide(client, id, "reseal", { kid, sealed: encodeBase64(sealed) }, readStatus);

/**
 * Invitations for members, `{id, line}`, each with the id by which it can be ended. The line is put
 * together here: from the instance comes only the code, and the address and the root are those that
 * she trusts herself. Throws also Failure `no-instance` for a code that is none.
 */
export async function invite(client, count) {
  const answer = await client.call("POST", "/v1/moderation/invitations", { json: { count } });
  const { address, root } = client.profile;
  return readInvitations(answer.json).invitations.map(({ id, code }) => {
    const line = formatInvitation({ address, code, root });
    try {
      parseInvitation(line);
    } catch {
      fail("no-instance");
    }
    return { id, line };
  });
}

/** Ends a member's token, or an unused code, by the id that came with it. */
export async function endMember(client, id) {
  if (!ID.test(id)) fail("invalid-request");
  await client.call("DELETE", `/v1/moderation/members/${id}`);
}

async function decide(client, id, decision, json, read) {
  return read((await client.call("POST", `${REPORTS}/${id}/${decision}`, { json })).json);
}
