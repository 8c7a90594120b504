/** From an invitation, or an access line, to a Client (docs/protocol.md §5). */
import { formatAccess, isBearer, parseAccess, parseInvitation } from "./bearers.js";
import { Client } from "./client.js";
import { Failure, fail } from "./failures.js";
import { openSession } from "./session.js";

const INVITATION = /https?:\/\/[^\s#]{1,300}\/join#[\w-]{43}\.[0-9a-f]{64}(?![\w-])/i;
const ACCESS = /\bpsl_[md]_[\w-]{43}\.[a-z0-9-]{1,40}\.[0-9a-f]{64}(?![\w-])/;
// After these it is not known whether the identity follows from the root.
const UNDECIDED = new Set(["offline", "unavailable", "internal", "rate-limited", "wrong-clock"]);
const JOINED = {
  token: "string",
  role: /^(member|moderator)$/,
  collective: /^[a-z0-9-]{1,40}$/,
};

/**
 * Signs in with a line, also one with other text around it: an invitation of `environment.address`,
 * or an access line. Returns a Client; `environment` is `{address, fetch, now, random}`. Throws Failure
 * `invalid-invitation`, `other-address {address}`, and as `redeem` and `bring` do.
 */
export async function signIn(text, environment) {
  const [line] = INVITATION.exec(text) ?? [];
  if (line !== undefined) {
    const invitation = parseInvitation(line);
    const address = new URL(invitation.address).origin;
    if (address !== environment.address) fail("other-address", { address });
    return redeem(invitation, environment);
  }
  const [access] = ACCESS.exec(text) ?? fail("invalid-invitation");
  return bring(parseAccess(access), environment);
}

/**
 * Redeems `{code, root}`, with the `keys` of a new moderator (`{sign, box, proof}` in base64) or
 * none. Returns a Client. Throws Failure `moderator-invitation` where keys are needed, and as a
 * session does. If the identity does not follow from the root, it throws as a Client does, and the
 * new token was ended, as far as that was possible; if that can't be told yet, the token stays: the
 * Client verifies the identity before it uses anything of it.
 */
export async function redeem({ code, root }, environment, keys) {
  const session = openSession(environment.address, null, environment);
  const json = keys === undefined ? { code } : { code, keys };
  const joined = await session.message(JOINED, "POST", "/v1/tokens", { json }).catch((refused) => {
    // So an instance refuses a moderator's code without keys; it leaves it usable.
    throw keys || refused.code !== "invalid-request"
      ? refused
      : new Failure("moderator-invitation");
  });
  if (!isBearer(joined.token)) fail("no-instance");
  const client = clientOf({ ...joined, root }, environment);
  try {
    await client.identity();
  } catch (refused) {
    if (!UNDECIDED.has(refused.code)) {
      await client.call("DELETE", "/v1/tokens/current").catch(() => {});
      throw refused;
    }
  }
  return client;
}

/** A Client for the parts of an access line, its identity verified. Throws as a Client does. */
export async function bring(access, environment) {
  const role = access.token.startsWith("psl_d_") ? "moderator" : "member";
  const client = clientOf({ ...access, role }, environment);
  await client.identity();
  return client;
}

/** The line with which this access is taken to another device. */
export const accessLine = ({ profile }) => formatAccess(profile);

const clientOf = ({ token, root, role, collective }, environment) =>
  new Client(
    { address: environment.address, token, root, role, collective, version: null, sha256: null },
    environment,
  );
