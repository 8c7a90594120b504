// Lets the tests in Python use the pages' cryptography: a line of JSON each, `[method, ...params]`
// in, `{value}` or `{failure: code}` out; bytes are base64.
import { createInterface } from "node:readline";
import { parseInvitation } from "../../api/web/src/client/bearers.js";
import { decodeBase64 as bytes, encodeBase64, random } from "../../api/web/src/client/bytes.js";
import { bucketIndex, findEntry, openBucket } from "../../api/web/src/client/crypto/buckets.js";
import {
  entryId,
  keyId,
  publicKey,
  readEnvelope,
  sign,
  verifyBytes,
  writeEnvelope,
} from "../../api/web/src/client/crypto/envelopes.js";
import { proveJoin } from "../../api/web/src/client/crypto/joining.js";
import { lock, unlock } from "../../api/web/src/client/crypto/keyfiles.js";
import {
  blind,
  element,
  scalarFromUniform,
  unblind,
  verifyProof,
} from "../../api/web/src/client/crypto/oprf.js";
import {
  boxPublic,
  openBox,
  openBoxKey,
  sealAccount,
  sealBoxKey,
} from "../../api/web/src/client/crypto/sealing.js";
import { stretch } from "../../api/web/src/client/crypto/stretching.js";
import { keyWords } from "../../api/web/src/client/crypto/words.js";
import { decode, encode } from "../../api/web/src/client/documents.js";
import { Failure } from "../../api/web/src/client/failures.js";
import { openReport, openRetract, signers } from "../../api/web/src/client/trust-reports.js";
import { checkCurrent, followChain, latestExpiry } from "../../api/web/src/client/trust.js";

const CHEAP = { m_kib: 8, t: 1 };
const all = (texts) => texts.map((text) => bytes(text));
const known = (payload) => decode("identity", bytes(payload));

const METHODS = {
  stretch,
  keyWords: (signKey, box) => keyWords(bytes(signKey), bytes(box)),
  latestExpiry,

  element: (text) => element(bytes(text)).toBytes(),
  blind: (input, uniform) => blind(bytes(input), scalarFromUniform(bytes(uniform))),
  unblind: (evaluated, uniform) => unblind(bytes(evaluated), scalarFromUniform(bytes(uniform))),
  verifyProof: (key, blinded, evaluated, proof) =>
    verifyProof(bytes(key), all(blinded), all(evaluated), bytes(proof)),

  bucketIndex: (token, ...where) => bucketIndex(bytes(token), ...where),
  find: (file, asked, token) =>
    findEntry(openBucket(bytes(file), { ...asked, logKey: bytes(asked.logKey) }), bytes(token)),

  seal: (plaintext, readers) =>
    sealAccount(
      bytes(plaintext),
      readers.map(({ kid, box }) => ({ kid, box: bytes(box) })),
      random,
    ),
  sealBoxKey: (key, box) => sealBoxKey(bytes(key), bytes(box), random),
  openBoxKey: (sealed, secret) => openBoxKey(bytes(sealed), bytes(secret)),
  openBox: (nonce, box, key) => openBox(bytes(nonce), bytes(box), bytes(key)),
  boxPublic: (secret) => boxPublic(bytes(secret)),

  lock: (plaintext, passphrase) => lock(bytes(plaintext), passphrase, random, CHEAP),
  unlock,

  publicKey: (seed) => publicKey(bytes(seed)),
  keyId: (key) => keyId(bytes(key)),
  sign: (seed, type, payload) => sign(bytes(seed), type, bytes(payload)),
  verify: (key, message, signature) => verifyBytes(bytes(key), bytes(message), bytes(signature)),
  entryId: (type, payload) => entryId(type, bytes(payload)),
  proveJoin: (seed, code, box) => proveJoin(bytes(seed), code, bytes(box)),

  invitation: parseInvitation,
  document: (kind, payload) => encode(kind, decode(kind, bytes(payload))),
  envelope: (text) => writeEnvelope(readEnvelope(JSON.parse(text))),

  followChain: (envelopes, root) =>
    encode("identity", followChain(envelopes.map(readEnvelope), bytes(root))),
  checkCurrent: (payload, now) => checkCurrent(known(payload), now),
  signers: (envelope, payload, collective) =>
    signers(readEnvelope(envelope), known(payload), collective),
  openReport: (envelope, payload, today) =>
    encode("report", openReport(readEnvelope(envelope), known(payload), today)),
  openRetract: (envelope, payload, today) =>
    encode("retract", openRetract(readEnvelope(envelope), known(payload), today)),
};

async function answer([method, ...params]) {
  try {
    return { value: (await METHODS[method](...params)) ?? null };
  } catch (failure) {
    if (failure instanceof Failure) {
      return { failure: failure.code };
    }
    throw failure;
  }
}

const written = (_, value) => (value instanceof Uint8Array ? encodeBase64(value) : value);

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)), written)}\n`);
}
