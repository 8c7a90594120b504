/** Bearer tokens, invitations and access lines (docs/protocol.md §5). */
import { fail } from "./failures.js";
import { ID } from "./strict.js";

const BEARER = /^psl_[md]_[A-Za-z0-9_-]{43}$/;
const INVITATION = /^([^#]{1,300})\/join#([A-Za-z0-9_-]{43})\.([0-9a-f]{64})$/;
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = `\\[[0-9a-f:.]+\\]|${LABEL}(?:\\.${LABEL})*`;
const ADDRESS = new RegExp(`^(https?)://(${HOST})(?::([1-9][0-9]{0,4}))?$`);
const LOOPBACK = /^127(\.(25[0-5]|(2[0-4]|1\d|[1-9])?\d)){3}$/;

/** Whether `text` has the form of a bearer token. */
export const isBearer = (text) => BEARER.test(text);

/**
 * The parts of `ADDRESS/join#CODE.ROOT`: `{address, code, root}`; scheme and host in lower case,
 * `root` in hex. ADDRESS is https with a host and at most a port; plain http only where nobody is in
 * between: a loopback host, or an onion service, which encrypts by itself. Throws Failure
 * `invalid-invitation` for anything else.
 */
export function parseInvitation(line) {
  const [, given, code, root] = INVITATION.exec(line.trim()) ?? fail("invalid-invitation");
  const address = given.toLowerCase();
  const [, scheme, host, port] = ADDRESS.exec(address) ?? fail("invalid-invitation");
  if (Number(port ?? 1) > 0xffff || (scheme === "http" && !isPrivate(host))) {
    fail("invalid-invitation");
  }
  return { address, code, root };
}

/** The line that `parseInvitation` reads. */
export const formatInvitation = ({ address, code, root }) => `${address}/join#${code}.${root}`;

/**
 * The parts of an access line, `TOKEN.COLLECTIVE.ROOT`: `{token, collective, root}`, with which an
 * access that was redeemed already is taken to another device: all that its holder can't ask for.
 * Throws Failure `invalid-invitation` for anything else.
 */
export function parseAccess(line) {
  const [token, collective, root, ...rest] = line.trim().split(".");
  if (!isBearer(token) || !ID.test(collective) || !/^[0-9a-f]{64}$/.test(root) || rest.length) {
    fail("invalid-invitation");
  }
  return { token, collective, root };
}

/** The line that `parseAccess` reads. */
export const formatAccess = ({ token, collective, root }) => `${token}.${collective}.${root}`;

function isPrivate(host) {
  if (host === "localhost" || host.endsWith(".onion") || LOOPBACK.test(host)) {
    return true;
  }
  // The one loopback address of IPv6 has many spellings.
  try {
    return new URL(`http://${host}`).hostname === "[::1]";
  } catch {
    return false;
  }
}
