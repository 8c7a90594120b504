// Documents: one spelling each, and every rule of every member.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64, toHex, utf8 } from "../../api/web/src/client/bytes.js";
import { decode, encode, payloadType } from "../../api/web/src/client/documents.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const VECTORS = vectors("documents-v1");
const TEXTS = Object.fromEntries(
  [VECTORS.identity, ...VECTORS.entries, VECTORS.checkpoint].map((one) => [
    /\.([a-z]+)\.v1/.exec(one.type)[1],
    one.payload_text,
  ]),
);
const [A, B, C, D] = [1, 2, 3, 4].map((n) => encodeBase64(new Uint8Array(32).fill(n)));
const KEYS = { issued: "2026-11-21", origin: "alpha.example", rid: "00".repeat(16) };

/** Strict JSON of what is no longer strict in any other way. */
function written(value) {
  const sorted = (_, one) =>
    one && typeof one === "object" && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one;
  return utf8(JSON.stringify(value, sorted));
}

const changed = (kind, changes) => written({ ...JSON.parse(TEXTS[kind]), ...changes });
const malformed = (kind, payload) => refused("malformed", () => decode(kind, payload));

function allMalformed(kind, list) {
  for (const changes of list) {
    malformed(kind, changed(kind, changes));
  }
}

test("a document is read and written byte for byte", () => {
  for (const [kind, text] of Object.entries(TEXTS)) {
    assert.deepEqual(encode(kind, decode(kind, utf8(text))), utf8(text));
    assert.deepEqual(changed(kind, {}), utf8(text));
  }
  assert.equal(payloadType("erase"), "application/vnd.parasol.erase.v1+json");
});

test("a document is of its own kind, and of a kind there is", () => {
  for (const kind of Object.keys(TEXTS)) {
    for (const other of Object.keys(TEXTS).filter((one) => one !== kind)) {
      malformed(other, utf8(TEXTS[kind]));
    }
    malformed("warning", utf8(TEXTS[kind]));
  }
});

test("what is no object is malformed", () => {
  const long = 4000;
  for (const text of ["", "null", "[]", "1", '"x"', "[".repeat(long), '{"size":'.repeat(500)]) {
    malformed("checkpoint", utf8(text));
  }
  malformed("checkpoint", Uint8Array.of(0xff));
  malformed("checkpoint", utf8(`\ufeff${TEXTS.checkpoint}`));
  malformed("checkpoint", utf8(`{"size":${"9".repeat(long)}}`));
});

test("what is no plain integer is malformed", () => {
  const sizes = ["NaN", "Infinity", "-1", "-0", "4e0", "4.0", "true", '"4"', "null", "04", "[4]"];
  for (const size of [...sizes, String(2 ** 53)]) {
    malformed("checkpoint", utf8(TEXTS.checkpoint.replace('"size":4', `"size":${size}`)));
  }
  assert.equal(decode("checkpoint", changed("checkpoint", { size: 0 })).size, 0);
  assert.equal(
    decode("checkpoint", changed("checkpoint", { size: 2 ** 53 - 1 })).size,
    2 ** 53 - 1,
  );
});

test("an optional member is kept, or left out, and never null", () => {
  malformed("report", changed("report", { replaces: null }));
  assert.deepEqual(
    decode("report", changed("report", { replaces: A })).replaces,
    new Uint8Array(32).fill(1),
  );
  assert.ok(!("replaces" in decode("report", changed("report", {}))));
  const [report, close] = [decode("report", changed("report", {})), written(KEYS)];
  assert.deepEqual(encode("report", { ...report, replaces: undefined }), changed("report", {}));
  assert.deepEqual(encode("close", decode("close", close)), close);
  assert.ok(decode("close", written({ ...KEYS, successor: "alpha.example:2" })).successor);
  malformed("close", written({ ...KEYS, successor: "soon" }));
});

test("members of JavaScript's own are members like others", () => {
  for (const name of ["__proto__", "constructor", "toString"]) {
    malformed("retract", utf8(TEXTS.retract.replace("{", `{"${name}":{},`)));
    malformed("retract", utf8(TEXTS.retract.replace('"reason"', `"${name}"`)));
  }
});

test("a payload over 4 KiB is not read, an identity over 256 KiB neither", () => {
  const targets = Array.from({ length: 65 }, (_, n) => encodeBase64(new Uint8Array(32).fill(n)));
  const erase = { ...KEYS, reason: "legal", targets: targets.slice(0, 64) };
  assert.equal(decode("erase", written(erase)).targets.length, 64);
  malformed("erase", written({ ...erase, targets }));
  const collectives = (count) =>
    Array.from({ length: count }, (_, n) => ({
      id: `collective-${String(n).padStart(5, "0")}`,
      moderators: [],
      status: "active",
    }));
  const large = decode("identity", changed("identity", { collectives: collectives(4000) }));
  assert.equal(large.collectives.length, 4000);
  malformed("identity", changed("identity", { collectives: collectives(5000) }));
  large.collectives.push(...large.collectives);
  refused("malformed", () => encode("identity", large));
});

test("what nobody would read is not written", () => {
  const report = decode("report", utf8(TEXTS.report));
  for (const changes of [
    { more: 1 },
    { epoch: 0 },
    { epoch: 1.5 },
    { rid: undefined },
    { month: null },
    { categories: ["theft", "scam"] },
    { collective: 'a"b' },
    { identifiers: [] },
  ]) {
    refused("malformed", () => encode("report", { ...report, ...changes }));
  }
});

