// Signatures: those that libsodium refuses are refused here, and nothing else counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  concat,
  decodeBase64,
  encodeBase64,
  fromHex,
  random,
  toHex,
  utf8,
} from "../../api/web/src/client/bytes.js";
import {
  entryId,
  keyId,
  pae,
  publicKey,
  readEnvelope,
  sign,
  signBytes,
  verify,
  verifyBytes,
  writeEnvelope,
} from "../../api/web/src/client/crypto/envelopes.js";
import { proveJoin } from "../../api/web/src/client/crypto/joining.js";
import { fingerprintWords, keyWords } from "../../api/web/src/client/crypto/words.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const { keys: KEYS, checkpoint: CHECKPOINT } = vectors("documents-v1");
const SEED = fromHex(KEYS.log.seed);
const PUBLIC = decodeBase64(KEYS.log.public);
const TYPE = "application/vnd.parasol.x.v1+json";
const PAYLOAD = utf8("{}");
const SIGNATURE = signBytes(SEED, PAYLOAD);
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const badSignature = (...given) => refused("bad-signature", () => verifyBytes(...given));
const changed = (bytes, at, flip = 1) => bytes.map((byte, i) => (i === at ? byte ^ flip : byte));

test("the encoding is that of DSSE", () => {
  // The example of the specification, protocol.md.
  const expected = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
  assert.deepEqual(pae("http://example.com/HelloWorld", utf8("hello world")), utf8(expected));
  assert.deepEqual(pae("é", utf8("")), utf8("DSSEv1 2 é 0 "));
});

test("what is signed is accepted", () => {
  for (let length = 0; length < 70; length += 7) {
    const [seed, message] = [random(32), random(length)];
    verifyBytes(publicKey(seed), message, signBytes(seed, message));
  }
});

test("a changed bit of a signature, a key or a message is refused", () => {
  for (let at = 0; at < 64; at++) {
    badSignature(PUBLIC, PAYLOAD, changed(SIGNATURE, at, 1 << (at % 8)));
  }
  for (let at = 0; at < 32; at++) {
    badSignature(changed(PUBLIC, at), PAYLOAD, SIGNATURE);
  }
  badSignature(PUBLIC, utf8("{} "), SIGNATURE);
});

test("a signature of another type, payload or key is refused", () => {
  const signature = sign(SEED, TYPE, PAYLOAD);
  verify(PUBLIC, TYPE, PAYLOAD, signature);
  refused("bad-signature", () => verify(PUBLIC, `${TYPE}x`, PAYLOAD, signature));
  refused("bad-signature", () => verify(PUBLIC, TYPE, utf8("[]"), signature));
  refused("bad-signature", () => verify(publicKey(random(32)), TYPE, PAYLOAD, signature));
});

test("other lengths are refused", () => {
  for (const length of [0, 31, 32, 63]) {
    badSignature(PUBLIC, PAYLOAD, SIGNATURE.subarray(0, length));
  }
  badSignature(PUBLIC, PAYLOAD, concat(SIGNATURE, PAYLOAD));
  for (const key of [new Uint8Array(0), PUBLIC.subarray(1), concat(PUBLIC, PAYLOAD)]) {
    badSignature(key, PAYLOAD, SIGNATURE);
  }
});

test("a second number for one signature is refused", () => {
  const [r, s] = [SIGNATURE.subarray(0, 32), SIGNATURE.slice(32).reverse()];
  const other = (BigInt(`0x${toHex(s)}`) + ORDER).toString(16).padStart(64, "0");
  badSignature(PUBLIC, PAYLOAD, concat(r, fromHex(other).reverse()));
});

const SMALL_ORDER = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(fromHex);

test("a key for which anybody can sign is refused", () => {
  // R = A's multiple, S = 0: good for many messages where such keys are accepted.
  for (const key of SMALL_ORDER) {
    badSignature(key, PAYLOAD, concat(SMALL_ORDER[0], new Uint8Array(32)));
  }
});

