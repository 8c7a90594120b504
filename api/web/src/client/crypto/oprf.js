/**
 * The verifiable oblivious function: RFC 9497, mode 0x01, suite ristretto255-SHA512, the client's
 * side, without the RFC's `Finalize` (docs/protocol.md §2). Elements and tokens are 32 bytes.
 */
import { mulAddUnsafe } from "@noble/curves/abstract/curve.js";
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, utf8 } from "../bytes.js";
import { fail } from "../failures.js";

const { Point } = ristretto255;
const { Fn } = Point;
const MOST = 0xffff;
const CONTEXT = "OPRFV1-\x01-ristretto255-SHA512";

/**
 * The point that 32 bytes encode (RFC 9496 §4.3.1). Throws Failure `invalid-element` unless they are
 * the canonical encoding of one other than the identity.
 */
export function element(bytes) {
  let point;
  try {
    point = Point.fromBytes(bytes);
  } catch {
    fail("invalid-element");
  }
  return point.is0() ? fail("invalid-element") : point;
}

/**
 * A scalar (a bigint) from 64 uniform bytes (RFC 9496 §4.4). Throws Failure `invalid-scalar` for
 * another length or when the result is zero.
 */
export const scalarFromUniform = (bytes) =>
  (bytes.length === 64 && Fn.create(bytesToNumberLE(bytes))) || fail("invalid-scalar");

/** r · HashToGroup(input); `r` is random, secret and used once (RFC 9497 §3.3.2). */
export const blind = (input, r) =>
  ristretto255_hasher
    .hashToCurve(input, { DST: utf8(`HashToGroup-${CONTEXT}`) })
    .multiply(r)
    .toBytes();

/**
 * r⁻¹ · evaluated, the token, once the proof was verified. Throws Failure `invalid-element` for what
 * is none.
 */
export const unblind = (evaluated, r) => element(evaluated).multiply(Fn.inv(r)).toBytes();

/**
 * Accepts a DLEQ proof (64 bytes) that evaluated[i] = k · blinded[i] for the k of `publicKey`
 * (RFC 9497 §2.2.2). Throws Failure `bad-proof` for whatever is wrong with any of the arguments.
 */
export function verifyProof(publicKey, blinded, evaluated, proof) {
  const length = blinded.length;
  if (!length || length !== evaluated.length || length > MOST || proof.length !== 64) {
    fail("bad-proof");
  }
  try {
    const c = Fn.fromBytes(proof.subarray(0, 32));
    if (c !== challenge(publicKey, blinded, evaluated, c, Fn.fromBytes(proof.subarray(32)))) {
      fail("bad-proof");
    }
  } catch {
    fail("bad-proof");
  }
}

function challenge(publicKey, blinded, evaluated, c, s) {
  const weights = composites(publicKey, blinded, evaluated);
  const m = mulAddUnsafe(Point, blinded.map(element), weights);
  const z = mulAddUnsafe(Point, evaluated.map(element), weights);
  // Whoever makes a proof can force the identity here: a value like others (RFC 9497 §2.2.2).
  const t2 = mulAddUnsafe(Point, [Point.BASE, element(publicKey)], [s, c]);
  const t3 = mulAddUnsafe(Point, [m, z], [s, c]);
  const points = [m, z, t2, t3].map((point) => framed(point.toBytes()));
  return hashToScalar(framed(publicKey), ...points, utf8("Challenge"));
}

/** The d_i of RFC 9497 §2.2.1, `ComputeComposites`. */
function composites(publicKey, blinded, evaluated) {
  const seed = framed(sha512(concat(framed(publicKey), framed(utf8(`Seed-${CONTEXT}`)))));
  return blinded.map((before, i) =>
    hashToScalar(seed, u16(i), framed(before), framed(evaluated[i]), utf8("Composite")),
  );
}

const hashToScalar = (...parts) =>
  ristretto255_hasher.hashToScalar(concat(...parts), { DST: utf8(`HashToScalar-${CONTEXT}`) });

const u16 = (n) => Uint8Array.of(n >> 8, n);
const framed = (data) => concat(u16(data.length), data);
