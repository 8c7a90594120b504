// Buckets: nothing foreign, old or altered reads as "no warning".
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, equal, fromHex, random, u32, utf8 } from "../../api/web/src/client/bytes.js";
import { bucketIndex, findEntry, openBucket } from "../../api/web/src/client/crypto/buckets.js";
import { publicKey, signBytes } from "../../api/web/src/client/crypto/envelopes.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const LOOKUP = vectors("lookup-v1");
const FILE = fromHex(LOOKUP.bucket.bytes);
const SEED = fromHex(LOOKUP.bucket.log_secret_seed);
const LISTED = LOOKUP.items.find((item) => item.canonical === LOOKUP.bucket.holds);
const SEALED = LOOKUP.bucket.sealed;
const ASKED = {
  network: LOOKUP.network,
  epoch: LOOKUP.epoch,
  bits: LOOKUP.bits,
  index: LISTED.bucket_index,
  logKey: fromHex(LOOKUP.bucket.log_public_key),
  now: SEALED * 3600,
  small: true,
};
const [EPOCH, BITS, RESERVED, INDEX, SLOTS, HOUR, ENTRIES] = [8, 12, 13, 16, 20, 24, 44];

const open = (file, changes) => openBucket(file, { ...ASKED, ...changes });
const refuse = (code, file, changes) => refused(code, () => open(file, changes));
const fileLabel = utf8(`parasol/v1\0bucket file\0${LOOKUP.network}\0`);
const signed = (content) => concat(content, signBytes(SEED, concat(fileLabel, content)));

/** The vectors' file with other bytes, signed again by the log key. */
function altered(at, bytes) {
  const content = FILE.slice(0, -64);
  content.set(bytes, at);
  return signed(content);
}

/** A file of so many random entries, as a client with this layout would receive it. */
function made(bits, slots) {
  const entries = Array.from({ length: slots }, () => random(12)).sort(Buffer.compare);
  const header = [FILE.slice(0, 12), Uint8Array.of(bits, 0, 0, 0), u32(0), u32(slots), u32(SEALED)];
  return signed(concat(...header, random(16), ...entries));
}

test("the file of the vectors is read", () => {
  assert.equal(open(FILE).slots, LOOKUP.bucket.slots);
  assert.deepEqual(findEntry(open(FILE), fromHex(LISTED.token)), LISTED.counts);
});

test("a changed byte anywhere is refused", () => {
  for (let at = 0; at < FILE.length; at++) {
    const file = FILE.slice();
    file[at] ^= 1;
    assert.throws(() => open(file), /^Failure: bucket-(malformed|signature)$/);
  }
});

test("another length is refused", () => {
  for (const file of [
    new Uint8Array(0),
    FILE.subarray(0, 107),
    FILE.subarray(1),
    concat(FILE, FILE),
  ]) {
    refuse("bucket-malformed", file);
  }
  refuse("bucket-malformed", FILE.subarray(0, -12));
});

test("a header of another form is refused, signed or not", () => {
  refuse("bucket-malformed", altered(7, utf8("2")));
  for (const place of [RESERVED, RESERVED + 1, RESERVED + 2]) {
    refuse("bucket-malformed", altered(place, [1]));
  }
  refuse("bucket-malformed", altered(SLOTS, u32(5)));
  refuse("bucket-malformed", altered(SLOTS, u32(0xffffffff)));
});

test("entries out of order are refused", () => {
  refuse(
    "bucket-malformed",
    altered(
      ENTRIES,
      FILE.subarray(ENTRIES + 12, ENTRIES + 24).map((byte, i) => (i === 0 ? byte + 1 : byte)),
    ),
  );
  const [first, second] = [
    FILE.slice(ENTRIES, ENTRIES + 12),
    FILE.slice(ENTRIES + 12, ENTRIES + 24),
  ];
  refuse("bucket-malformed", altered(ENTRIES, concat(second, first)));
  assert.ok(open(altered(ENTRIES + 12, first)));
});

test("another bucket than the one asked for is refused", () => {
  refuse("bucket-other", FILE, { epoch: 2 });
  refuse("bucket-other", FILE, { bits: 3 });
  refuse("bucket-other", FILE, { index: 9 });
  refuse("bucket-other", altered(EPOCH, u32(2)));
  refuse("bucket-other", altered(BITS, [3]));
  refuse("bucket-other", altered(INDEX, u32(7)));
});

test("a bucket of another network or another log is refused", () => {
  refuse("bucket-signature", FILE, { network: "test-other" });
  refuse("bucket-signature", FILE, { logKey: publicKey(random(32)) });
  refuse("bucket-signature", FILE, { logKey: new Uint8Array(32) });
});

test("a finer cut than 8 bits is refused, before and after it was asked for", () => {
  refuse("bucket-bits", altered(BITS, [9]), { bits: 9 });
  for (const bits of [9, 255, -1, NaN, undefined]) {
    refused("bucket-bits", () => bucketIndex(fromHex(LISTED.token), "test-network", 1, bits));
  }
});

test("a bucket singled out by its size is refused where there is more than one", () => {
  const large = Math.ceil((48 * 1024 - 108) / 12) + 1;
  refuse("bucket-small", FILE, { small: false });
  refuse("bucket-small", made(1, large - 1), { bits: 1, index: 0, small: false });
  assert.equal(open(made(1, large), { bits: 1, index: 0, small: false }).slots, large);
  assert.equal(open(made(0, 256), { bits: 0, index: 0, small: false }).slots, 256);
});

test("a bucket is good for 48 hours, and an hour ahead of the clock", () => {
  const sealed = SEALED * 3600;
  assert.ok(open(FILE, { now: sealed + 48 * 3600 }));
  refuse("bucket-stale", FILE, { now: sealed + 48 * 3600 + 1 });
  assert.ok(open(FILE, { now: sealed - 3600 }));
  refuse("bucket-future", FILE, { now: sealed - 3601 });
  refuse("bucket-stale", altered(HOUR, u32(0)));
});

test("no entry is no match", () => {
  assert.equal(findEntry(open(FILE), random(32)), null);
  for (const item of LOOKUP.items.filter((one) => one !== LISTED)) {
    assert.equal(findEntry(open(FILE), fromHex(item.token)), null);
  }
});

test("every entry is found wherever it stands", () => {
  const [network, epoch, salt] = [LOOKUP.network, LOOKUP.epoch, fromHex(LOOKUP.bucket_salt)];
  const all = LOOKUP.items.map((item) => fromHex(item.entry)).sort(Buffer.compare);
  for (const { token, counts_bytes } of LOOKUP.items) {
    const found = findEntry({ network, epoch, salt, entries: concat(...all) }, fromHex(token));
    assert.ok(equal(Uint8Array.from(Object.values(found)), fromHex(counts_bytes)));
  }
});
