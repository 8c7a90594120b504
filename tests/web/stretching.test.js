// Argon2id: a network's cost has bounds, and identifiers that differ never look alike.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "../../api/web/src/client/bytes.js";
import {
  argon2id,
  checkCost,
  encodeIdentifier,
  networkSalt,
  stretch,
} from "../../api/web/src/client/crypto/stretching.js";
import { refused, rejected } from "./refusals.js";

const CHEAP = { m_kib: 8, t: 1 };
const PHONE = { kind: "phone", canonical: "+447700900113" };

test("a cost that costs nothing is refused outside of tests", () => {
  for (const [m_kib, t] of [
    [19_455, 2],
    [19_456, 1],
    [8, 1],
  ]) {
    refused("weak-cost", () => checkCost({ m_kib, t }, "demo"));
  }
  refused("weak-cost", () => checkCost({ m_kib: 7, t: 1 }, "test-network"));
  refused("weak-cost", () => checkCost({ m_kib: 8, t: 0 }, "test-network"));
  checkCost({ m_kib: 19_456, t: 2 }, "demo");
  checkCost(CHEAP, "test-network");
});

test("a cost that would exhaust a phone is refused", () => {
  for (const network of ["demo", "test-network"]) {
    refused("excessive-cost", () => checkCost({ m_kib: 1024 * 1024 + 1, t: 3 }, network));
    refused("excessive-cost", () => checkCost({ m_kib: 65_536, t: 65 }, network));
    checkCost({ m_kib: 1024 * 1024, t: 64 }, network);
  }
});

test("nothing is stretched at a cost that is refused", async () => {
  await rejected("weak-cost", stretch(PHONE, "demo", CHEAP));
});

test("kinds, identifiers and networks are kept apart", async () => {
  const asMail = { ...PHONE, kind: "email" };
  const outputs = [
    await stretch(PHONE, "test-one", CHEAP),
    await stretch(PHONE, "test-two", CHEAP),
    await stretch(asMail, "test-one", CHEAP),
  ].map(toHex);
  assert.equal(new Set(outputs).size, 3);
  assert.equal(toHex(await stretch({ ...PHONE }, "test-one", CHEAP)), outputs[0]);
  assert.deepEqual(encodeIdentifier(PHONE), utf8("parasol/v1\0phone\0+447700900113"));
  assert.equal(networkSalt("test-one").length, 16);
});

test("the greatest memory that is allowed can be had", { timeout: 60_000 }, async () => {
  const cost = { m_kib: 1024 * 1024, t: 1 };
  assert.equal((await argon2id(utf8("x"), new Uint8Array(16), cost, 32)).length, 32);
});