test("a report with one wrong member is malformed", () => {
  const phones = (...tokens) => ({
    identifiers: tokens.map((token) => ({ kind: "phone", token })),
  });
  allMalformed("report", [
    { categories: ["sexual_violence", "condom_violation"] },
    { categories: [] },
    { categories: ["robbery", "scam", "stalking", "theft", "threats"] },
    { categories: ["murder"] },
    { categories: "robbery" },
    { identifiers: [] },
    phones(A, B, C, D, encodeBase64(new Uint8Array(32))),
    phones(encodeBase64(new Uint8Array(31))),
    phones(A, A),
    { identifiers: [{ kind: "name", token: A }] },
    {
      identifiers: [
        { kind: "phone", token: A },
        { kind: "email", token: A },
      ],
    },
    { identifiers: [null] },
    { severity: "grave" },
    { month: "2026-13" },
    { month: "2026-00" },
    { month: "0000-01" },
    { month: "2026-09-01" },
    { expires: "2031-02-29" },
    { expires: "0000-01-01" },
    { expires: "2026-1-01" },
    { issued: "2026-11-20T00:00:00Z" },
    { issued: "٢٠٢٦-01-01" },
    { rid: "60ACE22AC2AF2984EBAE37D6218CC5FA" },
    { rid: "60ace22ac2af2984ebae37d6218cc5f" },
    { epoch: 0 },
    { origin: "alpha.example\n" },
    { origin: "Alpha.example" },
    { origin: "-alpha.example" },
    { origin: "alpha..example" },
    { origin: "alpha.example:1" },
    { origin: `${"a.".repeat(127)}b` },
    { network: "ab" },
    { collective: "Rose" },
    { replaces: "AA==" },
  ]);
});

const collective = (changes) => ({
  id: "rose",
  moderators: [{ id: "rose-a", sign: A, box: B, status: "active", ...changes }],
  status: "active",
});

test("an identity with one wrong member is malformed", () => {
  allMalformed("identity", [
    { version: 0 },
    { log: "beta.example:1" },
    { log: "alpha.example:0" },
    { log: "alpha.example:01" },
    { log: "alpha.example" },
    { expires: "2027-12-27" },
    { expires: "2027-02-30T00:00:00Z" },
    { issued: "2026-11-22T24:00:00Z" },
    { issued: "2016-12-31T23:59:60Z" },
    { issued: "2026-11-22T00:00:00+00:00" },
    { root: { keys: [A], threshold: 0 } },
    { root: { keys: [A], threshold: 2 } },
    { root: { keys: [], threshold: 1 } },
    { root: { keys: [B, A], threshold: 1 } },
    { root: { keys: [A, A], threshold: 1 } },
    { root: [] },
    { http_keys: [B, A] },
    { http_keys: [A, A] },
    { feed: "https://user@alpha.example/" },
    { feed: "https://alpha.example/?x" },
    { feed: "ftp://alpha.example/" },
    { argon2id: { m_kib: 8192, t: 0 } },
    { argon2id: { m_kib: 8192 } },
    { collectives: [collective({ status: "pending" })] },
    { collectives: [collective({ box: A })] },
    { collectives: [collective(), collective({ sign: C })] },
    { collectives: [collective(), { ...collective(), id: "iris" }] },
    { root: { keys: [A], threshold: 1 }, collectives: [collective()] },
    { http_keys: [A], collectives: [collective()] },
    { log_key: A, collectives: [collective()] },
  ]);
});

test("a moderator twice in a collective is malformed", () => {
  const twice = collective();
  twice.moderators.push({ id: "rose-b", sign: C, box: D, status: "active" });
  const read = decode("identity", changed("identity", { collectives: [twice] }));
  assert.equal(read.collectives[0].moderators.length, 2);
  twice.moderators[1].id = "rose-a";
  malformed("identity", changed("identity", { collectives: [twice] }));
});

test("lists that are not sorted keep their order", () => {
  const collectives = JSON.parse(TEXTS.identity).collectives.reverse();
  const identity = decode("identity", changed("identity", { collectives }));
  assert.deepEqual(
    identity.collectives.map((one) => one.id),
    ["rose", "iris"],
  );
  const erase = decode("erase", written({ ...KEYS, reason: "expired", targets: [B, A] }));
  assert.deepEqual(erase.targets.map(toHex), ["02".repeat(32), "01".repeat(32)]);
});

test("other documents with one wrong member are malformed", () => {
  allMalformed("retract", [{ reason: "expired" }, { target: A.slice(1) }, { issued: "" }]);
  const erase = { ...KEYS, reason: "expired", targets: [B, A] };
  for (const changes of [{ targets: [] }, { targets: [A, A] }, { reason: "error" }]) {
    malformed("erase", written({ ...erase, ...changes }));
  }
  allMalformed("checkpoint", [{ log: "beta.example:1" }, { root: A.slice(1) }]);
});

test("a changed byte makes another document, or none", () => {
  for (const [kind, text] of Object.entries(TEXTS)) {
    const payload = utf8(text);
    const step = kind === "identity" ? 7 : 1;
    for (let at = 0; at < payload.length; at += step) {
      const other = payload.map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte));
      try {
        assert.deepEqual(encode(kind, decode(kind, other)), other);
      } catch (failure) {
        assert.equal(failure.code, "malformed");
      }
    }
  }
});
