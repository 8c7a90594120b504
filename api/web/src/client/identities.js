/** From the fingerprint in an invitation to the identity in force (docs/protocol.md §§3, 7). */
import { sha256 } from "@noble/hashes/sha2.js";
import { encodeBase64, fromHex, toHex } from "./bytes.js";
import { readEnvelope } from "./crypto/envelopes.js";
import { fail } from "./failures.js";
import { decodeIdentity, encodeIdentity } from "./identity.js";
import { checkCurrent, followChain, openIdentity, rootFingerprint } from "./trust.js";

const LONGEST_CHAIN = 256;
const MOST_EPOCHS = 2 ** 32;
const PATH = "/v1/identity";

/**
 * The identity in force, verified from the root fingerprint that `profile` holds.
 * Throws Failure `identity-refused`, `identity-older` or `identity-changed` (than the pin),
 * `identity-expired`, `clock-skew`, and as a session does.
 */
export async function fetchIdentity(session, profile) {
  const envelope = await fetchEnvelope(session);
  const newest = claimed(envelope);
  refuseOlder(newest, profile);
  const identity = isHeld(newest, profile)
    ? openIdentity(envelope, fromHex(profile.root))
    : await followed(session, profile, envelope, newest.version);
  if (identity.epoch >= MOST_EPOCHS) fail("identity-refused"); // the look-up writes it as a u32
  session.dated((time) => checkCurrent(identity, time));
  return identity;
}

/** `profile` with a pin on `identity`, and the fingerprint of its root keys. */
export const pinned = (profile, identity) => ({
  ...profile,
  root: toHex(rootFingerprint(identity.root)),
  version: identity.version,
  sha256: hashOf(identity),
});

/**
 * Accepts what `GET /v1/network` says only where it agrees with the signed identity.
 * Throws Failure `substituted`.
 */
export function refuseSubstitutes(info, identity) {
  const { network, epoch, argon2id } = identity;
  const agrees =
    info.public_key === encodeBase64(identity.public_key) &&
    info.log_public_key === encodeBase64(identity.log_key) &&
    info.network === network &&
    info.epoch === epoch &&
    info.argon2id.m_kib === argon2id.m_kib &&
    info.argon2id.t === argon2id.t &&
    info.argon2id.p === 1;
  if (!agrees) fail("substituted");
}

/** Walks back to a version of the root that is held, and follows the signatures from there. */
async function followed(session, profile, envelope, newest) {
  const chain = [envelope];
  const last = Math.max(newest - LONGEST_CHAIN, profile.version ?? 1);
  for (let version = newest - 1; version >= last; version -= 1) {
    const older = await fetchEnvelope(session, { version });
    const identity = claimed(older);
    chain.unshift(older);
    if (isHeld(identity, profile)) {
      refuseOlder(identity, profile);
      return followChain(chain, fromHex(profile.root));
    }
  }
  return fail("identity-refused");
}

async function fetchEnvelope(session, params) {
  const { json } = await session.call("GET", PATH, { params });
  try {
    return readEnvelope(json);
  } catch {
    return fail("no-instance");
  }
}

/** Refuses what can't be, or follow, the identity that was accepted last. */
function refuseOlder(identity, { version, sha256 }) {
  if (version === null) return;
  if (identity.version < version) fail("identity-older");
  const same =
    identity.version === version
      ? hashOf(identity) === sha256
      : identity.version > version + 1 || toHex(identity.previous ?? []) === sha256;
  if (!same) fail("identity-changed");
}

/** What an envelope says before it is known who signed it. */
function claimed(envelope) {
  try {
    return decodeIdentity(envelope.payload);
  } catch {
    return fail("identity-refused");
  }
}

const isHeld = (identity, profile) => toHex(rootFingerprint(identity.root)) === profile.root;

const hashOf = (identity) => toHex(sha256(encodeIdentity(identity)));
