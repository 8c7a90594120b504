/**
 * Payloads with one spelling (docs/protocol.md §7): bytes become a value of a closed shape, the
 * value becomes bytes again, and the two must be equal. This refuses all that JSON.parse lets pass:
 * members twice, floats, escapes, white space.
 *
 * A shape is a pattern for text; a function from what JSON says to the value; `[item, least, most]`
 * for a list; or an object of shapes, in which a name that ends in `?` may be absent.
 */
import { compare, decodeBase64, encodeBase64, equal, utf8 } from "./bytes.js";
import { fail } from "./failures.js";

const malformed = () => fail("malformed");
const LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const HOST = `${LABEL}(\\.${LABEL})*`;

/** An opaque id; a network's; 16 bytes as hex. */
export const ID = /^[a-z0-9-]{1,40}$/;
export const NETWORK = /^[a-z0-9-]{3,40}$/;
export const RID = /^[0-9a-f]{32}$/;

const patterned = (pattern, longest) => (value) =>
  typeof value === "string" && value.length <= longest && pattern.test(value) ? value : malformed();

/** A host name in A-label form; `origin:number`. */
export const host = /* @__PURE__ */ patterned(new RegExp(`^${HOST}$`), 253);
export const logId = /* @__PURE__ */ patterned(new RegExp(`^${HOST}:[1-9][0-9]{0,8}$`), 263);
export const url = /* @__PURE__ */ patterned(
  /^https?:\/\/[a-z0-9.[\]:-]{1,260}(\/[A-Za-z0-9._~-]+)*\/?$/,
  500,
);

/** Calendar days, months and times, as text. */
export const day = (value) => calendar(value, /^\d{4}-\d\d-\d\d$/, "T00:00:00Z");
export const month = (value) => calendar(value, /^\d{4}-\d\d$/, "-01T00:00:00Z");
export const time = (value) => calendar(value, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "");

function calendar(value, pattern, rest) {
  if (typeof value !== "string" || !pattern.test(value) || value.startsWith("0000")) {
    malformed();
  }
  // A day that a month doesn't have rolls over into the next, or is none at all.
  const moment = new Date(value + rest);
  const written = Number.isNaN(moment.getTime()) ? "" : moment.toISOString();
  return written.slice(0, 19) + "Z" === value + rest ? value : malformed();
}

/** Integers that every language reads alike, from 0 and from 1. */
export const count = (value) => (Number.isSafeInteger(value) && value >= 0 ? value : malformed());
export const ordinal = (value) => count(value) || malformed();

/** A key, an element or a SHA-256; a signature. */
export const bytes32 = (value) => decodeBase64(value, 32, 32);
export const bytes64 = (value) => decodeBase64(value, 64, 64);

/** Accepts values that are all different, and returns them. Throws Failure `malformed`. */
export function distinct(values) {
  const texts = new Set(values.map((one) => (typeof one === "string" ? one : encodeBase64(one))));
  return texts.size === values.length ? values : malformed();
}

/** Accepts texts, or byte arrays, each above the one before. Throws Failure `malformed`. */
export function ascending(values) {
  const above = (a, b) => (typeof a === "string" ? a > b : compare(a, b) > 0);
  return values.every((one, i) => i === 0 || above(one, values[i - 1])) ? values : malformed();
}

/**
 * The value of `shape` of which `payload` is the encoding; `check` is given it and may refuse.
 * Throws Failure `malformed` for every other payload, and for one of more than `longest` bytes.
 */
export function decodeStrict(payload, longest, shape, check = () => {}) {
  if (payload.length > longest) {
    malformed();
  }
  let value;
  try {
    value = read(shape, JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)));
  } catch {
    malformed();
  }
  check(value);
  return equal(encodeStrict(value), payload) ? value : malformed();
}

/** `value` as strict JSON: sorted keys, no spaces, bytes as base64, no undefined members. */
export const encodeStrict = (value) => utf8(write(value));

/** What `value`, parsed JSON, is as `shape`. Throws Failure `malformed`. */
export function read(shape, value) {
  if (typeof shape === "function") {
    return shape(value);
  }
  if (shape instanceof RegExp) {
    return patterned(shape, Infinity)(value);
  }
  return Array.isArray(shape) ? readList(shape, value) : readMembers(shape, value);
}

function readList([item, least, most], value) {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    malformed();
  }
  return value.map((one) => read(item, one));
}

function readMembers(shape, value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    malformed();
  }
  const members = {};
  for (const [key, type] of Object.entries(shape)) {
    const name = key.replace("?", "");
    if (Object.hasOwn(value, name)) {
      members[name] = read(type, value[name]);
    } else if (name === key) {
      malformed();
    }
  }
  return Object.keys(value).length === Object.keys(members).length ? members : malformed();
}

function write(value) {
  if (value instanceof Uint8Array) {
    return `"${encodeBase64(value)}"`;
  }
  if (Array.isArray(value)) {
    return `[${value.map(write).join()}]`;
  }
  if (value === null || typeof value !== "object") {
    return JSON.stringify(value);
  }
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `"${name}":${write(value[name])}`)
    .join()}}`;
}
