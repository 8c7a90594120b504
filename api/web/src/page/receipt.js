import { announce, h } from "./dom.js";
import { call } from "./engine.js";
import { button, complain, during, field, form, quiet } from "./fields.js";
import { t } from "./strings.js";
import { explain, grouped } from "./wording.js";

const fresh = () => ({ digits: "", status: "", sure: false });

/** The view of what became of a report, for whoever has its digits; signing in is not needed. */
export function receipt(app) {
  const draft = (app.drafts.receipt ??= fresh());
  const title = h("h1", { tabindex: "-1" }, t("receipt.title"));
  return [title, draft.status ? found(app, draft) : asking(app, draft)];
}

function asking(app, draft) {
  const digits = h("input", { ...quiet, inputmode: "numeric", dir: "ltr", value: draft.digits });
  digits.addEventListener("input", () => (draft.digits = digits.value));
  const submit = async (node) => {
    if (!draft.digits.trim()) complain(node, [[digits, t("receipt.missing")]]);
    else await ask(app, draft, node, "receiptStatus", digits);
  };
  return form(submit, [
    field(t("receipt.digits"), digits, t("receipt.hint")),
    h("div", { class: "actions" }, main(t("receipt.ask"))),
  ]);
}

function found(app, draft) {
  const turn = (change) => () => {
    Object.assign(draft, change);
    app.draw();
  };
  const another = button(t("receipt.another"), turn(fresh()));
  const status = h("div", { class: "card" }, [
    h("p", { class: "digits" }, h("bdi", { dir: "ltr" }, grouped(draft.digits))),
    h("p", null, t(`receipt.status.${draft.status}`)),
  ]);
  if (!draft.sure) {
    const open = ["submitted", "in_review", "approved", "published", "disputed", "recorded"];
    const withdraw =
      open.includes(draft.status) && button(t("receipt.withdraw"), turn({ sure: true }));
    return [status, h("div", { class: "actions" }, withdraw, another)];
  }
  const submit = (node) => ask(app, draft, node, "receiptWithdraw", null);
  const sure = form(submit, [
    h("p", null, t("receipt.withdraw.sure")),
    h("div", { class: "actions" }, [
      main(t("receipt.withdraw.yes")),
      button(t("common.back"), turn({ sure: false })),
    ]),
  ]);
  return [status, sure];
}

async function ask(app, draft, node, method, control) {
  try {
    const asked = () => call(method, { receipt: draft.digits });
    const { status } = await during(node, t(`receipt.${method}`), asked);
    Object.assign(draft, { status, sure: false, digits: draft.digits.replace(/[\s-]/g, "") });
    app.draw();
    announce(t(`receipt.status.${status}`));
  } catch (failure) {
    const ofField = /^(invalid-receipt|not-found)$/.test(failure.code);
    complain(node, [[ofField ? control : null, explain(failure, "receipt")]]);
  }
}

const main = (label) => h("button", { type: "submit", class: "main" }, label);
