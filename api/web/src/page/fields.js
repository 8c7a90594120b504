import { announce, focusOn, h, replace } from "./dom.js";
import { t } from "./strings.js";

/** What keeps a browser from remembering, correcting or sending on what is typed. */
export const quiet = {
  autocomplete: "off",
  autocapitalize: "off",
  autocorrect: "off",
  spellcheck: "false",
  writingsuggestions: "false",
};

let count = 0;

/** An id that no other element of the page has. */
export const freshId = () => `f${(count += 1)}`;

/** A control with its label above, a hint, and room for an error; `complain` finds it by `control`. */
export function field(label, control, hint) {
  control.id = freshId();
  const explained = hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint);
  if (hint) control.setAttribute("aria-describedby", `${control.id}-hint`);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), explained, control);
}

/** One or many of several options `{value, label, checked, disabled?, hint?}`, told by `onChange(value, checked)`. */
export function choices(type, legend, options, onChange, hint) {
  const id = freshId();
  return h(
    "fieldset",
    { class: "field", id, "aria-describedby": hint && `${id}-hint` },
    h("legend", null, legend),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    options.map((one) => choice(type, id, one, onChange)),
  );
}

/** A checkbox or radio button inside its label. */
export function choice(type, group, { value, label, checked, disabled, hint }, onChange) {
  const id = freshId();
  const box = h("input", {
    type,
    id,
    autocomplete: "off",
    name: type === "radio" && group, // what joins them; nothing is ever submitted
    value,
    checked: Boolean(checked),
    disabled,
    class: disabled && "never",
    "aria-describedby": hint && `${id}-hint`,
    on: { change: () => onChange(value, box.checked) },
  });
  return h(
    "div",
    { class: "choice" },
    box,
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

/** A select over `options` `[value, label]`; `first` is what stands there while nothing is chosen. */
export function select(options, value, onChange, first) {
  const node = h(
    "select",
    { autocomplete: "off", value, on: { change: () => onChange(node.value) } },
    first && h("option", { value: "" }, first),
    options.map(([one, label]) => h("option", { value: one }, label)),
  );
  return node;
}

/** A button that says what it does. */
export function button(label, onClick, props = {}) {
  return h("button", { type: "button", ...props, on: { click: onClick } }, label);
}

/** A form that is never sent anywhere: `onSubmit` is called instead. */
export function form(onSubmit, ...children) {
  const submit = (event) => {
    event.preventDefault();
    onSubmit(node);
  };
  const props = { novalidate: true, autocomplete: "off", class: "stack", on: { submit } };
  const node = h("form", props, h("div", { class: "problems" }), children);
  return node;
}

/**
 * Shows `problems` `[control, sentence]` at their controls (null: of the whole), and on top, where
 * the focus goes; each goes away when its control is changed. Returns true if there was none.
 */
export function complain(within, problems) {
  for (const done of within.querySelectorAll("[aria-invalid]")) unmark(done);
  const top = within.querySelector(".problems");
  replace(top);
  if (!problems.length) return true;
  const lines = problems.map(([control, sentence]) => {
    if (!control) return h("li", null, sentence);
    const line = h(
      "li",
      null,
      button(sentence, () => reach(control), { class: "link" }),
    );
    const solved = () => {
      unmark(control);
      line.remove();
      if (!top.querySelector("li")) replace(top);
    };
    mark(control, sentence);
    control.addEventListener("input", solved, { once: true });
    return line;
  });
  const title = h("h2", null, t("common.problems"));
  replace(top, h("div", { class: "summary" }, title, h("ul", null, lines)));
  focusOn(title);
  return false;
}

/** Shows `text` while `work()` is under way, and takes no second press; gives what that gives. */
export async function during(node, text, work) {
  const note = h("p", { class: "hint" }, text);
  node.inert = true;
  node.after(note);
  announce(text);
  try {
    return await work();
  } finally {
    node.inert = false;
    note.remove();
  }
}

function mark(control, sentence) {
  const text = h("p", { class: "error", id: `${control.id}-error` }, sentence);
  control.setAttribute("aria-invalid", "true");
  describe(control, text.id, true);
  if (control.tagName === "FIELDSET") control.append(text);
  else control.after(text);
}

function unmark(control) {
  control.removeAttribute("aria-invalid");
  describe(control, `${control.id}-error`, false);
  document.getElementById(`${control.id}-error`)?.remove();
}

function describe(control, id, on) {
  const others = (control.getAttribute("aria-describedby") ?? "").split(" ");
  const ids = others.filter((one) => one && one !== id);
  if (on) ids.push(id);
  if (ids.length) control.setAttribute("aria-describedby", ids.join(" "));
  else control.removeAttribute("aria-describedby");
}

function reach(control) {
  focusOn(control.tagName === "FIELDSET" ? control.querySelector("input") : control);
}
