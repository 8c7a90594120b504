/** Fingerprints as words, to be compared by voice. */
import { sha256 } from "@noble/hashes/sha2.js";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { concat } from "../bytes.js";

/** The words for a moderator's two public keys, as her device and others show them. */
export const keyWords = (sign, box) => fingerprintWords(sha256(concat(sign, box)));

/** The first 16 bytes of a SHA-256 as 12 words (BIP-39, English), three to a group. */
export function fingerprintWords(digest) {
  const compared = digest.subarray(0, 16);
  const bits = [...concat(compared, sha256(compared))]
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  const words = Array.from(
    { length: 12 },
    (_, i) => wordlist[parseInt(bits.slice(11 * i, 11 * i + 11), 2)],
  );
  return [0, 3, 6, 9].map((start) => words.slice(start, start + 3).join(" ")).join(" / ");
}
