// Phone numbers in runs of digit groups: which groups a person would read as one number.
import { Failure } from "./failures.js";
import { parseIdentifier } from "./identifiers.js";

const FEWEST_DIGITS = 7;
const MOST_DIGITS = 17;
const MOST_GROUPS = 64; // looked at together; whoever writes single digits has a dozen a number
const MOST_GROUPS_IN_ALL = 1000;
const WORD_DIGITS = 3; // "2h", "x4": so few digits beside a letter are rarely part of a number

const GROUP = /(\+[ (]{0,2})?[0-9]+/g;
const BETWEEN = /^[ .\-–/()[\]_*~·'’]{0,4}$/;
const WIDE = / [-–/~·*] | {2}/; // as likely to stand between two numbers
const LETTER = /[\p{L}\p{M}]/u;

// How far so many digits look like one number: read in a country, and not knowing where.
const LIKELY = { 7: 5, 8: 9, 9: 15, 10: 15, 11: 15, 12: 15, 13: 12, 14: 8, 15: 8 };
const LIKELY_ANYWHERE = { 7: 5, 8: 7, 9: 10, 10: 12, 11: 12, 12: 10, 13: 6, 14: 3, 15: 3 };

/**
 * The phone numbers in `text`, national ones read in `region` unless it is null, as
 * `[{start, end, digits, canonical}]`: `digits` as written, with their plus; `canonical` null for
 * what is no possible number, or a national one where there is no region.
 */
export const findNumbers = (text, region) => runs(text).flatMap((run) => best(run, text, region));

/** The groups of digits, in runs that may be a number each, or several. */
function runs(text) {
  const found = [];
  let run = [];
  for (const match of [...text.matchAll(GROUP)].slice(0, MOST_GROUPS_IN_ALL)) {
    const [whole, plus = ""] = match;
    const group = { start: match.index, end: match.index + whole.length, hasPlus: plus !== "" };
    group.digits = whole.slice(plus.length);
    const last = run.at(-1);
    const between = last ? text.slice(last.end, group.start) : "";
    const areWhole = [group, last].every((one) => one?.digits.length >= FEWEST_DIGITS);
    if (group.hasPlus || areWhole || run.length === MOST_GROUPS || !BETWEEN.test(between)) {
      found.push(run);
      run = [];
    }
    group.doubt = (WIDE.test(between) ? 3 : 0) + (isWord(text, group) ? 3 : 0);
    run.push(group);
  }
  return [...found, run];
}

const isWord = (text, { start, end, digits }) =>
  digits.length <= WORD_DIGITS &&
  (LETTER.test(text[start - 1] ?? "") || LETTER.test(text[end] ?? ""));

/** The likeliest way to read a run: numbers, and as few digits as may be that belong to none. */
function best(run, text, region) {
  const ways = [{ worth: 0, numbers: [] }];
  for (let from = run.length - 1; from >= 0; from--) {
    const rest = ways[0];
    const { digits, hasPlus } = run[from];
    let way = { ...rest, worth: rest.worth - digits.length - (hasPlus ? 5 : 0) };
    let length = 0;
    for (let to = from; to < run.length; to++) {
      length += run[to].digits.length;
      if (length > MOST_DIGITS) {
        break;
      }
      const number = length < FEWEST_DIGITS ? null : read(run.slice(from, to + 1), text, region);
      const after = ways[to - from];
      if (number && number.worth + after.worth >= way.worth) {
        way = { worth: number.worth + after.worth, numbers: [number, ...after.numbers] };
      }
    }
    ways.unshift(way);
  }
  return ways[0].numbers;
}

/** What `groups` are as one number, and what speaks for it; null where nothing does. */
function read(groups, text, region) {
  const [{ hasPlus, start }] = groups;
  const plain = groups.map((group) => group.digits).join("");
  const digits = (hasPlus ? "+" : "") + plain;
  const hasCode = hasPlus || plain.startsWith("00");
  const canonical = hasCode || region ? parsed("phone", digits, region) : null;
  const isAbroad = hasCode || (canonical !== null && plain.endsWith(canonical.slice(1)));
  const prefix = hasCode ? /^00/ : plain.length > 13 ? /^011/ : "";
  const length = plain.replace(prefix, "").length;
  const isMarked = isAbroad || plain.startsWith("0");
  let worth = LIKELY_ANYWHERE[length];
  if (canonical && isAbroad && length > 8) {
    worth = length > 13 ? 13 : 15;
  } else if (canonical) {
    worth = LIKELY[length] ?? 2;
  } else if (hasPlus || region) {
    // Shown as what cannot be read: better than a part of it that can.
    worth = length > 8 && length < 16 ? (isMarked ? 6 : 2) : NaN;
  }
  worth += isMarked ? 3 : -amountLike(groups, text);
  worth -= groups.reduce((doubts, { doubt }) => doubts + doubt, 0);
  return worth > 0 ? { start, end: groups.at(-1).end, digits, canonical, worth } : null;
}

/** How far groups without a leading zero look like prices or measures. */
function amountLike(groups, text) {
  const all = groups.map((group) => group.digits);
  const isList = all.every((one, i) => one.length <= 3 && +one > +(all[i - 1] ?? 9));
  if (all.length > 1 && isList && all.slice(-2).every((one) => one.endsWith("0"))) {
    return Infinity;
  }
  const joints = groups.slice(1).map((group, i) => text.slice(groups[i].end, group.start));
  if (joints.length && joints.every((joint) => joint === "/") && all.join("").length < 9) {
    return Infinity;
  }
  return all.length > 1 && /^\d{1,3}0$/.test(all[0]) ? 4 : 0;
}

/** As `parseIdentifier`, but only the canonical form, and null where that throws. */
export function parsed(kind, value, region) {
  try {
    return parseIdentifier(kind, value, region).canonical;
  } catch (failure) {
    if (failure instanceof Failure) {
      return null;
    }
    throw failure;
  }
}
