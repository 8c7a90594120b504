// Punycode (RFC 3492) of labels within the Basic Multilingual Plane.
import { fail } from "./failures.js";

const BASE = 36;
const DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789";
const LAST = 0xffff;

const threshold = (k, bias) => Math.min(Math.max(k - bias, 1), 26);

function adapt(delta, length, isFirst) {
  let rest = Math.floor(delta / (isFirst ? 700 : 2));
  rest += Math.floor(rest / length);
  let k = 0;
  for (; rest > 455; k += BASE) {
    rest = Math.floor(rest / 35);
  }
  return k + Math.floor((BASE * rest) / (rest + 38));
}

/** The punycode of `label`, without `xn--`. */
export function toPunycode(label) {
  const codes = Array.from(label, (character) => character.charCodeAt(0));
  const basic = codes.filter((code) => code < 128);
  let text = String.fromCharCode(...basic) + (basic.length ? "-" : "");
  let [bias, delta, done, next] = [72, 0, basic.length, 128];
  while (done < codes.length) {
    const least = Math.min(...codes.filter((code) => code >= next));
    delta += (least - next) * (done + 1);
    for (const code of codes) {
      delta += code < least ? 1 : 0;
      if (code === least) {
        text += digits(delta, bias);
        bias = adapt(delta, done + 1, done === basic.length);
        delta = 0;
        done += 1;
      }
    }
    delta += 1;
    next = least + 1;
  }
  return text;
}

function digits(delta, bias) {
  let text = "";
  let rest = delta;
  for (let k = BASE; ; k += BASE) {
    const t = threshold(k, bias);
    if (rest < t) {
      return text + DIGITS[rest];
    }
    text += DIGITS[t + ((rest - t) % (BASE - t))];
    rest = Math.floor((rest - t) / (BASE - t));
  }
}

/** What `text`, an ASCII text of at most 63 characters, is the punycode of. Throws Failure `invalid-identifier`. */
export function fromPunycode(text) {
  const basic = text.lastIndexOf("-");
  const codes = Array.from(text.slice(0, Math.max(basic, 0)), (one) => one.charCodeAt(0));
  let [bias, place, next] = [72, 0, 128];
  for (let at = basic + 1; at < text.length;) {
    const before = place;
    for (let weight = 1, k = BASE; ; k += BASE) {
      const digit = DIGITS.indexOf(text[at++]);
      const t = threshold(k, bias);
      place += digit * weight;
      if (digit < 0 || place > LAST * text.length) {
        fail("invalid-identifier");
      }
      if (digit < t) {
        break;
      }
      weight *= BASE - t;
    }
    bias = adapt(place - before, codes.length + 1, before === 0);
    next += Math.floor(place / (codes.length + 1));
    place %= codes.length + 1;
    if (next > LAST) {
      fail("invalid-identifier");
    }
    codes.splice(place++, 0, next);
  }
  return String.fromCharCode(...codes);
}
