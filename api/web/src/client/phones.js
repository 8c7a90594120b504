// Google's libphonenumber as Python has it, step by step: libphonenumber-js reads many an input
// otherwise, and two readings of one number are two tokens. Only its metadata is used.
import metadata from "libphonenumber-js/metadata.min";

import { fail } from "./failures.js";

const SHORTEST = 2;
const LONGEST = 17;
const MOST_CHARACTERS = 250;
const CODE_DIGITS = 3;

// Where the metadata of a numbering plan holds what.
const [CODE, ABROAD, PATTERN, LENGTHS, FORMATS, TRUNK, TRUNK_PATTERN, TRUNK_RULE] = [
  0, 1, 2, 3, 4, 5, 7, 8,
];

const PLUS = "[+＋]";
const FILLING =
  "\\-\\u2010-\\u2015\\u2212\\uff0d-\\uff0f \\xa0\\xad\\u200b\\u2060\\u3000()（）［］.\\[\\]/~\\u2053\\u223c～*";
// Without those that begin with a letter: no letter comes as far as here.
const AFTER_LABEL = "[:.．]?[ \\xa0\\t,\\-]*";
const EXTENSION =
  `(?:[ \\xa0\\t,]*[#＃~～]${AFTER_LABEL}\\p{Nd}{1,9}#?|[\\- ]+\\p{Nd}{1,6}#|` +
  `[ \\xa0\\t]*(?:,,|;)${AFTER_LABEL}\\p{Nd}{1,15}#?|[ \\xa0\\t]*,+${AFTER_LABEL}\\p{Nd}{1,9}#?)`;

const START = /[+＋\p{Nd}]/u;
const JUNK_AT_END = /[^#\p{L}\p{N}]+$/u;
const VIABLE = new RegExp(
  `^(?:\\p{Nd}{2}|${PLUS}*(?:[${FILLING}]*\\p{Nd}){3,}[${FILLING}\\p{Nd}]*${EXTENSION}?)$`,
  "u",
);
const LEADING_PLUS = new RegExp(`^${PLUS}+`);
const TRAILING_EXTENSION = new RegExp(`${EXTENSION}$`, "u");

/** All regions that numbers can be read in, as `{region: "GB", calling: "44"}`. */
export const regions = () =>
  Object.entries(metadata.countries).map(([region, plan]) => ({ region, calling: plan[CODE] }));

export const isRegion = (region) => Object.hasOwn(metadata.countries, region);

/**
 * Reads `text`, which holds no letters, as a phone number, a national one in `region` (or null).
 * Returns E.164. Throws Failure `invalid-identifier`.
 */
export function readNumber(text, region) {
  let number = extract(text);
  if (!region && !LEADING_PLUS.test(number)) {
    fail("invalid-identifier");
  }
  const extension = TRAILING_EXTENSION.exec(number);
  if (extension && VIABLE.test(number.slice(0, extension.index))) {
    number = number.slice(0, extension.index);
  }
  const home = region ? metadata.countries[region] : null;
  let [code, national] = LEADING_PLUS.test(number) ? withPlus(number, home) : split(number, home);
  const plan = code ? planOf(code) : home;
  code ??= home[CODE];
  national ??= digitsOf(number);
  if (national.length < SHORTEST) {
    fail("invalid-identifier");
  }
  const short = withoutTrunk(national, plan);
  if (fits(short, plan) || isTooLong(short, plan)) {
    national = short;
  }
  if (national.length < SHORTEST || national.length > LONGEST) {
    fail("invalid-identifier");
  }
  return `+${code}${national}`;
}

/** Whether `number`, in E.164, has exactly a length that its numbering plan has. */
export function isPossible(number) {
  const [code, national] = splitCode(number.slice(1));
  return fits(national, planOf(code));
}

/** `number`, in E.164, with the spaces and dashes usual where it belongs, for people to read. */
export function international(number) {
  const [code, national] = splitCode(number.slice(1));
  const format = (planOf(code)[FORMATS] || []).find(
    ([pattern, , starts = []]) =>
      matches(national, pattern) && (!starts.length || begins(national, starts.at(-1))),
  );
  return `+${code} ${format ? national.replace(new RegExp(format[0]), format[5] || format[1]) : national}`;
}

function extract(text) {
  const from = text.search(START);
  const number = from < 0 ? "" : text.slice(from).replace(JUNK_AT_END, "");
  if ([...text].length > MOST_CHARACTERS || !VIABLE.test(number)) {
    fail("invalid-identifier");
  }
  return number;
}

/** The digits 0–9 that the decimal digits of any script in `text` stand for. */
export function digitsOf(text) {
  // They come in runs of ten, zero first.
  return text.replace(/\P{Nd}/gu, "").replace(/[^0-9]/gu, (digit) => {
    let value = 0;
    while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt(0) - value - 1))) {
      value += 1;
    }
    return value % 10;
  });
}

/** Calling code and the rest of a number that begins with plus signs. */
function withPlus(number, home) {
  const rest = number.replace(LEADING_PLUS, "");
  const digits = digitsOf(rest);
  if (digits.length <= SHORTEST) {
    fail("invalid-identifier");
  }
  const found = splitCode(digits);
  const parts = found[0] ? found : split(rest, home);
  return parts[0] ? parts : fail("invalid-identifier");
}

/** Calling code and the rest of a number without plus; nothing where it is a national one. */
function split(number, home) {
  const digits = digitsOf(number);
  const prefix = home?.[ABROAD] && begins(digits, home[ABROAD]);
  const abroad = prefix ? digits.slice(prefix.length) : digits;
  if (prefix && !abroad.startsWith("0")) {
    const parts = abroad.length > SHORTEST ? splitCode(abroad) : [];
    return parts[0] ? parts : fail("invalid-identifier");
  }
  if (home && digits.startsWith(home[CODE])) {
    const rest = withoutTrunk(digits.slice(home[CODE].length), home);
    const isBetter = !matches(digits, home[PATTERN]) && matches(rest, home[PATTERN]);
    if (isBetter || isTooLong(digits, home)) {
      return [home[CODE], rest];
    }
  }
  return [];
}

function splitCode(digits) {
  for (let length = 1; length <= CODE_DIGITS; length++) {
    const code = digits.slice(0, length);
    if (planOf(code)) {
      return [code, digits.slice(length)];
    }
  }
  return [];
}

/** The numbering plan of a calling code, that of its main region where several share it. */
function planOf(code) {
  const shared = metadata.country_calling_codes[code];
  return shared ? metadata.countries[shared[0]] : metadata.nonGeographic[code];
}

/** `national` without the national prefix and a carrier's code. */
function withoutTrunk(national, plan) {
  const prefix = plan[TRUNK_PATTERN] || plan[TRUNK];
  const pattern = new RegExp(`^(?:${prefix})`);
  const found = prefix && pattern.exec(national);
  if (!found) {
    return national;
  }
  const isRewritten = plan[TRUNK_RULE] && found.at(-1) !== undefined;
  const short = national.replace(pattern, isRewritten ? plan[TRUNK_RULE] : "");
  return matches(national, plan[PATTERN]) && !matches(short, plan[PATTERN]) ? national : short;
}

const fits = (national, plan) => plan[LENGTHS].includes(national.length);

const isTooLong = (national, plan) => national.length > plan[LENGTHS].at(-1);

const matches = (text, pattern) => new RegExp(`^(?:${pattern})$`).test(text);

const begins = (text, pattern) => new RegExp(`^(?:${pattern})`).exec(text)?.[0];
