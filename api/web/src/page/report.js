import { announce, h } from "./dom.js";
import { call } from "./engine.js";
import { couldNot, stage, working } from "./failing.js";
import { button, complain, form } from "./fields.js";
import { copying } from "./keep.js";
import { nobody, people } from "./people.js";
import { consent } from "./report-consent.js";
import { what } from "./report-what.js";
import { t } from "./strings.js";
import { explain, grouped } from "./wording.js";

const MOST = 4; // identifiers of one person
const STEPS = ["who", "what", "consent"];

/** Refusals of a report that are about one field: its step, and its name in `draft.fields`. */
const OF_A_FIELD = {
  "invalid-identifier": [0, "people"],
  "account-too-long": [1, "text"],
  "future-dated": [1, "month"],
  expired: [1, "month"],
};

const fresh = () => ({
  phase: "loading",
  step: 0,
  offered: null,
  fields: {},
  people: nobody(),
  who: [],
  categories: [],
  severity: "",
  byHand: false,
  month: "",
  text: "",
  flags: [],
  actor: "unknown",
  area: "",
  warn: "",
  police: "never",
  research: "no",
  wait: "0",
  receipt: "",
});

/** The view that reports a person, in three steps. What was typed stays until it is sent. */
export function report(app) {
  const draft = (app.drafts.report ??= fresh());
  if (draft.phase === "sent") return sent(app, draft);
  if (draft.phase === "failed") return failed(app, draft);
  if (draft.phase === "sending") return sending(draft);
  if (!draft.offered) return load(app, draft);
  const name = t(`report.${STEPS[draft.step]}`);
  return [
    h("h1", { tabindex: "-1" }, t("report.title")),
    h("p", { class: "step" }, t("report.step", { n: draft.step + 1, name })),
    [who, whatStep, consentStep][draft.step](app, draft),
  ];
}

function load(app, draft) {
  call("categories").then(
    (offered) => {
      Object.assign(draft, { offered, phase: "asking" });
      if (app.view === "report") app.draw();
    },
    (failure) => fail(app, draft, failure, "common.failed"),
  );
  return h("h1", { tabindex: "-1" }, t("common.moment"));
}

function who(app, draft) {
  const { nodes, read } = people(app, draft.people, MOST);
  const submit = async (node) => {
    try {
      const { people: chosen, problems } = await read();
      if (!complain(node, problems)) return;
      if (draft.step !== 0) return; // pressed twice
      draft.who = chosen;
    } catch (failure) {
      complain(node, [[null, explain(failure)]]);
      return;
    }
    step(app, draft, 1);
  };
  const node = form(submit, h("p", null, t("report.who.hint")), nodes, actions(app, draft));
  draft.fields.people = node.querySelector("textarea");
  return node;
}

function whatStep(app, draft) {
  const { nodes, problems } = what(draft);
  const submit = (node) => complain(node, problems()) && step(app, draft, 2);
  return form(submit, nodes, actions(app, draft));
}

function consentStep(app, draft) {
  const { nodes, problems } = consent(draft);
  const submit = (node) => complain(node, problems()) && send(app, draft);
  return form(submit, nodes, actions(app, draft));
}

function actions(app, draft) {
  const last = draft.step === STEPS.length - 1;
  const next = t(last ? "report.send" : "common.continue");
  return h("div", { class: "actions" }, [
    h("button", { type: "submit", class: "main" }, next),
    draft.step > 0 && button(t("common.back"), () => step(app, draft, draft.step - 1)),
  ]);
}

function step(app, draft, to) {
  draft.step = to;
  app.draw();
}

/** The report as the worker takes it. The same draft always gives the same. */
function written(draft) {
  const warned = draft.warn === "network" || draft.warn === "local";
  return {
    identifiers: draft.who.map(({ kind, canonical }) => ({ kind, canonical })),
    categories: draft.categories,
    severity: draft.severity,
    month: draft.month,
    consent: { warn: draft.warn, police: draft.police, research: draft.research === "yes" },
    wait_days: warned ? Number(draft.wait) : 0,
    account: {
      text: draft.text,
      flags: draft.flags,
      actor: draft.actor,
      area: draft.area || null,
    },
  };
}

async function send(app, draft) {
  Object.assign(draft, { phase: "sending", progress: null });
  app.draw();
  const onProgress = (progress) => {
    draft.progress = progress;
    draft.tell();
  };
  try {
    const { receipt } = await call("report", written(draft), onProgress);
    app.drafts.report = { phase: "sent", receipt };
    app.go("report");
  } catch (failure) {
    const [to, name] = OF_A_FIELD[failure.code] ?? [];
    if (!name) {
      fail(app, draft, failure, "report.failed");
      return;
    }
    draft.phase = "asking";
    app.view = "report";
    step(app, draft, to);
    complain(document.querySelector("main form"), [[draft.fields[name], explain(failure)]]);
  }
}

function sending(draft) {
  const { nodes, tell } = working(t("report.sending"));
  draft.tell = () => tell(...stage(draft.progress, draft.who.length, "report.sealing"));
  if (draft.progress) draft.tell();
  return nodes;
}

function fail(app, draft, failure, title) {
  draft.phase = "asking";
  if (app.signedOut(failure)) return;
  Object.assign(draft, { phase: "failed", failure, title });
  if (app.view !== "report") return;
  app.draw();
  announce(`${t(title)}. ${explain(failure)}`);
}

function failed(app, draft) {
  const back = () => {
    draft.phase = "asking";
    app.draw();
  };
  if (!draft.offered) return couldNot(t(draft.title), draft.failure, { again: back });
  const means = t("report.failed.means");
  return couldNot(t(draft.title), draft.failure, { means, again: () => send(app, draft), back });
}

/** Shows a receipt, once, as digits that could be anything. */
function sent(app, draft) {
  const digits = h(
    "p",
    { class: "digits card", dir: "ltr", translate: "no" },
    grouped(draft.receipt),
  );
  const sure = h("input", {
    type: "checkbox",
    id: "kept",
    autocomplete: "off",
    checked: Boolean(draft.sure),
    on: { change: () => (draft.sure = sure.checked) },
  });
  const submit = (node) => {
    if (!complain(node, sure.checked ? [] : [[sure, t("sent.missing")]])) return;
    delete app.drafts.report;
    app.go("check");
  };
  return [
    h("h1", { tabindex: "-1" }, t("sent.title")),
    digits,
    form(submit, [
      h("p", null, t("sent.hint"), " ", t("sent.why")),
      h(
        "div",
        { class: "actions" },
        copying(digits, () => grouped(draft.receipt)),
      ),
      h("p", { class: "hint" }, t("sent.copy.hint")),
      h("div", { class: "choice" }, sure, h("label", { for: "kept" }, t("sent.kept"))),
      h("div", { class: "actions" }, [
        h("button", { type: "submit", class: "main" }, t("common.continue")),
      ]),
    ]),
  ];
}
