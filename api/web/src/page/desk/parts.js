import { announce, h } from "../dom.js";
import { complain, during, freshId } from "../fields.js";
import { shape } from "../shapes.js";
import { language, t } from "../strings.js";
import { explain } from "../wording.js";

// Line ends, the joiners without which some scripts can't be read, and the marks of direction.
const HARMLESS = ["\n", "\u200c", "\u200d", "\u200e", "\u200f", "\u061c"];

/** The first letters of a report's number, by which people name it. */
export const short = (id) => id.slice(0, 8);

/** A severity by shape, word and colour. */
export function severity(name) {
  const word = h("b", null, t(`severity.short.${name}`));
  return h("span", { class: `severity sev-${name}` }, shape(name), word);
}

/** Categories in words. */
export function categories(ids) {
  const list = new Intl.ListFormat(language(), { type: "unit" });
  return list.format(ids.map((id) => t(`category.${id}`)));
}

/** A month `YYYY-MM` in words. */
export function month(text) {
  const form = { month: "long", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(language(), form).format(new Date(`${text}-01T00:00:00Z`));
}

/**
 * `text` without what turns the direction of writing or can't be seen: an account is written by
 * anybody, and a moderator decides by what she reads.
 */
export function printable(text) {
  const shown = (sign) => (HARMLESS.includes(sign) ? sign : "\ufffd");
  return text.replaceAll("\r\n", "\n").replaceAll("\t", " ").replace(/\p{C}/gu, shown);
}

/** Text that is to be read exactly, letter by letter, in its own direction. */
export const exact = (text, kind = "exact") =>
  h("bdi", { class: kind, dir: "ltr", translate: "no" }, text);

/** The twelve words of two keys, numbered. */
export function wordList(words) {
  const items = words.split(/[ /]+/).map((word) => h("li", null, word));
  return h("ol", { class: "words", dir: "ltr", translate: "no", lang: "en" }, items);
}

/**
 * A field for a passphrase, that is emptied when it is read: `take()`.
 * Of type password, so that no phone's keyboard learns its words; and neither `current-password`
 * nor `new-password`: no browser should keep what opens the keys beside the keys.
 */
export function passphraseInput() {
  const input = h("input", { type: "password", autocomplete: "off", autocapitalize: "off" });
  const take = () => {
    const typed = input.value;
    input.value = "";
    return typed;
  };
  return { input, take };
}

/**
 * Does `work()` for the form `node`, which meanwhile says `doing`; a failure is shown there, at the
 * control that `blamed` names for its code.
 */
export async function attempt(node, doing, work, blamed = {}) {
  try {
    await during(node, doing, work);
  } catch (failure) {
    complain(node, [[blamed[failure.code] ?? null, explain(failure, "desk")]]);
  }
}

/** Facts, each `[name, text]`. */
export const table = (pairs) =>
  h(
    "dl",
    { class: "facts" },
    pairs.map(([name, text]) => h("div", null, h("dt", null, name), h("dd", null, text))),
  );

/** A submit button. */
export const submit = (label) => h("button", { type: "submit", class: "main" }, label);

/** What is folded away under a line of text. */
export function folded(summary, ...children) {
  return h("details", null, h("summary", null, summary), h("div", { class: "stack" }, children));
}

/** A part of a view under its own heading. */
export const part = headed("h2");

/** A part of a part. */
export const piece = headed("h3");

function headed(level) {
  return (title, ...children) => {
    const id = freshId();
    const heading = h(level, { id }, title);
    return h("section", { class: "stack", "aria-labelledby": id }, heading, children);
  };
}

/** One sentence for a failure; also spoken. */
export function sorry(failure) {
  const sentence = explain(failure, "desk");
  announce(sentence);
  return h("p", { class: "error" }, sentence);
}
