import { isKnown, readAddress } from "./emails.js";
import { fail } from "./failures.js";
import { international, isPossible, isRegion, readNumber, regions } from "./phones.js";

export { regions };

const MOST_CHARACTERS = 320;

// A round takes off a leading zero or folds: no number has digits for so many; it must only end.
const MOST_ROUNDS = 32;

// What Python takes for white space, and JavaScript only nearly.
const SPACE =
  "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const SPACE_AROUND = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");

const WHATSAPP =
  /^(?:(?:https?:\/\/)?(?:www\.)?wa\.me\/|whatsapp:\/\/send\?phone=|https?:\/\/(?:www\.)?api\.whatsapp\.com\/send\?phone=)/i;
const PHONE_SCHEME = /^(?:tel|sms|smsto):/i;
const MAIL_SCHEME = /^mailto:/i;
const EXTENSION = new RegExp(
  `(?:;ext=|(?:extens[iİı]on|ext|x|#)\\.?)${SPACE}*[0-9]{1,7}${SPACE}*$`, // Python's /i folds i so
  "i",
);
// Which digits there are beyond the first plane depends on the age of a browser; these it has long.
const UNSURE_DIGIT = /(?![\u{1d7ce}-\u{1d7ff}\u{1fbf0}-\u{1fbf9}])(?=\p{Nd})[^\0-\uffff]/u;
// Argentina's mobile 9, Mexico's old mobile 1, Brazil's ninth digit.
const FOLDS = [
  [/^\+549([0-9]{10})$/, "+54$1"],
  [/^\+521([0-9]{10})$/, "+52$1"],
  [/^\+55([0-9]{2})([6-9][0-9]{7})$/, "+55$19$2"],
];

/**
 * Brings `value` into canonical form (docs/protocol.md §1; port of `api/crypto/identifiers.py`).
 * `kind` is `phone` or `email`; `region` is the upper-case ISO 3166 code in which a national number
 * is to be read, or null; mail addresses ignore it. Returns `{kind, canonical}`.
 * Throws Failure `invalid-identifier`.
 */
export function parseIdentifier(kind, value, region) {
  if (typeof value !== "string" || value.length > 2 * MOST_CHARACTERS) {
    fail("invalid-identifier");
  }
  // A lone surrogate is a character of its own only to patterns that know Unicode.
  if ([...value].length > MOST_CHARACTERS || /[\0\p{Cs}]/u.test(value)) {
    fail("invalid-identifier");
  }
  if (kind === "phone") {
    return { kind, canonical: phone(value, region ?? null) };
  }
  if (kind === "email" && isKnown(value)) {
    return { kind, canonical: email(plain(value)) };
  }
  return fail("invalid-identifier");
}

/** An identifier as people read it: a number with its usual spaces, an address as it is. */
export const display = ({ kind, canonical }) =>
  kind === "phone" ? international(canonical) : canonical;

const plain = (text) =>
  text
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .replace(SPACE_AROUND, "");

function settle(step, text) {
  for (let round = 0, before; round < MOST_ROUNDS; round++) {
    [before, text] = [text, step(text)];
    if (text === before) {
      return text;
    }
  }
  return fail("invalid-identifier");
}

function phone(value, region) {
  if (region !== null && !isRegion(region)) {
    fail("invalid-identifier");
  }
  let text = plain(value);
  const link = WHATSAPP.exec(text);
  if (link) {
    text = unquote(text.slice(link[0].length)).split(/[?&/]/, 1)[0];
    [text, region] = [`+${text.replace(/^\+/, "")}`, null];
  } else {
    text = text.replace(PHONE_SCHEME, "").split("?", 1)[0];
  }
  if (region === null) {
    text = text.replace(/^00/, "+");
  }
  text = text.replace(EXTENSION, "");
  // Vanity letters, `;phone-context=` and a number within a sentence would all be read.
  if (/\p{L}/u.test(text) || UNSURE_DIGIT.test(value) || UNSURE_DIGIT.test(text)) {
    fail("invalid-identifier");
  }
  const canonical = settle((number) => written(number, null), written(text, region));
  return isPossible(canonical) ? canonical : fail("invalid-identifier");
}

function written(text, region) {
  const number = readNumber(text, region);
  const fold = FOLDS.find(([pattern]) => pattern.test(number));
  return fold ? number.replace(...fold) : number;
}

/** `text` with its percent-encoding decoded, as UTF-8; what is none becomes U+FFFD. */
function unquote(text) {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    utf8.decode(Uint8Array.from(run.slice(1).split("%"), (byte) => parseInt(byte, 16))),
  );
}

// Lower-casing can undo NFKC, and a dropped tag can leave what is no address ("a.+x@…").
const email = (text) => settle(mailbox, text.replace(MAIL_SCHEME, "").split("?", 1)[0]);

function mailbox(text) {
  const address = readAddress(plain(text));
  const local = address.local.toLowerCase().split("+", 1)[0];
  const domain = address.domain === "googlemail.com" ? "gmail.com" : address.domain;
  return `${domain === "gmail.com" ? local.replaceAll(".", "") : local}@${domain}`;
}
