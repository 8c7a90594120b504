// Sealed accounts: only who is named can read, and only what is whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, decodeBase64, fromHex, random, utf8 } from "../../api/web/src/client/bytes.js";
import {
  boxPublic,
  openBox,
  openBoxKey,
  sealAccount,
  sealBoxKey,
} from "../../api/web/src/client/crypto/sealing.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const BLOCK = 4096;
const { sealed: SEALED, box_keys: BOX_KEYS } = vectors("documents-v1");
const KEY = fromHex(SEALED.box_key);
const NONCE = decodeBase64(SEALED.value.nonce);
const BOX = decodeBase64(SEALED.value.box);
const SECRET = fromHex(BOX_KEYS["rose-a"].secret);
const SEALED_KEY = decodeBase64(SEALED.value.keys[0].sealed);

const unreadable = (action) => refused("sealed-unreadable", action);
const changed = (bytes, at) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const reader = () => ({ kid: "kid", box: boxPublic(random(32)) });
const read = ({ nonce, box, keys }, secret, at = 0) =>
  openBox(nonce, box, openBoxKey(keys[at].sealed, secret));

test("what is sealed is read again by each reader", () => {
  const secrets = [random(32), random(32), random(32)];
  const readers = secrets.map((secret, i) => ({ kid: String(i), box: boxPublic(secret) }));
  const parts = sealAccount(utf8("what happened"), readers, random);
  assert.deepEqual(
    parts.keys.map((one) => one.kid),
    ["0", "1", "2"],
  );
  secrets.forEach((secret, i) => assert.deepEqual(read(parts, secret, i), utf8("what happened")));
  unreadable(() => read(parts, random(32)));
  unreadable(() => read(parts, secrets[0], 1));
});

test("the length tells whole blocks only", () => {
  for (const [length, blocks] of [
    [0, 1],
    [1, 1],
    [BLOCK, 1],
    [BLOCK + 1, 2],
    [10 * BLOCK, 10],
  ]) {
    const { box } = sealAccount(new Uint8Array(length).fill(120), [reader()], random);
    assert.equal(box.length, blocks * BLOCK + 16);
  }
});

test("an account is sealed to somebody, to forty at most, and not without end", () => {
  refused("account-too-long", () =>
    sealAccount(new Uint8Array(10 * BLOCK + 1), [reader()], random),
  );
  refused("no-moderators", () => sealAccount(KEY, [], random));
  unreadable(() => sealAccount(KEY, Array.from({ length: 41 }, reader), random));
  assert.equal(sealAccount(KEY, Array.from({ length: 40 }, reader), random).keys.length, 40);
});

test("an empty account is read as empty", () => {
  const secret = random(32);
  const parts = sealAccount(new Uint8Array(0), [{ kid: "kid", box: boxPublic(secret) }], random);
  assert.equal(read(parts, secret).length, 0);
});

test("a changed, shortened or unpadded box is unreadable", () => {
  assert.deepEqual(openBox(NONCE, BOX, KEY), utf8(SEALED.plaintext));
  for (const at of [0, 15, 16, BLOCK + 15]) {
    unreadable(() => openBox(NONCE, changed(BOX, at), KEY));
  }
  for (const length of [0, 15, 16, 17, BLOCK + 15]) {
    unreadable(() => openBox(NONCE, BOX.subarray(0, length), KEY));
  }
  // "short" under the same key and nonce.
  unreadable(() => openBox(NONCE, fromHex("82d9ca21d6354a87191b125b25270a26eb95455985"), KEY));
  unreadable(() => openBox(changed(NONCE, 0), BOX, KEY));
  unreadable(() => openBox(new Uint8Array(23), BOX, KEY));
  unreadable(() => openBox(NONCE, BOX, changed(KEY, 31)));
});

test("a changed box key is unreadable", () => {
  assert.deepEqual(openBoxKey(SEALED_KEY, SECRET), KEY);
  for (let at = 0; at < SEALED_KEY.length; at++) {
    unreadable(() => openBoxKey(changed(SEALED_KEY, at), SECRET));
  }
  for (const sealed of [new Uint8Array(0), SEALED_KEY.subarray(1), concat(SEALED_KEY, KEY)]) {
    unreadable(() => openBoxKey(sealed, SECRET));
  }
  unreadable(() => openBoxKey(new Uint8Array(80), SECRET));
  const short = sealBoxKey(KEY.subarray(1), boxPublic(SECRET), random);
  unreadable(() => openBoxKey(short, SECRET));
});

// Points of small order, to which the shared secret would be zero for everybody.
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

test("nothing is sealed to a key that everybody could open", () => {
  for (const text of SMALL_ORDER) {
    unreadable(() => sealBoxKey(KEY, fromHex(text), random));
    unreadable(() => openBoxKey(concat(fromHex(text), SEALED_KEY.subarray(32)), SECRET));
  }
  unreadable(() => sealBoxKey(KEY, new Uint8Array(31).fill(9), random));
});
