import { announce, focusOn, h, replace } from "../dom.js";
import { button } from "../fields.js";
import { t } from "../strings.js";
import { explain } from "../wording.js";
import { after, decisions, outcome, release, unreadable } from "./docket.js";
import { panel } from "./panel.js";
import { failedView, reportView } from "./report.js";
import { ask, lock } from "./stage.js";

const node = h("section", { class: "pane stack" });
let pane = null; // the report that is opening, open or failed: `{kind, row, …}`
let shared = {};
let does = {};

/**
 * The place of one report, beside the queue: opened, read, decided. `given` is
 * `{known, compared, describe(id)}`; `hooks` has what the rest of the desk does: `opened(row)`,
 * `closed()`, `decided(row, sentence, here)` (`here`: nothing else was opened meanwhile), `show(id)`,
 * `find(identifier)`, `reload()`. Returns `{node, draw(), open(row), close(), press(key), row()}`.
 */
export function reportPane(given, hooks) {
  [pane, shared, does] = [null, given, hooks];
  return { node, draw, open, close, press, respeak, row: () => pane?.row ?? null };
}

async function open(row) {
  const mine = (pane = { kind: "opening", row });
  draw();
  announce(t("desk.opening"));
  try {
    const report = await ask("open", { id: row.id });
    if (pane !== mine) return;
    pane = { kind: "open", row: report.row, report, ...shared };
    does.opened(report.row);
  } catch (failure) {
    if (pane !== mine) return;
    fail(failure);
  }
  draw();
  focusOn(node.querySelector("h2"));
}

/** Takes back a question, and what was said, in another language than the page's now. */
function respeak() {
  if (!pane?.can || pane.asking?.isSent()) return;
  Object.assign(pane, { asking: null, message: null });
  draw();
}

function fail(failure) {
  pane = { kind: "failed", row: pane.row, failure };
}

function close() {
  pane = null;
  draw();
}

function draw() {
  node.setAttribute("aria-label", t("desk.report"));
  replace(node, shown());
  if (pane?.place) drawDecisions();
}

function shown() {
  if (!pane) return h("p", { class: "hint" }, t("desk.pane.empty"));
  if (pane.kind === "opening") return h("p", { "aria-busy": "true" }, t("desk.opening"));
  pane.place = h("div", { class: "decisions stack" });
  if (pane.kind === "failed") {
    return [failedView(pane, { close: leave, again, takeBack, lock: () => lock() }), pane.place];
  }
  return reportView(pane, pane.place, { ...does, close: leave, corrected: drawDecisions, letIn });
}

const takeBack = () => decide(release(pane.row));

const again = () => (pane.failure.code === "conflict" ? does.reload() : open(pane.row));

function leave() {
  close();
  does.closed();
}

function drawDecisions() {
  const { kind, place, message, asking, row } = pane;
  const can = (pane.can = kind === "open" ? decisions(pane) : unreadable(pane));
  const pending = kind === "open" && row.signed_by_me && row.pending;
  replace(
    place,
    can.length > 0 && h("h3", null, t("desk.decide")),
    can.length > 0 && kind === "failed" && h("p", null, t("desk.unreadable")),
    message && h("p", { class: "error", tabindex: "-1" }, message),
    pending && h("p", { class: "notice" }, t("desk.mine")),
    asking ? asking.node : h("div", { class: "actions" }, can.map(decisionButton)),
  );
}

function decisionButton(decision) {
  const { key, label, main } = decision;
  const props = { "aria-keyshortcuts": key, class: main && "main" };
  return button(
    [h("kbd", { class: "kbd", "aria-hidden": "true" }, key), " ", label],
    () => begin(decision),
    props,
  );
}

/** The first step of a decision: nothing is sent before the second. */
function begin(decision) {
  pane.message = null;
  if (decision.lacking) {
    correct();
    pane.message = t("failure.only-other");
  } else {
    pane.asking = panel(decision, (choice) => decide(decision, choice), cancel);
  }
  drawDecisions();
  if (pane.asking) pane.asking.focus();
  else announce(pane.message);
}

function cancel() {
  pane.asking = null;
  drawDecisions();
  focusOn(pane.place.querySelector("button") ?? node.querySelector("h2"));
}

async function decide({ method, params }, choice) {
  const mine = pane;
  try {
    const answer = await ask(method, { id: mine.row.id, ...params(choice) });
    const row = after(mine.row, method, answer);
    const here = pane === mine;
    if (here) close();
    does.decided(row, outcome(method, row), here);
  } catch (failure) {
    if (pane === mine) refused(failure, method);
  }
}

function refused(failure, method) {
  const { code } = failure;
  // One reporter counts once: her other report may have been approved meanwhile, or before.
  const merging = code === "conflict" && method === "approve" && pane.row.same_reporter.length > 0;
  if (pane.kind === "failed" || code === "mismatch" || (code === "conflict" && !merging)) {
    fail(failure);
    draw();
    focusOn(node.querySelector("h2"));
    return;
  }
  const message = merging ? t("desk.merge.first") : explain(failure, "desk");
  Object.assign(pane, { asking: null, message });
  drawDecisions();
  focusOn(pane.place.querySelector(".error"));
}

function correct() {
  const details = node.querySelector(".correcting");
  if (!details) return false;
  details.open = true;
  details.querySelector("input").focus();
  return true;
}

async function letIn({ kid }) {
  const { row, report } = pane;
  const { given } = await ask("reseal", { id: row.id, kid });
  report.excluded = report.excluded.filter((one) => one.kid !== kid);
  if (pane?.report !== report) return;
  draw();
  announce(t(given ? "desk.excluded.done" : "failure.conflict"));
  focusOn(node.querySelector("h2"));
}

function press(key) {
  if (!pane) return false;
  if (pane.asking) {
    pane.asking.press(key);
    return true;
  }
  if (key === "Escape") leave();
  else if (!pane.can) return false;
  else if (key === "c") return correct();
  else {
    const decision = pane.can.find((one) => one.key === key);
    if (decision) begin(decision);
    return Boolean(decision);
  }
  return true;
}
