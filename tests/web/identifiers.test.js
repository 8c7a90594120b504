import assert from "node:assert/strict";
import { test } from "node:test";

import { display, parseIdentifier, regions } from "../../api/web/src/client/identifiers.js";
import { vectors } from "./files.js";

const { cases } = vectors("identifiers");
const SECRET = "+447700900123";
const MOST_CHARACTERS = 320;

const phone = (value, region = null) => parseIdentifier("phone", value, region).canonical;
const email = (value) => parseIdentifier("email", value, null).canonical;

function isRefused(kind, value, region = null) {
  assert.throws(
    () => parseIdentifier(kind, value, region),
    (failure) => {
      assert.equal(failure.code, "invalid-identifier");
      assert.deepEqual([failure.message, failure.members], ["invalid-identifier", {}]);
      return failure.cause === undefined;
    },
    JSON.stringify([kind, value, region]),
  );
}

test("every spelling of the vectors has its canonical form, which is its own", () => {
  const accepted = cases.filter(({ canonical }) => canonical !== null);
  assert.ok(accepted.length > 40);
  for (const { kind, value, region, canonical } of accepted) {
    assert.deepEqual(parseIdentifier(kind, value, region), { kind, canonical }, value);
    assert.deepEqual(parseIdentifier(kind, canonical, null), { kind, canonical }, value);
  }
});

test("what the vectors refuse is refused", () => {
  const refused = cases.filter(({ canonical }) => canonical === null);
  assert.ok(refused.length > 15);
  for (const { kind, value, region } of refused) {
    isRefused(kind, value, region);
  }
});

test("surrogates, NUL and what is no text are refused", () => {
  for (const kind of ["phone", "email"]) {
    for (const value of [`\ud800${SECRET}`, `${SECRET}\0`, "a\udc00@example.org", null, 7, {}]) {
      isRefused(kind, value);
    }
  }
});

test("an unknown kind or region is refused", () => {
  for (const kind of ["", "Phone", "name", "phone ", null]) {
    isRefused(kind, SECRET);
  }
  for (const region of ["", "gb", "XX", "001", "GBR", "constructor", "__proto__"]) {
    isRefused("phone", SECRET, region);
  }
});

test("the length is bounded in code points", () => {
  assert.equal(phone(SECRET + " ".repeat(MOST_CHARACTERS - SECRET.length)), SECRET);
  isRefused("phone", SECRET + " ".repeat(MOST_CHARACTERS - SECRET.length + 1));
  // The bound of libphonenumber, 250, comes before that of what is cut off at the end.
  assert.equal(phone(`${SECRET}${"\u{1f600}".repeat(250 - SECRET.length)}`), SECRET);
  isRefused("phone", "7".repeat(10_000_000));
  isRefused("email", "a@".repeat(5_000_000));
});

test("white space is what Python takes for it", () => {
  for (const space of ["\x1c", "\x1f", "\x85", "\u2028", "\ufeff", "\u3000"]) {
    assert.equal(email(`${space}a@example.org${space}`), "a@example.org");
  }
});

test("the digits of every script are digits", () => {
  for (const zero of [0x660, 0x6f0, 0x966, 0xe50, 0x1040, 0xff10, 0x1d7ce]) {
    const written = SECRET.replace(/[0-9]/g, (digit) => String.fromCodePoint(zero + Number(digit)));
    assert.equal(phone(written), SECRET);
  }
  isRefused("phone", `${SECRET.slice(0, -1)}\u{1e953}`); // Adlam: not every browser knows it
});

test("what is percent-encoded in a link is decoded, and what cannot be is no digit", () => {
  assert.equal(phone("https://wa.me/%2B44%207700%20900123"), SECRET);
  assert.equal(phone("https://wa.me/447700900123%FF"), SECRET);
  isRefused("phone", "https://wa.me/%EF%BB%BF447700900123");
  isRefused("phone", "https://wa.me/4477%FF00900123");
});

test("an address is brought into the form that lookups compare", () => {
  assert.equal(email("MAILTO:Quiet.Rowan+x@Example.org?subject=hi"), "quiet.rowan@example.org");
  assert.equal(email("Quiet.Rowan@GoogleMail.com"), "quietrowan@gmail.com");
  assert.equal(email("a@BÜCHER.example"), "a@xn--bcher-kva.example");
  assert.equal(email("a@xn--BCHER-kva.example"), "a@xn--bcher-kva.example");
  assert.equal(email("a@faß.example"), "a@xn--fa-hia.example");
  assert.equal(email("a@例え。テスト.example"), "a@xn--r8jz45g.xn--zckzah.example");
  assert.equal(email("a@שלום.example"), "a@xn--9dbne9b.example");
});

test("a domain that IDNA 2008 does not allow is refused", () => {
  const domains = [
    ...[
      "xn--bcher-kva-.example",
      "xn--a.example",
      "xn--.example",
      "xn---.example",
      "ab--c.example",
    ],
    ...["☃.example", "a·b.example", "͵a.example", "a・.example", "・a.example", "א1ב٣.example"],
    ...["1א.example", "אa.example", "1.אב.org", "\u0301a.example", "a_b.example", "xn--fa-hia-.de"],
    ...[
      "example",
      "example.1",
      "a.test",
      "a.local",
      "a.onion",
      "-a.example",
      "a..example",
      "[::1]",
    ],
    ...[`${"a".repeat(64)}.example`, `${"ö".repeat(60)}.example`, `${"a.".repeat(125)}example`],
  ];
  for (const domain of domains) {
    isRefused("email", `a@${domain}`);
  }
});

test("a person reads a number as it is written where it belongs", () => {
  const shown = { [SECRET]: "+44 7700 900123", "+12025550188": "+1 202-555-0188" };
  for (const [canonical, text] of Object.entries(shown)) {
    assert.equal(display({ kind: "phone", canonical }), text);
    assert.equal(phone(text), canonical);
  }
  assert.equal(display({ kind: "email", canonical: "a@example.org" }), "a@example.org");
});

test("every region can be asked for", () => {
  const all = regions();
  assert.ok(all.length > 240);
  assert.deepEqual(
    all.find(({ region }) => region === "GB"),
    { region: "GB", calling: "44" },
  );
  assert.ok(all.every(({ region }) => phone(SECRET, region) === SECRET));
});
