import { fail } from "./failures.js";

/** The bytes of `text` in UTF-8. */
export const utf8 = (text) => new TextEncoder().encode(text);

/** All `arrays` in one. */
export function concat(...arrays) {
  const whole = new Uint8Array(arrays.reduce((length, one) => length + one.length, 0));
  let at = 0;
  for (const one of arrays) {
    whole.set(one, at);
    at += one.length;
  }
  return whole;
}

/** Whether both hold the same bytes; not in constant time, for what is public. */
export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Below, above or equal to zero as `a` sorts before, after or like `b`, byte by byte. */
export function compare(a, b) {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 || at >= b.length ? a.length - b.length : a[at] - b[at];
}

/** `data` as lower-case hex. */
export const toHex = (data) =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The bytes of lower-case hex. Throws Failure `malformed`. */
export function fromHex(text) {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) {
    fail("malformed");
  }
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** `n` as four bytes, big-endian. */
export const u32 = (n) => Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n);

/** `n` fresh secret random bytes. */
export const random = (n) => crypto.getRandomValues(new Uint8Array(n));

/** `data` as padded standard base64 (RFC 4648 §4). */
export function encodeBase64(data) {
  let text = "";
  for (const byte of data) {
    text += String.fromCharCode(byte);
  }
  return btoa(text);
}

/**
 * The bytes of `text`, canonical standard base64 (RFC 4648 §§3.5, 4) of `shortest` to `longest`
 * bytes. Throws Failure `malformed` for anything else.
 */
export function decodeBase64(text, shortest = 0, longest = Infinity) {
  // The pattern first: atob() passes over white space and a missing padding.
  if (typeof text !== "string" || text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    fail("malformed");
  }
  const characters = atob(text);
  const data = new Uint8Array(characters.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = characters.charCodeAt(i);
  }
  // Unused bits make several texts of the same bytes.
  if (data.length < shortest || data.length > longest || encodeBase64(data) !== text) {
    fail("malformed");
  }
  return data;
}
