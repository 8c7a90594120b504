// Files of secrets under a passphrase: only the passphrase opens them, and only whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { random, utf8 } from "../../api/web/src/client/bytes.js";
import { lock, unlock } from "../../api/web/src/client/crypto/keyfiles.js";
import { rejected } from "./refusals.js";

const PASSPHRASE = "correct horse";
const CHEAP = { m_kib: 8, t: 1 };
const SECRET = utf8("secret");
const counting = (length) => Uint8Array.from({ length }, (_, i) => i);
const FILE = await lock(SECRET, PASSPHRASE, counting, CHEAP);

function altered(changes) {
  const whole = JSON.parse(FILE);
  for (const [name, value] of Object.entries(changes)) {
    (name in whole.argon2id ? whole.argon2id : whole)[name] = value;
  }
  const { argon2id, box, nonce, v, ...more } = whole;
  const { m_kib, p, salt, t } = argon2id;
  const cost = Array.isArray(argon2id) ? argon2id : { m_kib, p, salt, t };
  return JSON.stringify({ argon2id: cost, box, ...more, nonce, v });
}

const malformed = (text) => rejected("malformed", unlock(text, PASSPHRASE));
const wrong = (text, passphrase = PASSPHRASE) =>
  rejected("wrong-passphrase", unlock(text, passphrase));

test("what is locked is unlocked", async () => {
  assert.equal(altered({}), FILE);
  for (const length of [0, 1, 300]) {
    const plaintext = random(length);
    const file = await lock(plaintext, PASSPHRASE, random, CHEAP);
    assert.deepEqual(await unlock(`\n${file}\r\n`, PASSPHRASE), plaintext);
  }
});

test("the usual cost is 64 MiB", async () => {
  const file = await lock(SECRET, PASSPHRASE, random);
  const { m_kib, t, p } = JSON.parse(file).argon2id;
  assert.deepEqual([m_kib, t, p], [65_536, 3, 1]);
  assert.deepEqual(await unlock(file, PASSPHRASE), SECRET);
});

test("a passphrase is the same on every keyboard", async () => {
  const file = await lock(SECRET, "caf\u00e9 \ufb01", random, CHEAP);
  assert.deepEqual(await unlock(file, "cafe\u0301 fi"), SECRET);
});

test("another passphrase opens nothing", async () => {
  for (const passphrase of ["correct house", "Correct horse", "correct horse ", ""]) {
    await wrong(FILE, passphrase);
  }
});

test("an altered box, cost or nonce opens nothing", async () => {
  const { box } = JSON.parse(FILE);
  await wrong(altered({ box: (box[0] === "A" ? "B" : "A") + box.slice(1) }));
  for (const changes of [{ box: "" }, { m_kib: 9 }, { t: 2 }, { nonce: "A".repeat(32) }]) {
    await wrong(altered(changes));
  }
});

test("a file of another shape or price is malformed", async () => {
  for (const changes of [
    { m_kib: 1024 * 1024 + 1 },
    { m_kib: 10 ** 12 },
    { m_kib: 7 },
    { m_kib: 8.5 },
    { m_kib: "8" },
    { m_kib: null },
    { t: 17 },
    { t: 0 },
    { t: true },
    { p: 2 },
    { v: 2 },
    { v: true },
    { salt: "" },
    { salt: "AAAAAAAAAAAAAAAAAAAAAAA=" },
    { nonce: "AAAA" },
    { nonce: 1 },
    { box: "A" },
    { box: "é" },
    { argon2id: [] },
    { extra: 1 },
  ]) {
    await malformed(altered(changes));
  }
  await malformed(FILE.replace('"m_kib":8', '"m_kib":8.0'));
});

test("what is no file is malformed", async () => {
  const large = FILE + " ".repeat(2 ** 20);
  for (const text of [
    "",
    "[]",
    "1",
    "null",
    "[".repeat(100_000),
    "9".repeat(5000),
    FILE + FILE,
    large,
  ]) {
    await malformed(text);
  }
  await malformed(FILE.replace('"v":1', '"v":2,"v":1'));
  await malformed(FILE.replace(",", ", "));
});
