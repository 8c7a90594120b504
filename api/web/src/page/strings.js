import { config } from "./config.js";

let current = config.lang;
let strings = {};

/** The code of the language that is shown. */
export const language = () => current;

/** Loads the strings of a language and speaks it from then on; rejects where they can't be had. */
export async function setLanguage(code) {
  const { url } = config.languages.find((one) => one.code === code);
  const answer = await fetch(url, { referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error("no strings");
  strings = (await answer.json()).strings;
  current = code;
}

/** True if there is a text for `key`. */
export const has = (key) => Object.hasOwn(strings, key);

/** The text for `key`: plural forms are chosen by `params.n`, and `{name}` is replaced. */
export function t(key, params = {}) {
  return fill(has(key) ? strings[key] : key, params, current);
}

/** A text with its parameters, as `t`, of a text or its plural forms in `code`. */
export function fill(text, params, code) {
  const form = typeof text === "string" ? text : plural(text, params.n, code);
  return form.replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole);
}

function plural(forms, n, code) {
  return forms[new Intl.PluralRules(code).select(n)] ?? forms.other;
}
