import { h } from "./dom.js";
import { call } from "./engine.js";
import { button, complain, during, field, form, quiet } from "./fields.js";
import { pinField } from "./keep.js";
import { t } from "./strings.js";
import { explain } from "./wording.js";

const fresh = () => ({ line: "", other: false, dropping: false });

/** The view for who is not signed in: by PIN where access is kept here, else by a line. */
export function entry(app) {
  const draft = (app.drafts.entry ??= fresh());
  return [
    h("h1", { tabindex: "-1" }, t("entry.title")),
    app.notice && h("p", { class: "notice" }, t(app.notice)),
    way(app, draft),
  ];
}

function way(app, draft) {
  if (app.invitation && !draft.other) return byInvitation(app, draft);
  if (app.kept && !draft.other) return draft.dropping ? dropping(app, draft) : byPin(app, draft);
  return byLine(app, draft);
}

function byInvitation(app, draft) {
  const submit = (node) => signIn(app, node, null, app.invitation);
  return form(submit, [
    h("p", null, t("entry.invited")),
    h("p", { class: "hint" }, t("entry.invited.hint")),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("common.continue")),
      button(t("entry.other"), () => turn(app, draft, { other: true })),
    ]),
  ]);
}

function byLine(app, draft) {
  const line = h("textarea", { ...quiet, rows: 4, dir: "ltr", translate: "no", value: draft.line });
  line.addEventListener("input", () => (draft.line = line.value));
  const submit = (node) => {
    if (!draft.line.trim()) complain(node, [[line, t("entry.line.missing")]]);
    else signIn(app, node, line, draft.line);
  };
  return form(submit, [
    field(t("entry.line"), line, t("entry.line.hint")),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("common.continue")),
      draft.other && button(t("common.back"), () => turn(app, draft, { other: false })),
    ]),
  ]);
}

function byPin(app, draft) {
  const pin = pinField();
  const submit = async (node) => {
    if (!pin.value) {
      complain(node, [[pin, t("entry.pin.missing")]]);
      return;
    }
    try {
      const unlock = () => call("unlock", { pin: pin.value });
      app.enter(await during(node, t("entry.opening"), unlock), "check");
    } catch (failure) {
      pin.value = "";
      refuse(app, node, failure, failure.code === "wrong-pin" ? pin : null);
    }
  };
  return form(submit, [
    field(t("entry.pin"), pin),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("entry.open")),
      button(t("entry.other"), () => turn(app, draft, { other: true })),
      button(t("entry.drop"), () => turn(app, draft, { dropping: true })),
    ]),
  ]);
}

function dropping(app, draft) {
  const submit = async (node) => {
    try {
      await during(node, t("common.moment"), () => call("forget"));
      Object.assign(app, { kept: false, notice: "entry.dropped" });
      turn(app, draft, { dropping: false });
    } catch (failure) {
      complain(node, [[null, explain(failure)]]);
    }
  };
  return form(submit, [
    h("p", null, t("entry.drop.sure")),
    h("div", { class: "actions" }, [
      h("button", { type: "submit", class: "main" }, t("entry.drop.yes")),
      button(t("common.back"), () => turn(app, draft, { dropping: false })),
    ]),
  ]);
}

async function signIn(app, node, control, line) {
  try {
    app.enter(await during(node, t("entry.working"), () => call("signIn", { line })), "offer");
  } catch (failure) {
    refuse(app, node, failure, OF_THE_LINE.test(failure.code) ? control : null);
  }
}

/** Failures that are about the line itself, and are shown where it stands. */
const OF_THE_LINE = /^(invalid-invitation|other-address|moderator-invitation|not-found|malformed)$/;

function refuse(app, node, failure, control) {
  if (failure.code === "wrong-pin" && !failure.members?.left) {
    Object.assign(app, { kept: false, notice: "failure.wrong-pin.none" });
    app.draw();
    return;
  }
  const desk = failure.code === "moderator-invitation" && [null, toDesk()];
  complain(node, [[control, explain(failure, "sign-in")], desk].filter(Boolean));
}

const toDesk = () => h("a", { href: "/desk" }, t("entry.desk"));

function turn(app, draft, change) {
  Object.assign(draft, change);
  app.draw();
}
