/**
 * Who may sign what: identities and their succession (docs/protocol.md §7). Pure, with time as an
 * argument. Identities are those of identity.js, envelopes as `readEnvelope` returns them.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { compare, concat, encodeBase64, equal } from "./bytes.js";
import { keyId, verify } from "./crypto/envelopes.js";
import { element } from "./crypto/oprf.js";
import { checkCost } from "./crypto/stretching.js";
import { fail } from "./failures.js";
import { IDENTITY_TYPE, decodeIdentity, encodeIdentity } from "./identity.js";

const LIFETIME = 400 * 24 * 3600;
const CLOCK_SKEW = 3600;
const YEARS = { danger: 5, risk: 2, nuisance: 1 };
const SUCCESSORS = {
  active: ["active", "ended", "revoked"],
  ended: ["ended"],
  revoked: ["revoked"],
};

/** `root_sha256`: 32 bytes over the threshold byte and the sorted public keys. */
export const rootFingerprint = ({ threshold, keys }) =>
  sha256(concat(Uint8Array.of(threshold), ...[...keys].sort(compare)));

/**
 * The identity that starts a chain: its root is the one whose fingerprint (32 bytes) is held. Throws
 * Failure `identity-refused`. Whether it is still in force says `checkCurrent`, of the newest.
 */
export function openIdentity(envelope, rootSha256) {
  const identity = decoded(envelope);
  return equal(rootFingerprint(identity.root), rootSha256) && isSigned(envelope, identity.root)
    ? identity
    : fail("identity-refused");
}

/**
 * The identity that follows `pinned`, if it may: it is the next version, names its predecessor, is
 * signed by the thresholds of the old and the new root keys, and keeps what never changes. Throws
 * Failure `identity-refused`.
 */
export function nextIdentity(pinned, envelope) {
  const following = decoded(envelope);
  return following.version === pinned.version + 1 &&
    isSame(following.previous, sha256(encodeIdentity(pinned))) &&
    isSigned(envelope, pinned.root) &&
    isSigned(envelope, following.root) &&
    keepsConstants(pinned, following) &&
    keepsLog(pinned, following) &&
    keepsCollectives(pinned.collectives, following.collectives)
    ? following
    : fail("identity-refused");
}

/**
 * The newest identity of a chain, oldest first; the first has the held fingerprint. Throws Failure
 * `identity-refused`, also for no envelopes at all.
 */
export function followChain([first, ...others], rootSha256) {
  return others.reduce(nextIdentity, openIdentity(first ?? fail("identity-refused"), rootSha256));
}

/**
 * Accepts an identity that is in force at `now`, in Unix seconds. Throws Failure `identity-expired`,
 * `clock-skew` if it was issued over an hour ahead of our clock, or `identity-refused` if it is to
 * last more than 400 days.
 */
export function checkCurrent(identity, now) {
  const [issued, expires] = [identity.issued, identity.expires].map(
    (one) => Date.parse(one) / 1000,
  );
  if (issued > now + CLOCK_SKEW) {
    fail("clock-skew");
  }
  if (!(issued < expires && expires <= issued + LIFETIME)) {
    fail("identity-refused");
  }
  if (expires <= now) {
    fail("identity-expired");
  }
}

/** Who may sign for a collective: nobody if it is unknown or no longer active. */
export const activeModerators = (identity, collective) =>
  identity.collectives
    .filter((one) => one.id === collective && one.status === "active")
    .flatMap((one) => one.moderators.filter(({ status }) => status === "active"));

/** All moderators that a collective has, or had. */
export const moderatorsOf = (identity, collective) =>
  identity.collectives.find((one) => one.id === collective)?.moderators ?? [];

/** The last day, `YYYY-MM-DD`, on which a report of this incident month (`YYYY-MM`) can count. */
export function latestExpiry(month, severity) {
  const [year, number] = month.split("-").map(Number);
  const last = new Date(0);
  last.setUTCFullYear(year + YEARS[severity], number, 0); // day 0 of the next month
  return last.toISOString().slice(0, 10);
}

/** Whether `key` made one of an envelope's signatures, and it is good. */
export function hasSigned(envelope, key) {
  const keyid = keyId(key);
  return envelope.signatures.some((one) => one.keyid === keyid && holds(envelope, key, one.sig));
}

function decoded(envelope) {
  if (envelope.payloadType !== IDENTITY_TYPE) {
    fail("identity-refused");
  }
  try {
    const identity = decodeIdentity(envelope.payload);
    element(identity.public_key);
    checkCost(identity.argon2id, identity.network);
    return identity;
  } catch {
    return fail("identity-refused");
  }
}

/** Whether enough distinct root keys signed; what others signed does not matter. */
const isSigned = (envelope, root) =>
  root.keys.filter((key) => hasSigned(envelope, key)).length >= root.threshold;

function holds({ payloadType, payload }, key, signature) {
  try {
    verify(key, payloadType, payload, signature);
    return true;
  } catch {
    return false;
  }
}

function keepsConstants(old, now) {
  const isKept =
    now.origin === old.origin &&
    now.network === old.network &&
    now.argon2id.m_kib === old.argon2id.m_kib &&
    now.argon2id.t === old.argon2id.t;
  const isNewer = now.epoch > old.epoch;
  return isKept && (isNewer || (now.epoch === old.epoch && isSame(now.public_key, old.public_key)));
}

function keepsLog(old, now) {
  if (now.log === old.log) {
    return isSame(now.log_key, old.log_key);
  }
  const number = Number(old.log.split(":")[1]);
  return now.log === `${now.origin}:${number + 1}` && !isSame(now.log_key, old.log_key);
}

const keepsCollectives = (old, now) =>
  keepsEach(old, now, (was, is) =>
    keepsEach(
      was.moderators,
      is.moderators,
      (before, after) => isSame(after.sign, before.sign) && isSame(after.box, before.box),
    ),
  );

/** Whether all of `old` are among `now`, with a status they may have, and `keeps` says so. */
const keepsEach = (old, now, keeps) =>
  old.every((was) => {
    const is = now.find((one) => one.id === was.id);
    return is !== undefined && SUCCESSORS[was.status].includes(is.status) && keeps(was, is);
  });

const isSame = (a, b) => a !== undefined && encodeBase64(a) === encodeBase64(b);
