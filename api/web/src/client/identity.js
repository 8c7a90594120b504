/** The signed description of an instance (docs/protocol.md §7): its keys, network and moderators. */
import { encodeBase64 } from "./bytes.js";
import { fail } from "./failures.js";
import {
  ascending,
  bytes32,
  decodeStrict,
  distinct,
  encodeStrict,
  host,
  ID,
  logId,
  NETWORK,
  ordinal,
  time,
  url,
} from "./strict.js";

export const IDENTITY_TYPE = "application/vnd.parasol.identity.v1+json";
export const IDENTITY_LIMIT = 256 * 1024;

const STATUS = /^(active|ended|revoked)$/;
const SHAPE = {
  version: ordinal,
  origin: host,
  log: logId,
  issued: time,
  expires: time,
  root: { keys: [bytes32, 0, 32], threshold: ordinal },
  log_key: bytes32,
  http_keys: [bytes32, 0, 32],
  network: NETWORK,
  epoch: ordinal,
  public_key: bytes32,
  argon2id: { m_kib: ordinal, t: ordinal },
  collectives: [
    {
      id: ID,
      moderators: [{ id: ID, sign: bytes32, box: bytes32, status: STATUS }, 0, Infinity],
      status: STATUS,
    },
    0,
    Infinity,
  ],
  feed: url,
  "previous?": bytes32,
};

/** The identity that `payload` encodes. Throws Failure `malformed` for every other payload. */
export const decodeIdentity = (payload) => decodeStrict(payload, IDENTITY_LIMIT, SHAPE, check);

/** The one payload of an identity. Throws Failure `malformed` for what is none. */
export function encodeIdentity(identity) {
  const payload = encodeStrict(identity);
  decodeIdentity(payload);
  return payload;
}

/** Accepts a log that is `origin:number`. Throws Failure `malformed`. */
export function checkLog(origin, log) {
  if (log.slice(0, log.lastIndexOf(":")) !== origin) {
    fail("malformed");
  }
}

function check({ root, http_keys, log_key, origin, log, collectives }) {
  if (root.threshold > root.keys.length) {
    fail("malformed");
  }
  ascending(root.keys);
  ascending(http_keys);
  checkLog(origin, log);
  distinct(collectives.map((one) => one.id));
  for (const { moderators } of collectives) {
    distinct(moderators.map((one) => one.id));
  }
  const theirs = collectives.flatMap(({ moderators }) =>
    moderators.flatMap((one) => [one.sign, one.box]),
  );
  distinct(theirs);
  // A key that the server holds must not speak for a moderator.
  const others = new Set([...root.keys, ...http_keys, log_key].map(encodeBase64));
  if (theirs.some((key) => others.has(encodeBase64(key)))) {
    fail("malformed");
  }
}
