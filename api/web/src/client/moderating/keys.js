/** A moderator's keys, made and kept on her own device (docs/protocol.md §7). */
import { encodeBase64 } from "../bytes.js";
import { keyId, publicKey, sign } from "../crypto/envelopes.js";
import { proveJoin } from "../crypto/joining.js";
import { lock, unlock } from "../crypto/keyfiles.js";
import { boxPublic } from "../crypto/sealing.js";
import { keyWords } from "../crypto/words.js";
import { fail } from "../failures.js";
import { bytes32, encodeStrict, ordinal, read } from "../strict.js";

const SHORTEST_PASSPHRASE = 12;
const SECRET = 32;
const CONTENTS = { v: ordinal, sign: bytes32, box: bytes32 };

/** New keys, as `keysOf` returns them; `random(n)` gives n secret random bytes. */
export const generateKeys = (random) => keysOf(random(SECRET), random(SECRET));

/**
 * Her two secrets, the Ed25519 seed `sign` and the X25519 secret `box`, with what follows from them:
 * `publicSign`, `publicBox`, `kid` and `words`, the fingerprint that the operator compares.
 */
function keysOf(seed, secret) {
  const [publicSign, publicBox] = [publicKey(seed), boxPublic(secret)];
  const words = keyWords(publicSign, publicBox);
  return { sign: seed, box: secret, publicSign, publicBox, kid: keyId(publicSign), words };
}

/** The text of a key file, `{"box","sign","v":1}` locked. Throws Failure `weak-passphrase`. */
export async function lockKeys({ sign, box }, passphrase, random) {
  // Code points, as the command line counts.
  if ([...passphrase].length < SHORTEST_PASSPHRASE) fail("weak-passphrase");
  return lock(encodeStrict({ box, sign, v: 1 }), passphrase, random);
}

/** The keys of a key file. Throws Failure `wrong-passphrase` or `malformed`. */
export async function unlockKeys(text, passphrase) {
  const contents = parsed(await unlock(text, passphrase));
  return contents.v === 1 ? keysOf(contents.sign, contents.box) : fail("malformed");
}

/** Her public keys and the proof with which she redeems `code` (§5), in base64. */
export const prove = (keys, code) => ({
  sign: encodeBase64(keys.publicSign),
  box: encodeBase64(keys.publicBox),
  proof: encodeBase64(proveJoin(keys.sign, code, keys.publicBox)),
});

/** Her signature over a payload, for an envelope. */
export const signatureOf = (keys, type, payload) => ({
  keyid: keys.kid,
  sig: sign(keys.sign, type, payload),
});

function parsed(plaintext) {
  try {
    return read(CONTENTS, JSON.parse(new TextDecoder().decode(plaintext)));
  } catch {
    return fail("malformed"); // a parser's own message would quote the secrets
  }
}
