import { countries } from "./countries.js";
import { announce, h, replace } from "./dom.js";
import { call } from "./engine.js";
import { choices, field, quiet, select } from "./fields.js";
import { chosenOf, isPossible } from "./pieces.js";
import { t } from "./strings.js";

const PAUSE = 200; // milliseconds without a key until one looks

/** What `people` keeps from one rendering to the next. */
export const nobody = () => ({ text: "", region: "", pieces: [], off: new Set() });

/**
 * The field for what was pasted, and below it what was found there, to choose from.
 * `draft` is from `nobody`; at most `most` can be chosen; `app.region` is the country chosen last.
 * Returns `{nodes, read}`: `await read()` gives `{people, problems}`, people as pieces, problems as
 * for `complain`; it rejects where the worker refuses.
 */
export function people(app, draft, most) {
  const area = h("textarea", { ...quiet, rows: 4, dir: "auto", translate: "no" });
  area.value = draft.text;
  const parts = { area, list: h("div"), where: h("div"), country: null, turn: 0 };
  const look = () => find(app, draft, most, parts);
  let timer = 0;
  area.addEventListener("input", () => {
    draft.text = area.value;
    if (!draft.text.trim()) Object.assign(draft, nobody());
    clearTimeout(timer);
    timer = setTimeout(() => quietly(look()), PAUSE);
  });
  if (draft.text) quietly(look());
  const settle = async () => {
    clearTimeout(timer);
    while (!(await look())); // until it is about what stands there now
    return { people: chosenOf(draft, most), problems: problems(draft, most, parts) };
  };
  let reading = null;
  // Two at a time would for ever overtake each other.
  const read = () => (reading ??= settle().finally(() => (reading = null)));
  const nodes = [field(t("people.label"), area, t("people.hint")), parts.list, parts.where];
  return { nodes, read };
}

/** Finds and shows; false if something newer is on its way. */
async function find(app, draft, most, parts) {
  const turn = (parts.turn += 1);
  const { text, region } = draft;
  const plain = await call("find", { text, region: null });
  const asks = plain.some((one) => one.needsRegion);
  const pieces = asks && region ? await call("find", { text, region }) : plain;
  const options = asks ? await countries(app.region) : [];
  if (turn !== parts.turn) return false;
  const before = spoken(draft.pieces);
  draft.pieces = pieces;
  replace(parts.list, listed(draft, most));
  if (!asks) replace(parts.where);
  else if (!parts.country) askCountry(app, draft, most, parts, options);
  if (!asks) parts.country = null;
  if (spoken(pieces) !== before) announce(spoken(pieces));
  return true;
}

function askCountry(app, draft, most, parts, options) {
  const chosen = (region) => {
    draft.region = region;
    app.region = region || app.region;
    quietly(find(app, draft, most, parts));
  };
  parts.country = select(options, draft.region, chosen, t("common.choose"));
  replace(parts.where, field(t("people.country"), parts.country));
}

function problems(draft, most, { area, list, country }) {
  if (!draft.text.trim()) return [[area, t("people.empty")]];
  if (!draft.pieces.length) return [[area, t("people.none")]];
  const chosen = chosenOf(draft, most);
  if (chosen.some(({ needsRegion }) => needsRegion)) {
    return [[country, t("people.country.missing")]];
  }
  if (chosen.length) return [];
  if (draft.pieces.some(isPossible)) return [[list.firstChild, t("people.unchosen")]];
  return [country ? [country, t("people.foreign")] : [area, t("failure.invalid-identifier")]];
}

const spoken = (pieces) => pieces.map(({ shown, text }) => shown ?? text).join(", ");

// Told when one presses the button; while typing nothing is worth an alarm.
const quietly = (promise) => promise.catch(() => {});

function listed(draft, most) {
  const { pieces, off } = draft;
  if (pieces.length < 2) off.clear(); // nothing to choose from
  if (pieces.length < 2) return pieces.map((one) => h("p", null, understood(one)));
  for (const { text } of chosenOf(draft, Infinity).slice(most)) off.add(text);
  const change = (text, checked) => {
    if (checked) off.delete(text);
    else off.add(text);
    atMost(set, most);
  };
  const options = pieces.map((one) => ({
    value: one.text,
    label: isolated(one),
    checked: isPossible(one) && !off.has(one.text),
    disabled: !isPossible(one),
  }));
  const hint = t("people.several.hint", { n: most });
  const set = choices("checkbox", t("people.several"), options, change, hint);
  atMost(set, most);
  return set;
}

/** Lets no more than `most` checkboxes be checked. */
export function atMost(set, most) {
  const boxes = [...set.querySelectorAll("input[type=checkbox]:not(.never)")];
  const full = boxes.filter((box) => box.checked).length >= most;
  for (const box of boxes) box.disabled = full && !box.checked;
}

const understood = (piece) => [piece.canonical && `${t("people.understood")} `, isolated(piece)];

/** An identifier, kept apart from the direction of the words around it. */
export function isolated({ shown, text, needsRegion }) {
  const identifier = h("bdi", { class: "identifier", dir: "ltr", translate: "no" }, shown ?? text);
  if (shown) return identifier;
  return [identifier, " ", t(needsRegion ? "people.wanting" : "people.impossible")];
}
