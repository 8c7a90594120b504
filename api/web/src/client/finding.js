import { display } from "./identifiers.js";
import { findNumbers, parsed } from "./numbers.js";
import { digitsOf } from "./phones.js";

const MOST_CHARACTERS = 10_000;
const MARGIN = 1_000; // what begins before the end is read whole

// Characters that only change how others look.
const UNSEEN = /[\p{Cf}\ufe0e\ufe0f\u20e3]/u;
const PICTURE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}]/u;
const LINE_END = /[\n\v\f\r\x85\u2028\u2029]/;

const ADDRESS = /[\p{L}\p{M}\p{N}._%+'&!#$^~-]{1,254}@[\p{L}\p{M}\p{N}.-]{1,253}/gu;
const LATIN = /[\p{sc=Latn}\p{M}\p{N}._%+'&!#$^~-]*@[\p{sc=Latn}\p{M}\p{N}.-]*/u;

const LINK = /:\/\/|^www\.|[a-z][a-z0-9-]{0,62}\.[a-z]{2,24}\/|^@[a-z]/i;
const LINKED =
  /(?:(?:wa\.me\/|whatsapp(?:\.com\/|:\/\/)send\/?\?phone=)(?:\+|%2B)?|\+|%2B)([0-9]{7,17})/i;

// For a zero, where mail and chat programs hide numbers.
const LETTER_O = /(\d|(?:^|\P{L})(?=o\d))(o+)(?=[ .-]?\d)/giu;

// What else is written in digits. The first group is what stands before.
const NOISE = [
  /(^|[^\d./-])\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d(?: ?[-–] ?\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d)?(?!\d)/g,
  /(^|[^\d./-])(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}(?!\d)/g,
  /(^|[^\d./-])\d{1,2}([./-])\d{1,2}\2\d\d(?![./-]?\d)/g,
  /(^|[^\d.:])\d{1,2}[.:]\d\d ?[-–] ?\d{1,2}[.:]\d\d(?![.:]?\d)/g, // from when to when
  /(^|[^\d:])\d{1,2}[:h]\d\d(?::\d\d)?(?!\d)/gi,
  /(^|\D)[1-9]\d{0,4}(?:[.,]\d{1,3})*\p{Sc}/gu,
  /()\p{Sc}[1-9]\d{0,4}(?:[.,]\d{1,3})*(?!\d)/gu,
  /(^|[^\d.])[1-9]\d{0,4}(?:[.,]\d{1,3})* \p{Sc}/gu,
  /()\p{Sc} [1-9]\d{0,4}(?:[.,]\d{1,3})*(?!\d)/gu,
  /(^|[^\d.,'])[1-9]\d{0,2}(?:[.,']\d{3})*[.,']000(?!\d)/g,
  /(^|[^\d.])\d{1,3}\.\d{4,9}, ?-?\d{1,3}\.\d{4,9}(?!\d)/g, // places
  /(^|\D)(?:\d{4}[ -]){3}\d{4}(?:[ -]\d{1,4})*(?!\d)/g, // cards and accounts
];

/**
 * Finds phone numbers and mail addresses in pasted `text`, of which 10,000 characters are read;
 * national numbers are read in `region` (upper-case ISO 3166 code) unless it is null.
 * Returns `[{kind, text, needsRegion, canonical, shown}]` in order of appearance, each once: `text`
 * as it was pasted; `canonical` and `shown` null for a national number without a region
 * (`needsRegion`) and for what looks like a number but is not a possible one.
 */
export function find(text, region) {
  const raw = text.slice(0, MOST_CHARACTERS + MARGIN);
  const { clean, at } = cleaned(raw);
  const [addresses, withoutAddresses] = findAddresses(clean);
  const [links, withoutLinks] = findLinks(withoutAddresses);
  const bare = NOISE.reduce(
    (rest, noise) => rest.replace(noise, (all, before) => before + blank(all.slice(before.length))),
    withoutLinks.replace(LETTER_O, (all, before, o) => before + "0".repeat(o.length)),
  );
  const numbers = findNumbers(bare, region).map((number) => ({ kind: "phone", ...number }));
  const all = [...addresses, ...links, ...numbers]
    .filter(({ start }) => at[start] < MOST_CHARACTERS)
    .sort((a, b) => a.start - b.start);
  const seen = new Set();
  const once = all.filter(({ canonical, digits }) => {
    const isNew = !seen.has(canonical ?? digits);
    seen.add(canonical ?? digits);
    return isNew;
  });
  return once.map(({ kind, start, end, digits, canonical }) => ({
    kind,
    text: raw.slice(at[opened(clean, start, end)], at[end]).trim(),
    needsRegion: canonical === null && region === null && !digits.startsWith("+"),
    canonical,
    shown: canonical && display({ kind, canonical }),
  }));
}

/** `raw` in ASCII as far as it can be, and where in it each character comes from. */
function cleaned(raw) {
  const at = [];
  let clean = "";
  let index = 0;
  for (const character of raw) {
    const plain = simple(character);
    clean += plain;
    at.push(...Array(plain.length).fill(index));
    index += character.length;
  }
  return { clean, at: [...at, index] };
}

function simple(character) {
  if (character >= " " && character <= "~") {
    return character;
  }
  if (UNSEEN.test(character)) {
    return "";
  }
  if (LINE_END.test(character)) {
    return "\n";
  }
  if (PICTURE.test(character)) {
    return "·";
  }
  if (/[\p{Pd}\u2212]/u.test(character)) {
    return /[\u2010\u2011]/.test(character) ? "-" : "–";
  }
  const normal = character.normalize("NFKC");
  return /^\p{Nd}$/u.test(normal)
    ? digitsOf(normal)
    : /^\s+$/.test(normal)
      ? " "
      : normal.slice(0, 4);
}

/** Where a piece begins, with the bracket that is closed within it. */
const opened = (text, start, end) =>
  text[start - 1] === "(" && text.slice(start, end).includes(")") ? start - 1 : start;

const blank = (text) => "\n".repeat(text.length);

function findAddresses(text) {
  const found = [];
  const rest = text.replace(ADDRESS, (match, start) => {
    // As chat programs mark what is stressed.
    const isStressed = match[0] === "_" && text[start + match.length] === "_";
    for (const address of addressesIn(isStressed ? match.slice(1) : match)) {
      const canonical = parsed("email", address, null);
      if (canonical) {
        const from = start + match.indexOf(address);
        found.push({ kind: "email", start: from, end: from + address.length, canonical });
        return match.replace(address, blank);
      }
    }
    return match;
  });
  return [found, rest];
}

/** What in `text` may be the address, likeliest first: there may be words without a space. */
function addressesIn(text) {
  return [LATIN.exec(text)[0], text].flatMap((form) => {
    const whole = form.replace(/^[^\p{L}\p{N}_+]+/u, "").replace(/(?:\.\p{L}?|[-\p{Nd}])+$/u, "");
    const sentence = /^\P{Lu}+(?=\.\p{Lu}\p{Ll})/u.exec(whole);
    return sentence ? [sentence[0], whole] : [whole];
  });
}

/** Numbers in links; other digits there are of all sorts. */
function findLinks(text) {
  const found = [];
  const rest = text.replace(/\S+/g, (token, start) => {
    if (!LINK.test(token)) {
      return token;
    }
    const match = LINKED.exec(token);
    if (match) {
      const from = start + match.index;
      const digits = `+${match[1]}`;
      const canonical = parsed("phone", digits, null);
      found.push({ kind: "phone", start: from, end: from + match[0].length, digits, canonical });
    }
    return blank(token);
  });
  return [found, rest];
}
