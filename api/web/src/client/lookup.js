/** The steps of a private look-up (docs/protocol.md §3). */
import { decodeBase64, encodeBase64 } from "./bytes.js";
import { bucketIndex, findEntry, openBucket } from "./crypto/buckets.js";
import { blind, scalarFromUniform, unblind, verifyProof } from "./crypto/oprf.js";
import { stretch } from "./crypto/stretching.js";
import { fail } from "./failures.js";

const MOST_ELEMENTS = 10;
const ETAG = /^"[!#-~]{1,100}"$/;
const EVALUATED = {
  epoch: "integer",
  parts: [{ share: "integer", elements: ["string"], proof: "string" }],
};

/**
 * The tokens of `identifiers` (steps 1 to 3). `random(n)` gives n random bytes, 64 for each blind;
 * `onProgress` is told of `{stage: "stretching", done, of}` and `{stage: "asking"}`.
 * Throws Failure `bad-proof`, and as a session does.
 */
export async function deriveTokens(session, identity, identifiers, random, onProgress) {
  const once = new Map(identifiers.map((one) => [nameOf(one), one]));
  const stretched = [];
  for (const one of once.values()) {
    onProgress({ stage: "stretching", done: stretched.length, of: once.size });
    stretched.push(await stretch(one, identity.network, identity.argon2id));
  }
  onProgress({ stage: "asking" });
  const tokens = [];
  for (let start = 0; start < stretched.length; start += MOST_ELEMENTS) {
    const batch = stretched.slice(start, start + MOST_ELEMENTS);
    tokens.push(...(await evaluated(session, identity, batch, random)));
  }
  const names = [...once.keys()];
  return identifiers.map((one) => tokens[names.indexOf(nameOf(one))]);
}

async function evaluated(session, identity, stretched, random) {
  const blinds = stretched.map(() => scalarFromUniform(random(64)));
  const blinded = stretched.map((x, i) => blind(x, blinds[i]));
  const json = { epoch: identity.epoch, elements: blinded.map(encodeBase64) };
  const answer = await session.message(EVALUATED, "POST", "/v1/evaluations", { json });
  const [part, ...others] = answer.parts;
  if (answer.epoch !== identity.epoch || part?.share !== 0 || others.length > 0) fail("bad-proof");
  try {
    const elements = part.elements.map((text) => decodeBase64(text));
    verifyProof(identity.public_key, blinded, elements, decodeBase64(part.proof));
    return elements.map((one, i) => unblind(one, blinds[i]));
  } catch {
    return fail("bad-proof");
  }
}

/**
 * Sealed buckets of one instance: `find` asks for each again, but it is sent only if it changed;
 * `forget` drops what is held, when the layout has changed.
 */
export function openBuckets(session) {
  const held = new Map();

  /**
   * What the list says about each token, null for no entry (steps 4 to 6). Throws Failure
   * `bucket-…`, `nonsense`, and as a session does.
   */
  async function find(identity, bits, tokens) {
    const { network, epoch } = identity;
    const indices = tokens.map((token) => bucketIndex(token, network, epoch, bits));
    const buckets = new Map();
    // In order of their numbers: which of them was asked for first says nothing then.
    for (const index of [...new Set(indices)].sort((a, b) => a - b)) {
      buckets.set(index, await bucketOf(identity, bits, index));
    }
    return tokens.map((token, i) => {
      const counts = findEntry(buckets.get(indices[i]), token);
      if (counts === null) return null;
      const total = counts.danger + counts.risk + counts.nuisance;
      return total > 0 ? { total: Math.min(total, 255), ...counts } : fail("nonsense");
    });
  }

  async function bucketOf(identity, bits, index) {
    const path = `/v1/buckets/${identity.epoch}/${bits}/${index}`;
    let { etag, file } = held.get(path) ?? { etag: "", file: new Uint8Array() };
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await session.call("GET", path, { headers });
    if (answer.status !== 304) {
      etag = sendable(answer.headers.get("etag") ?? "");
      file = answer.bytes;
    }
    const asked = {
      network: identity.network,
      epoch: identity.epoch,
      bits,
      index,
      logKey: identity.log_key,
      small: identity.network.startsWith("test-"),
    };
    // Also of what was held: that it has not changed does not make it fresh.
    const bucket = session.dated((now) => openBucket(file, { ...asked, now }));
    held.set(path, { etag, file });
    return bucket;
  }

  return { find, forget: () => held.clear() };
}

const nameOf = ({ kind, canonical }) => `${kind}\0${canonical}`;

/** An entity tag (RFC 9110 §8.8.3), or nothing for what can't be sent back. */
const sendable = (text) => (ETAG.test(text) ? text : "");
