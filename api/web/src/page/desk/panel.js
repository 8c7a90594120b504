import { h } from "../dom.js";
import { button, choices, freshId } from "../fields.js";
import { t } from "../strings.js";

/**
 * The second step of a decision, before which nothing is sent: what it does, a reason where one is
 * needed, and a button for it. `yes(choice)` is called once, `no()` for Cancel.
 * Returns `{node, press(key), focus()}`: pressing the decision's key again, or Enter, is yes.
 */
export function panel({ options, label, question, key }, yes, no) {
  const id = freshId();
  const go = h("button", { type: "submit", class: "main", "aria-describedby": id }, label);
  const missing = h("p", { class: "error", role: "alert", hidden: true }, t("desk.choose"));
  let choice = options?.length === 1 ? options[0].value : null;
  let sent = false;

  const choose = (value) => {
    choice = value;
    missing.hidden = true;
  };
  const send = () => {
    missing.hidden = !options || choice !== null;
    if (sent || !missing.hidden) return;
    sent = true;
    go.ariaBusy = "true";
    yes(choice);
  };
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  // A key that is held down is one press, also of a button.
  const keydown = (event) => event.repeat && event.key === "Enter" && event.preventDefault();
  const on = { submit, keydown };
  const node = h("form", { class: "panel stack", autocomplete: "off", on }, [
    options ? numbered(question, options, choice, choose) : h("p", { id }, question),
    missing,
    h("p", { class: "hint" }, t(options ? "desk.again.number" : "desk.again", { key })),
    h(
      "div",
      { class: "actions" },
      go,
      button(t("common.cancel"), () => sent || no()),
    ),
  ]);
  const radios = [...node.querySelectorAll("input")];

  function press(pressed) {
    const radio = radios[Number(pressed) - 1];
    if (pressed === key) send();
    else if (pressed === "Escape" && !sent) no();
    else if (radio) {
      radio.checked = true;
      choose(radio.value);
      go.focus();
    }
  }

  const focus = () => (choice === null && radios.length ? radios[0] : go).focus();
  return { node, press, focus, isSent: () => sent };
}

function numbered(question, options, choice, choose) {
  const shown = options.map(({ value, label }, i) => ({
    value,
    checked: value === choice,
    label: [h("kbd", { class: "kbd" }, `${i + 1}`), " ", label],
  }));
  return choices("radio", question, shown, choose);
}
