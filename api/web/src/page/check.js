import { announce, h } from "./dom.js";
import { call } from "./engine.js";
import { couldNot, stage, working } from "./failing.js";
import { button, complain, form } from "./fields.js";
import { isolated, nobody, people } from "./people.js";
import { shape } from "./shapes.js";
import { t } from "./strings.js";
import { answer, explain, worst } from "./wording.js";

const MOST = 10; // identifiers in one check

// Of the worker's: a missing answer must never read as none found.
const INTERNAL = { code: "internal", members: {} };

const fresh = () => ({ phase: "asking", people: nobody(), asked: [], answers: [], failure: null });

/** The view that checks what was pasted. */
export function check(app) {
  const draft = (app.drafts.check ??= fresh());
  if (draft.phase === "working") return progress(app, draft);
  if (draft.phase === "failed") return failed(app, draft);
  if (draft.phase === "answered") return answered(app, draft);
  const { nodes, read } = people(app, draft.people, MOST);
  // Another press, or the form as it was before, may have asked meanwhile.
  const isAsking = () => app.drafts.check === draft && draft.phase === "asking";
  const submit = async (node) => {
    try {
      const { people: asked, problems } = await read();
      if (!complain(node, problems)) return;
      if (!isAsking()) return;
      draft.asked = asked;
    } catch (failure) {
      if (isAsking()) fail(app, draft, failure);
      return;
    }
    await ask(app, draft);
  };
  return [
    h("h1", { tabindex: "-1" }, t("check.title")),
    form(submit, nodes, h("div", { class: "actions" }, go())),
  ];
}

const go = () => h("button", { type: "submit", class: "main" }, t("check.go"));

async function ask(app, draft) {
  draft.phase = "working";
  draft.progress = null;
  app.draw();
  const identifiers = draft.asked.map(({ kind, canonical }) => ({ kind, canonical }));
  const onProgress = (progress) => {
    draft.progress = progress;
    draft.tell?.();
  };
  try {
    draft.answers = await call("check", { identifiers }, onProgress);
    if (draft.answers.length !== identifiers.length) throw INTERNAL;
  } catch (failure) {
    fail(app, draft, failure);
    return;
  }
  draft.phase = "answered";
  if (app.view !== "check") return;
  app.draw();
  announce(draft.answers.map((one, i) => `${draft.asked[i].shown}: ${answer(one)}`).join(" "));
}

function fail(app, draft, failure) {
  draft.phase = "asking";
  if (app.signedOut(failure)) return;
  Object.assign(draft, { phase: "failed", failure });
  if (app.view !== "check") return;
  app.draw();
  announce(`${t("check.failed")}. ${explain(failure)}`);
}

function progress(app, draft) {
  const { nodes, tell } = working(t("check.working"));
  draft.tell = () => tell(...stage(draft.progress, draft.asked.length, "check.reading"));
  if (draft.progress) draft.tell();
  return nodes;
}

function failed(app, draft) {
  const back = () => {
    draft.phase = "asking";
    app.draw();
  };
  const again = () => (draft.asked.length ? ask(app, draft) : back());
  const means = t("check.failed.means");
  return couldNot(t("check.failed"), draft.failure, { means, again, back });
}

function answered(app, draft) {
  const another = () => {
    app.drafts.check = fresh();
    app.draw();
  };
  return [
    h("h1", { tabindex: "-1" }, t("check.answer")),
    h(
      "ul",
      { class: "list" },
      draft.asked.map((one, i) => line(one, draft.answers[i])),
    ),
    h("div", { class: "actions" }, button(t("check.another"), another, { class: "main" })),
    h("p", null, h("a", { href: "/safety" }, t("check.safety"))),
  ];
}

function line(person, counts) {
  const kind = counts ? worst(counts) : "none";
  return h("li", { class: `answer ${counts ? `sev-${kind}` : kind}` }, shape(kind), [
    h("div", null, [
      h("p", null, isolated(person)),
      h("p", { class: "verdict" }, answer(counts)),
      counts && h("p", { class: "hint" }, t("check.recent", { n: counts.recent })),
    ]),
  ]);
}
