import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { find } from "../../api/web/src/client/finding.js";
import { display } from "../../api/web/src/client/identifiers.js";

const { messages } = JSON.parse(readFileSync(new URL("messages.json", import.meta.url), "utf8"));
const MOST_TIME = 5000; // milliseconds, on a machine that does much else

test("there are messages of many sorts", () => {
  assert.ok(messages.length >= 100);
  const scripts = ["Arab", "Beng", "Cyrl", "Deva", "Grek", "Hang", "Hani", "Hebr", "Hira", "Latn"];
  for (const script of [...scripts, "Mymr", "Thai"]) {
    const letters = new RegExp(`\\p{sc=${script}}`, "u");
    assert.ok(
      messages.some(({ text }) => letters.test(text)),
      script,
    );
  }
});

for (const { text, region, found, unread = 0 } of messages) {
  test(`found in its region: ${JSON.stringify(text)}`, () => {
    const all = find(text, region);
    const read = all.filter(({ canonical }) => canonical !== null);
    assert.deepEqual(
      read.map(({ canonical }) => canonical),
      found,
    );
    assert.equal(all.length, found.length + unread);
    for (const { kind, canonical, shown, needsRegion } of all) {
      assert.equal(needsRegion, false);
      assert.equal(shown, canonical && display({ kind, canonical }));
    }
  });

  test(`no region is guessed: ${JSON.stringify(text)}`, () => {
    const later = [];
    for (const one of find(text, null)) {
      assert.ok(text.includes(one.text));
      if (one.needsRegion) {
        assert.deepEqual([one.kind, one.canonical, one.shown], ["phone", null, null]);
        assert.match(one.text, /\p{N}/u);
        later.push(...(region ? find(one.text, region) : []));
      } else {
        later.push(one);
      }
    }
    const read = later.map(({ canonical }) => canonical).filter((one) => one !== null);
    assert.deepEqual([...new Set(read)], found);
  });
}

test("a piece is given as it was pasted", () => {
  const pieces = (text) => find(text, "GB").map((one) => one.text);
  assert.deepEqual(pieces("ring (07700) 900-113!"), ["(07700) 900-113"]);
  assert.deepEqual(pieces("see wa.me/447700900113?text=hi"), ["wa.me/447700900113"]);
  assert.deepEqual(pieces("٠٧٧٠٠ ٩٠٠١١٣ or Quiet@Example.org."), [
    "٠٧٧٠٠ ٩٠٠١١٣",
    "Quiet@Example.org",
  ]);
  assert.deepEqual(pieces("0️⃣7️⃣7️⃣0️⃣0️⃣ 9️⃣0️⃣0️⃣1️⃣1️⃣3️⃣ x"), ["0️⃣7️⃣7️⃣0️⃣0️⃣ 9️⃣0️⃣0️⃣1️⃣1️⃣3️⃣"]);
});

test("what follows ten thousand characters is not read", () => {
  const text = "07700 900113";
  assert.equal(find(" ".repeat(10_000 - text.length) + text, "GB").length, 1);
  assert.equal(find(" ".repeat(10_000) + text, "GB").length, 0);
});

test("no message takes long", () => {
  const pieces = [
    "1 ",
    "0 0 ",
    "12/",
    "a@",
    "a.b@c.",
    "@",
    "+1",
    "£1 ",
    "ﷺ",
    "😀",
    "1.",
    "o1",
    "_",
  ];
  for (const piece of [
    ...pieces,
    "wa.me/447700900113 ",
    "a.bb/",
    "xn--@xn--.",
    "é\u0301",
    "\ud800",
  ]) {
    const start = performance.now();
    find(piece.repeat(10_000), "AR");
    assert.ok(performance.now() - start < MOST_TIME, piece);
  }
});

test("what crosses the end of what is read is read whole, or not at all", () => {
  const whole = "bob.smith@example.com.au";
  for (let before = 10_000 - whole.length - 2; before < 10_002; before += 1) {
    const found = find(`${"x ".repeat(before / 2)}${whole}`, null);
    assert.ok(found.every(({ canonical }) => canonical === whole));
  }
});
