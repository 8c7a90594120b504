/**
 * Accounts that only the moderators of the reporter's collective can read (docs/protocol.md §6): the
 * padded plaintext under a random box key (XSalsa20-Poly1305), and that key sealed to each of them
 * (libsodium's crypto_box_seal: X25519, anonymous sender).
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { concat, utf8 } from "../bytes.js";
import { fail } from "../failures.js";

const PADDING = 4096;
const MOST_PLAINTEXT = 10 * PADDING;
const MOST_READERS = 40;
const KEY = 32;
const NONCE = 24;
const TAG = 16;
const SPACE = 0x20;

/**
 * Seals bytes to `readers`, `[{kid, box}]` with their X25519 public keys; `random(n)` gives n random
 * bytes: the box key, the nonce, a key for each reader. Returns `{nonce, box, keys: [{kid, sealed}]}`.
 * Throws Failure `account-too-long` above 40,960 bytes, `no-moderators` without readers,
 * `sealed-unreadable` for an unusable key and for more than 40 readers.
 */
export function sealAccount(plaintext, readers, random) {
  if (plaintext.length > MOST_PLAINTEXT) {
    fail("account-too-long");
  }
  if (!readers.length) {
    fail("no-moderators");
  }
  if (readers.length > MOST_READERS) {
    fail("sealed-unreadable");
  }
  const [key, nonce] = [random(KEY), random(NONCE)];
  // At least one block: the length must not tell an empty account from a short one.
  const blocks = Math.max(1, Math.ceil(plaintext.length / PADDING));
  const padded = new Uint8Array(blocks * PADDING).fill(SPACE);
  padded.set(plaintext);
  return {
    nonce,
    box: xsalsa20poly1305(key, nonce).encrypt(padded),
    keys: readers.map(({ kid, box }) => ({ kid, sealed: sealBoxKey(key, box, random) })),
  };
}

/**
 * What `box` holds, without its padding. Throws Failure `sealed-unreadable` if it is not intact or
 * not a whole number of blocks.
 */
export function openBox(nonce, box, key) {
  if (box.length <= TAG || (box.length - TAG) % PADDING) {
    fail("sealed-unreadable");
  }
  const padded = orUnreadable(() => xsalsa20poly1305(key, nonce).decrypt(box));
  let end = padded.length;
  while (padded[end - 1] === SPACE) {
    end--;
  }
  return padded.subarray(0, end);
}

/**
 * `key` (32 bytes) sealed to an X25519 public key: 80 bytes, with a key of its own from `random(n)`.
 * Also how a moderator lets a colleague who joined later read an account. Throws Failure
 * `sealed-unreadable` for a public key to which nothing can be sealed.
 */
export function sealBoxKey(key, boxPublic, random) {
  const secret = random(KEY);
  const ephemeral = x25519.getPublicKey(secret);
  return concat(ephemeral, cipher(secret, boxPublic, ephemeral, boxPublic).encrypt(key));
}

/**
 * The 32-byte box key sealed to the public key of `boxSecret`. Throws Failure `sealed-unreadable` if
 * it was sealed to somebody else or is not intact.
 */
export function openBoxKey(sealed, boxSecret) {
  if (sealed.length !== KEY + TAG + KEY) {
    fail("sealed-unreadable");
  }
  const ephemeral = sealed.subarray(0, KEY);
  const box = cipher(boxSecret, ephemeral, ephemeral, boxPublic(boxSecret));
  return orUnreadable(() => box.decrypt(sealed.subarray(KEY)));
}

/** The X25519 public key of a 32-byte secret. */
export const boxPublic = (secret) => x25519.getPublicKey(secret);

/** The cipher of crypto_box_seal between `secret` and `theirs`, with the nonce it takes from both. */
function cipher(secret, theirs, ephemeral, recipient) {
  const shared = orUnreadable(() => x25519.getSharedSecret(secret, theirs));
  const key = new Uint32Array(8);
  hsalsa(words(utf8("expand 32-byte k")), words(shared), new Uint32Array(4), key);
  const nonce = blake2b(concat(ephemeral, recipient), { dkLen: NONCE });
  return xsalsa20poly1305(new Uint8Array(key.buffer), nonce);
}

const words = (bytes) => new Uint32Array(bytes.slice().buffer);

function orUnreadable(work) {
  try {
    return work();
  } catch {
    return fail("sealed-unreadable");
  }
}
