/**
 * The sealed list that is fetched instead of asking about one person (docs/protocol.md §3). Without
 * the token an entry is noise.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equal, u32, utf8 } from "../bytes.js";
import { fail } from "../failures.js";
import { verifyBytes } from "./envelopes.js";

const MOST_BITS = 8;
const SMALL = 48 * 1024;
const MOST_AGE = 48 * 3600;
const MOST_AHEAD = 3600;

const HEADER = 44;
const ENTRY = 12;
const PREFIX = 7;
const SIGNATURE = 64;

/**
 * The number of a token's bucket: the top `bits` bits of its u32, 0 when there are none. Throws
 * Failure `bucket-bits` outside 0 to 8: a finer cut would tell the instance who is asked about.
 */
export function bucketIndex(token, network, epoch, bits) {
  checkBits(bits);
  const h = hmac(sha512, token, labelled("bucket", network, u32(epoch)));
  return h[0] >> (8 - bits);
}

/**
 * Checks a file as step 6 of §3 asks, before an absent entry means anything. `epoch`, `bits` and
 * `index` are those asked for, `logKey` is the identity's, `now` in Unix seconds, `small` true for
 * networks named `test-…`. Returns the bucket for `findEntry`: `{network, epoch, bits, index, slots,
 * sealed, salt, entries}`, `sealed` in Unix hours. Throws Failure `bucket-malformed`,
 * `bucket-signature`, `bucket-other` (not the bucket asked for), `bucket-bits`, `bucket-small`,
 * `bucket-stale` or `bucket-future`.
 */
export function openBucket(file, { network, epoch, bits, index, logKey, now, small = false }) {
  const bucket = readBucket(file, network);
  const content = file.subarray(0, -SIGNATURE);
  try {
    verifyBytes(logKey, labelled("bucket file", network, content), file.subarray(-SIGNATURE));
  } catch {
    fail("bucket-signature");
  }
  if (bucket.epoch !== epoch || bucket.bits !== bits || bucket.index !== index) {
    fail("bucket-other");
  }
  checkBits(bits);
  if (bits > 0 && file.length <= SMALL && !small) {
    fail("bucket-small");
  }
  const age = now - bucket.sealed * 3600;
  if (age > MOST_AGE) {
    fail("bucket-stale");
  }
  return age < -MOST_AHEAD ? fail("bucket-future") : bucket;
}

/**
 * What a bucket says about a token: `{danger, risk, nuisance, collectives, recent}`, each 0 to 255;
 * null when it has no entry, which is no match.
 */
export function findEntry({ network, epoch, salt, entries }, token) {
  const message = labelled("entry", network, u32(epoch), salt);
  const h = hmac(sha512, token, message);
  for (let at = 0; at < entries.length; at += ENTRY) {
    let i = 0;
    while (i < PREFIX && entries[at + i] === h[i]) {
      i++;
    }
    if (i === PREFIX) {
      const counts = entries.slice(at + PREFIX, at + ENTRY).map((byte, k) => byte ^ h[PREFIX + k]);
      const [danger, risk, nuisance, collectives, recent] = counts;
      return { danger, risk, nuisance, collectives, recent };
    }
  }
  return null;
}

function readBucket(file, network) {
  if (file.length < HEADER + SIGNATURE) {
    fail("bucket-malformed");
  }
  const view = new DataView(file.buffer, file.byteOffset, HEADER);
  const slots = view.getUint32(20);
  const entries = file.subarray(HEADER, -SIGNATURE);
  const isHeader = equal(file.subarray(0, 8), utf8("PARASOL1")) && !file[13] && !view.getUint16(14);
  if (!isHeader || entries.length !== slots * ENTRY || !isSorted(entries)) {
    fail("bucket-malformed");
  }
  return {
    network,
    epoch: view.getUint32(8),
    bits: file[12],
    index: view.getUint32(16),
    slots,
    sealed: view.getUint32(24),
    salt: file.subarray(28, HEADER),
    entries,
  };
}

/** Whether each entry is like the one before it or sorts after. */
function isSorted(entries) {
  for (let at = ENTRY; at < entries.length; at += ENTRY) {
    let i = at;
    while (i < at + ENTRY && entries[i] === entries[i - ENTRY]) {
      i++;
    }
    if (i < at + ENTRY && entries[i] < entries[i - ENTRY]) {
      return false;
    }
  }
  return true;
}

function checkBits(bits) {
  if (!(bits >= 0 && bits <= MOST_BITS)) {
    fail("bucket-bits");
  }
}

/** The parts after "parasol/v1", all separated by a zero byte. */
const labelled = (name, network, ...parts) =>
  concat(
    utf8(`parasol/v1\0${name}\0${network}`),
    ...parts.flatMap((one) => [Uint8Array.of(0), one]),
  );
