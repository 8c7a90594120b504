/** Argon2id before the blinding (docs/protocol.md §2): a leaked key and list still cost work a guess. */
import { sha256 } from "@noble/hashes/sha2.js";
import { argon2id as derive } from "hash-wasm";
import { utf8 } from "../bytes.js";
import { fail } from "../failures.js";

// A hostile identity must not be able to exhaust a phone.
const MOST_M_KIB = 1024 * 1024;
const MOST_T = 64;

/**
 * Argon2id v1.3 (RFC 9106) with one lane over bytes: `m_kib` KiB, `t` passes, `length` bytes out.
 * It computes without a pause: for a worker.
 */
export const argon2id = (secret, salt, { m_kib, t }, length) =>
  derive({
    password: secret,
    salt,
    memorySize: m_kib,
    iterations: t,
    parallelism: 1,
    hashLength: length,
    outputType: "binary",
  });

/**
 * Accepts a cost that a network may have; those named `test-…` may be cheap. Throws Failure
 * `weak-cost` or `excessive-cost`.
 */
export function checkCost({ m_kib, t }, network) {
  const [leastMemory, leastPasses] = network.startsWith("test-") ? [8, 1] : [19_456, 2];
  if (m_kib < leastMemory || t < leastPasses) {
    fail("weak-cost");
  }
  if (m_kib > MOST_M_KIB || t > MOST_T) {
    fail("excessive-cost");
  }
}

/** The 16-byte salt of a network id. */
export const networkSalt = (network) =>
  sha256(utf8(`parasol/v1 argon2 salt\0${network}`)).subarray(0, 16);

/** The bytes of an identifier that are stretched. */
export const encodeIdentifier = ({ kind, canonical }) => utf8(`parasol/v1\0${kind}\0${canonical}`);

/**
 * Resolves to the 32 bytes `x` of an identifier `{kind, canonical}` at a network's cost. Throws as
 * `checkCost` does.
 */
export async function stretch(identifier, network, cost) {
  checkCost(cost, network);
  return argon2id(encodeIdentifier(identifier), networkSalt(network), cost, 32);
}
