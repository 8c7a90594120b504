/** What an envelope's signatures are over, and whose they are (DSSE v1, RFC 8032). */
import { mulAddUnsafe } from "@noble/curves/abstract/curve.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { concat, decodeBase64, encodeBase64, equal, utf8 } from "../bytes.js";
import { fail } from "../failures.js";
import { bytes32, bytes64, read } from "../strict.js";

const { Point } = ed25519;

/** The bytes that are signed: DSSE v1's pre-authentication encoding. */
export function pae(type, payload) {
  const name = utf8(type);
  return concat(utf8(`DSSEv1 ${name.length} `), name, utf8(` ${payload.length} `), payload);
}

/** The 32-byte id of an entry, which is its Merkle leaf hash (RFC 6962 §2.1). */
export const entryId = (type, payload) => sha256(concat(Uint8Array.of(0), pae(type, payload)));

/** The `keyid` of a raw 32-byte public key: base64 of its SHA-256. */
export const keyId = (publicKey) => encodeBase64(sha256(publicKey));

/** The 32-byte Ed25519 public key of a 32-byte seed. */
export const publicKey = (seed) => ed25519.getPublicKey(seed);

/** The 64-byte Ed25519 signature of a payload by the key of a 32-byte seed. */
export const sign = (seed, type, payload) => signBytes(seed, pae(type, payload));

/** The 64-byte Ed25519 signature of labelled bytes that are no envelope. */
export const signBytes = (seed, message) => ed25519.sign(message, seed);

/** Accepts a signature over a payload. Throws as `verifyBytes` does. */
export function verify(publicKey, type, payload, signature) {
  verifyBytes(publicKey, pae(type, payload), signature);
}

/**
 * Accepts an Ed25519 signature (64 bytes) by a public key (32 bytes) over `message`: the equation
 * without the cofactor, as libsodium has it; the library's own verification is with it.
 * Throws Failure `bad-signature`, also for a key that is no canonical point of the prime-order
 * subgroup.
 */
export function verifyBytes(publicKey, message, signature) {
  if (signature.length !== 64 || !holds(publicKey, message, signature)) {
    fail("bad-signature");
  }
}

function holds(publicKey, message, signature) {
  const r = signature.subarray(0, 32);
  let key, s;
  try {
    key = Point.fromBytes(publicKey); // canonical ones only
    s = Point.Fn.fromBytes(signature.subarray(32)); // below the order only
  } catch {
    return false;
  }
  if (key.is0() || !key.isTorsionFree()) {
    return false;
  }
  const h = Point.Fn.create(bytesToNumberLE(sha512(concat(r, publicKey, message))));
  const expected = mulAddUnsafe(Point, [Point.BASE, key.negate()], [s, h]);
  return !expected.is0() && equal(expected.toBytes(), r);
}

const ENVELOPE = {
  payload: (value) => decodeBase64(value, 0, 256 * 1024),
  payloadType: (value) =>
    typeof value === "string" && [...value].length <= 100 ? value : fail("malformed"),
  // Old and new root keys together, 32 each: more can't count, and each costs a verification.
  signatures: [{ keyid: (value) => bytes32(value) && value, sig: bytes64 }, 1, 64],
};

/**
 * The envelope that `json`, a parsed answer, is: `{payload, payloadType, signatures: [{keyid, sig}]}`
 * with bytes for `payload` and `sig`. Not yet verified. Throws Failure `malformed`.
 */
export const readEnvelope = (json) => read(ENVELOPE, json);

/** What `readEnvelope` reads, to be sent as JSON. */
export const writeEnvelope = ({ payload, payloadType, signatures }) => ({
  payload: encodeBase64(payload),
  payloadType,
  signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: encodeBase64(sig) })),
});
