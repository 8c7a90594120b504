import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { before } from "node:test";

const PAGE = "../../api/web/src/page/";
const english = await readFile(new URL("../../api/web/languages/en.json", import.meta.url), "utf8");
const arabic = {
  strings: {
    "check.match": "{reports} / {collectives} / {severity}",
    "check.reports": { one: "واحد", two: "اثنان", few: "{n} قليل", many: "{n} كثير", other: "{n}" },
    "check.collectives": { one: "1", other: "{n}" },
    "severity.danger": "خطر",
  },
};
const config = {
  lang: "en",
  languages: [
    { code: "en", name: "English", dir: "ltr", url: "/en" },
    { code: "ar", name: "العربية", dir: "rtl", url: "/ar" },
  ],
};
const NOON = Date.UTC(2026, 9, 9, 12, 0, 30);

let strings;
let wording;
let pieces;

before(async () => {
  process.env.TZ = "UTC";
  globalThis.document = { getElementById: () => ({ textContent: JSON.stringify(config) }) };
  globalThis.fetch = async (url) =>
    new Response(url === "/en" ? english : JSON.stringify(arabic), { status: 200 });
  strings = await import(`${PAGE}strings.js`);
  wording = await import(`${PAGE}wording.js`);
  pieces = await import(`${PAGE}pieces.js`);
  await strings.setLanguage("en");
});

const counts = (danger, risk, nuisance, collectives, recent) => {
  return { total: danger + risk + nuisance, danger, risk, nuisance, collectives, recent };
};

test("a warning is one line, worded as the protocol says", () => {
  assert.equal(
    wording.answer(counts(2, 0, 0, 2, 2)),
    "2 reports from 2 collectives, most serious: danger: do not meet",
  );
  assert.equal(
    wording.answer(counts(0, 1, 0, 1, 0)),
    "1 report from 1 collective, most serious: risk: take care",
  );
  assert.equal(
    wording.answer(counts(0, 0, 3, 1, 0)),
    "3 reports from 1 collective, most serious: nuisance",
  );
});

test("no warning is never worded as safe", () => {
  assert.equal(wording.answer(null), "No warning found. This does not mean safe.");
});

test("plural forms are those of the language", async () => {
  await strings.setLanguage("ar");
  assert.equal(wording.answer(counts(2, 0, 0, 1, 0)), "اثنان / 1 / خطر");
  assert.equal(wording.answer(counts(3, 0, 0, 1, 0)), "3 قليل / 1 / خطر");
  assert.equal(wording.answer(counts(11, 0, 0, 1, 0)), "11 كثير / 1 / خطر");
  await strings.setLanguage("en");
});

test("over the quota one reads when to try again", () => {
  assert.match(
    wording.explain({ code: "rate-limited", members: { seconds: 700 } }, "", NOON),
    /^Too many requests for now. Try again at 12:13\sPM \(in 12 minutes\).$/,
  );
  assert.equal(
    wording.explain({ code: "rate-limited", members: { seconds: null } }),
    "Too many requests for now. Try again later.",
  );
});

test("a wrong clock is named, with how wrong it is", () => {
  const clock = (minutes) => wording.explain({ code: "wrong-clock", members: { minutes } });
  assert.match(clock(5), /ahead by about 5 minutes/);
  assert.match(clock(-190), /behind by about 3 hours/);
  assert.match(clock(4 * 24 * 60), /ahead by about 4 days/);
});

test("a wrong PIN says how many tries are left, and when there are none", () => {
  const wrong = (left) => wording.explain({ code: "wrong-pin", members: { left } });
  assert.match(wrong(3), /3 tries are left/);
  assert.match(wrong(1), /One try is left/);
  assert.match(wrong(0), /deleted/);
});

test("a failure without a sentence of its own is still told", () => {
  assert.equal(wording.explain({ code: "brand-new" }), "Something went wrong (brand-new).");
});

test("a used invitation and a wrong receipt have sentences of their own", () => {
  const sentence = (context) => wording.explain({ code: "not-found" }, context);
  assert.equal(new Set([sentence(""), sentence("sign-in"), sentence("receipt")]).size, 3);
});

test("nothing invites to try again what can't help", () => {
  for (const code of ["offline", "rate-limited", "bad-proof", "bucket-stale", "wrong-clock"]) {
    assert.ok(wording.helpsAgain(code), code);
  }
  for (const code of [
    "identity-refused",
    "substituted",
    "no-worker",
    "no-moderators",
    "forbidden",
  ]) {
    assert.ok(!wording.helpsAgain(code), code);
  }
});

test("months are offered only while a warning about them would still count", () => {
  const risky = wording.months("2026-01-31", "risk");
  assert.deepEqual([risky[0], risky[1], risky.at(-1)], ["2026-01", "2025-12", "2024-01"]);
  assert.equal(wording.months("2026-01-31", "danger").at(-1), "2021-01");
  assert.equal(wording.months("2026-01-31", "nuisance").at(-1), "2025-01");
});

test("a receipt looks like groups of four", () => {
  assert.equal(wording.grouped("0123456789012345"), "0123 4567 8901 2345");
});

const piece = (text, canonical, needsRegion = false) => ({
  kind: "phone",
  text,
  canonical,
  needsRegion,
});

test("all that can be an identifier is chosen, up to what fits", () => {
  const found = [piece("1", "+1"), piece("2", null, true), piece("3", null), piece("4", "+4")];
  const texts = (off, most) =>
    pieces.chosenOf({ pieces: found, off: new Set(off) }, most).map(({ text }) => text);
  assert.deepEqual(texts([], 10), ["1", "2", "4"]);
  assert.deepEqual(texts([], 1), ["1"]);
  assert.deepEqual(texts(["1", "4"], 10), ["2"]);
});
