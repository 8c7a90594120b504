/**
 * Files of secrets under a passphrase (docs/protocol.md §7), as the command line writes and reads
 * them: one line of strict JSON; the box is XSalsa20-Poly1305 (tag, then ciphertext) under Argon2id
 * of the passphrase in NFKC.
 */
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { decodeBase64, utf8 } from "../bytes.js";
import { fail } from "../failures.js";
import { count, decodeStrict, encodeStrict } from "../strict.js";
import { argon2id } from "./stretching.js";

const USUAL_COST = { m_kib: 64 * 1024, t: 3 };
const SALT = 16;
const NONCE = 24;
const KEY = 32;
const LONGEST = 1024 * 1024;

// A file may come from somebody who wants this device to stand still.
const between = (least, most) => (value) =>
  count(value) >= least && value <= most ? value : fail("malformed");
const bytesOf = (length) => (value) => decodeBase64(value, length, length);
const SHAPE = {
  argon2id: {
    m_kib: between(8, 1024 * 1024),
    p: between(1, 1),
    salt: bytesOf(SALT),
    t: between(1, 16),
  },
  box: (value) => decodeBase64(value),
  nonce: bytesOf(NONCE),
  v: between(1, 1),
};

/**
 * Resolves to the text of a file that holds `plaintext`; `random(n)` gives n random bytes: 16 of
 * salt, then 24 of nonce. The passphrase must not be empty.
 */
export async function lock(plaintext, passphrase, random, cost = USUAL_COST) {
  const [salt, nonce] = [random(SALT), random(NONCE)];
  const key = await keyOf(passphrase, salt, cost);
  const box = xsalsa20poly1305(key, nonce).encrypt(plaintext);
  const { m_kib, t } = cost;
  const file = encodeStrict({ argon2id: { m_kib, p: 1, salt, t }, box, nonce, v: 1 });
  return new TextDecoder().decode(file);
}

/**
 * Resolves to what a file holds; white space around it is ignored. Throws Failure `malformed` for
 * what is no such file, or asks for more than 1 GiB, 16 passes; `wrong-passphrase` for another
 * passphrase or an altered file.
 */
export async function unlock(text, passphrase) {
  if (text.length > LONGEST) {
    fail("malformed");
  }
  const { argon2id: cost, box, nonce } = decodeStrict(utf8(text.trim()), LONGEST, SHAPE);
  const key = passphrase && (await keyOf(passphrase, cost.salt, cost));
  try {
    return xsalsa20poly1305(key, nonce).decrypt(box);
  } catch {
    return fail("wrong-passphrase");
  }
}

const keyOf = (passphrase, salt, cost) =>
  argon2id(utf8(passphrase.normalize("NFKC")), salt, cost, KEY);