// The key of SEED plus the point of order two, and signatures by SEED's scalar; libsodium by itself
// accepts the second, whose challenge is even.
const TORSION = {
  key: "7306ab6f0cbec8154d9f5037c81ca6f26d6aaba4b90dfa762b9d7ac6158d3f06",
  signatures: [
    "6df1619a1ef5fc4e53a03ddb1c26f568978415612eae3a3072370898bcd4ba21" +
      "c97b25d27346a1483b4befb28fe0738854206d70e0372a9043ef474da4f70908",
    "bf512469e7f9b766bf5c75e47e84fda3ec887bd24d79b9165c19e01a88fe5f72" +
      "cde593e3d720ab6880f2e9eff36496c9999146402171a4d9b5fe2b3eb4836c0e",
  ],
};
// By SEED over "cofactor", with a point of order eight added to R.
const COFACTORED =
  "a00c3955e6dba6ae0b0cf366795b20a55f50b61b1d9a08a49a743d2831426ced" +
  "533d13d595116633f2125adeb4c4b6eac047e93f2b3a5f33bf0630b2c6449f07";

test("a key with a torsion part is refused", () => {
  const { key, signatures } = TORSION;
  for (const signature of signatures) {
    badSignature(fromHex(key), utf8("torsion"), fromHex(signature));
  }
});

// By SEED over "identity", with the neutral element as R and its challenge's multiple as S.
const NEUTRAL =
  "0100000000000000000000000000000000000000000000000000000000000000" +
  "3127610f73697d5d41824c1f53b34ba6a292318991b6a11bb505846278d96f05";

test("a signature that tells the key is refused", () => {
  badSignature(PUBLIC, utf8("identity"), fromHex(NEUTRAL));
});

test("a signature that holds only with the cofactor is refused", () => {
  badSignature(PUBLIC, utf8("cofactor"), fromHex(COFACTORED));
});

test("an envelope is read and written alike", () => {
  assert.deepEqual(writeEnvelope(readEnvelope(CHECKPOINT.envelope)), CHECKPOINT.envelope);
});

test("an envelope of another shape is malformed", () => {
  const right = CHECKPOINT.envelope;
  const [signature] = right.signatures;
  const { payloadType, ...untyped } = right;
  const wrong = [
    undefined,
    null,
    [],
    "{}",
    {},
    untyped,
    { ...untyped, payload_type: payloadType },
    { ...right, more: 1 },
    { ...right, payload: "AA" },
    { ...right, payload: encodeBase64(new Uint8Array(256 * 1024 + 1)) },
    { ...right, payloadType: 1 },
    { ...right, payloadType: "x".repeat(101) },
    { ...right, signatures: [] },
    { ...right, signatures: {} },
    { ...right, signatures: Array(65).fill(signature) },
    { ...right, signatures: [null] },
    { ...right, signatures: [{ ...signature, more: 1 }] },
    { ...right, signatures: [{ ...signature, keyid: "AAAA" }] },
    { ...right, signatures: [{ ...signature, sig: signature.keyid }] },
  ];
  for (const one of wrong) {
    refused("malformed", () => readEnvelope(one));
  }
  assert.equal(
    readEnvelope({ ...right, signatures: Array(64).fill(signature) }).signatures.length,
    64,
  );
});

test("signatures are outside of an entry's id", () => {
  assert.notDeepEqual(entryId(TYPE, PAYLOAD), entryId(TYPE, utf8("[]")));
  assert.equal(entryId(TYPE, PAYLOAD).length, 32);
});

test("a proof of joining is over the code and both keys", () => {
  const [code, box] = ["A".repeat(43), random(32)];
  const label = utf8(`parasol/v1\0join\0${code}\0`);
  verifyBytes(PUBLIC, concat(label, PUBLIC, box), proveJoin(SEED, code, box));
  badSignature(PUBLIC, concat(label, PUBLIC, random(32)), proveJoin(SEED, code, box));
});

test("a fingerprint is twelve words in groups of three", () => {
  const groups = fingerprintWords(new Uint8Array(32)).split(" / ");
  assert.deepEqual(groups, [...Array(3).fill("abandon abandon abandon"), "abandon abandon about"]);
  // BIP-39's own vector for 16 bytes of 0x7f.
  const words = "legal winner thank / year wave sausage / worth useful legal / winner thank yellow";
  assert.equal(fingerprintWords(new Uint8Array(32).fill(0x7f)), words);
  assert.match(keyWords(PUBLIC, PUBLIC), /^([a-z]+ [a-z]+ [a-z]+( \/ |$)){4}$/);
  assert.equal(keyId(PUBLIC), KEYS.log.keyid);
});
