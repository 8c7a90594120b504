import { h } from "../dom.js";
import { button, choice } from "../fields.js";
import { t } from "../strings.js";

const HELP = [["j", "k", "↓", "↑"], ["Enter"], ["Esc"], ["n"], ..."acrmdtl", ["1–9"], ["?"]];
const TYPED = "input:not([type=radio], [type=checkbox]), textarea, select, dialog";
const REPEATED = ["j", "k"];

// Single letters can be switched off (WCAG 2.1.4): speech input and unsteady hands press them too.
let on = true;

/** Calls `press(key)` for each key that is meant for the desk; it tells whether it was one. */
export function listen(press) {
  addEventListener("keydown", (event) => {
    const { ctrlKey, metaKey, altKey, repeat, target } = event;
    if (ctrlKey || metaKey || altKey || target.closest?.(TYPED)) return;
    const key = meant(event, target);
    if (!key || (repeat && !REPEATED.includes(key))) return;
    if (press(key)) event.preventDefault();
  });
}

// By what a key writes; where that is no Latin letter, by its place: Arabic keyboards have others.
function meant({ key, code }, target) {
  if (key === "Escape") return key;
  if (key === "ArrowDown" || key === "ArrowUp") {
    return target.closest?.(".queue, .held") && (key === "ArrowDown" ? "j" : "k");
  }
  if (!on) return null;
  if (key === "?" || key === "؟") return "?";
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code);
  if (digit) return digit[1];
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  const place = key.length === 1 && key > "\u007f" && /^Key([A-Z])$/.exec(code);
  return place ? place[1].toLowerCase() : null;
}

/** Shows which keys there are. */
export function help() {
  const lines = HELP.map((keys) => [
    h(
      "dt",
      null,
      [...keys].map((key) => [h("kbd", { class: "kbd" }, key), " "]),
    ),
    h("dd", null, t(`desk.key.${keys[0]}`)),
  ]);
  const letters = { value: "on", label: t("desk.key.letters"), checked: on };
  const dialog = h("dialog", { "aria-labelledby": "shortcuts", class: "stack" }, [
    h("h2", { id: "shortcuts" }, t("desk.shortcuts")),
    h("dl", { class: "shortcuts" }, lines),
    choice("checkbox", "", letters, (_, checked) => (on = checked)),
    h(
      "div",
      { class: "actions" },
      button(t("common.close"), () => dialog.close(), { class: "main" }),
    ),
  ]);
  dialog.addEventListener("close", () => dialog.remove());
  document.getElementById("main").append(dialog);
  dialog.showModal();
}
