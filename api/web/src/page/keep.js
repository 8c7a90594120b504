import { announce, h, replace } from "./dom.js";
import { call } from "./engine.js";
import { button, choices, complain, during, field, form, quiet } from "./fields.js";
import { t } from "./strings.js";
import { explain } from "./wording.js";

const PIN = /^\p{Nd}{6,12}$/u;

/** A field for a PIN: hidden like a password, but nothing that a browser offers to remember. */
export const pinField = () => h("input", { ...quiet, inputmode: "numeric", class: "masked pin" });

/** What stands after signing in: how she gets back in. */
export function offer(app) {
  const draft = (app.drafts.offer ??= { way: "" });
  const title = h("h1", { tabindex: "-1" }, t("offer.title"));
  const done = () => app.go("check");
  const back = () => {
    draft.way = "";
    app.draw();
  };
  if (draft.way === "pin") return [title, newPin(app, done, back)];
  if (draft.way === "line") return [title, accessLine(app, done, back)];
  const options = ["pin", "line", "none"].map((value) => ({
    value,
    label: t(`offer.${value}`),
    hint: t(`offer.${value}.why`),
  }));
  let way = "";
  const set = choices("radio", t("offer.question"), options, (value) => (way = value));
  const submit = (node) => {
    if (!complain(node, way ? [] : [[set, t("offer.missing")]])) return;
    draft.way = way;
    if (way === "none") done();
    else app.draw();
  };
  const go = h("button", { type: "submit", class: "main" }, t("common.continue"));
  return [title, form(submit, set, h("div", { class: "actions" }, go))];
}

/** The view of one's access: what is kept, carrying it elsewhere, ending it. */
export function access(app) {
  const draft = (app.drafts.access ??= { way: "" });
  const title = h("h1", { tabindex: "-1" }, t("access.title"));
  const turn = (way) => () => {
    draft.way = way;
    app.draw();
  };
  if (draft.way === "pin") return [title, newPin(app, turn(""), turn(""))];
  if (draft.way === "line") return [title, accessLine(app, turn(""), turn(""))];
  if (draft.way === "end") return [title, ending(app, turn(""))];
  return [
    title,
    app.notice && h("p", { class: "notice" }, t(app.notice)),
    section(
      "access.where",
      h("p", null, t(app.kept ? "access.kept" : "access.not-kept")),
      app.kept ? forgetting(app) : button(t("access.keep"), turn("pin")),
    ),
    section("access.elsewhere", button(t("access.line"), turn("line"))),
    section("access.end", h("p", null, t("access.end.why")), button(t("access.end"), turn("end"))),
    section(
      "access.traces",
      h("p", null, t("access.traces.why")),
      h("p", null, t("access.leave.why")),
    ),
  ];
}

const section = (title, ...children) =>
  h("section", { class: "card stack" }, h("h2", null, t(title)), children);

function forgetting(app) {
  const forget = async () => {
    try {
      await call("forget");
      Object.assign(app, { kept: false, notice: "access.forgotten" });
      app.draw();
    } catch (failure) {
      announce(explain(failure));
    }
  };
  return button(t("access.forget"), forget);
}

function newPin(app, done, back) {
  const pin = pinField();
  const again = pinField();
  const submit = async (node) => {
    const problems = [];
    if (!PIN.test(pin.value.trim())) problems.push([pin, t("failure.invalid-pin")]);
    else if (pin.value !== again.value) problems.push([again, t("pin.differs")]);
    if (!complain(node, problems)) return;
    try {
      await during(node, t("pin.keeping"), () => call("keep", { pin: pin.value }));
      app.kept = true;
      announce(t("pin.kept"));
      done();
    } catch (failure) {
      complain(node, [[null, explain(failure, "pin")]]);
    }
  };
  return form(submit, [
    field(t("pin.new"), pin, t("pin.new.hint")),
    field(t("pin.again"), again),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("pin.keep")),
      button(t("common.back"), back),
    ]),
  ]);
}

function accessLine(app, done, back) {
  const shown = h("textarea", { ...quiet, rows: 4, dir: "ltr", translate: "no", readonly: true });
  const carry = () => {
    app.carried = true;
    done();
  };
  const node = form(carry, [
    field(t("line.label"), shown, t("line.hint")),
    h("div", { class: "actions" }, [
      copying(shown, () => shown.value),
      h("button", { type: "submit", class: "main" }, t("line.kept")),
      button(t("common.back"), back),
    ]),
  ]);
  call("access").then(
    ({ line }) => (shown.value = line),
    (failure) => complain(node, [[null, explain(failure)]]),
  );
  return node;
}

function ending(app, back) {
  const submit = async (node) => {
    try {
      await during(node, t("common.moment"), () => call("leave"));
      app.kept = false;
      app.exit("access.ended");
    } catch (failure) {
      if (!app.signedOut(failure)) complain(node, [[null, explain(failure)]]);
    }
  };
  return form(submit, [
    h("p", null, t("access.end.sure")),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("access.end.yes")),
      button(t("common.back"), back),
    ]),
  ]);
}

/** A button that copies `text()`, or marks it in `node` where a browser does not let us. */
export function copying(node, text) {
  const told = h("span", { class: "hint" });
  const copy = async () => {
    let key = "common.copied";
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      key = "common.mark";
      if (node.select) node.select();
      else getSelection().selectAllChildren(node);
    }
    replace(told, t(key));
    announce(t(key));
  };
  return [button(t("common.copy"), copy), told];
}
