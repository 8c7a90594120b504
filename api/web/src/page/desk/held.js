import { announce, focusOn, h, replace } from "../dom.js";
import { button } from "../fields.js";
import { t } from "../strings.js";
import { explain } from "../wording.js";
import { panel } from "./panel.js";
import { categories, exact, month, severity, sorry, table } from "./parts.js";
import { failedView } from "./report.js";
import { ask, lock } from "./stage.js";

const DECISIONS = [
  ["a", "accept"],
  ["r", "refuse"],
];
const DONE = { accept: "accepted", refuse: "refused" };

/** What is known of partners' reports on hold: nothing yet. `rows` get `done` when they are decided. */
export const unknown = () => ({ rows: null, more: false, failure: null, at: 0 });

/** Fills `held` with what waits now, or with why that is not known. */
export async function loadHeld(held) {
  const found = await ask("held").catch((failure) => ({ rows: [], more: false, failure }));
  Object.assign(held, { failure: null, at: 0 }, found);
}

/** How many still wait. */
export const waiting = ({ rows }) => (rows ?? []).filter((row) => !row.done).length;

/**
 * The list of what is held, with what there is to decide about each. `say(sentence)` tells what a
 * decision led to, `reload()` looks again. Returns `{nodes, press(key)}`.
 */
export function heldView(held, { say, reload }) {
  const again = button(t("desk.reload"), reload);
  if (held.failure) return { nodes: failed(held, again), press: () => false };
  if (!held.rows) {
    return { nodes: h("p", { "aria-busy": "true" }, t("common.moment")), press: () => false };
  }
  const become = (i) => (held.at = i);
  const cards = held.rows.map((row, i) => card(row, { say, here: () => become(i), next }));

  function next() {
    const i = [...cards.keys()].sort(from(held.at)).find((one) => !held.rows[one].done);
    if (i === undefined) return false;
    cards[i].focus();
    return true;
  }

  function press(key) {
    const here = cards[held.at];
    if (!here) return false;
    if (here.press(key)) return true;
    const to = { j: held.at + 1, k: held.at - 1 }[key];
    if (key === "n" && !next()) say(t("desk.done"));
    if (to !== undefined) cards[Math.min(Math.max(to, 0), cards.length - 1)].focus();
    return key === "n" || to !== undefined;
  }

  const list = h(
    "ol",
    { class: "list held stack" },
    cards.map((one) => one.node),
  );
  return {
    nodes: [
      h("div", { class: "actions" }, again),
      held.more && h("p", null, t("desk.held.many", { n: cards.length })),
      cards.length ? list : h("p", null, t("desk.held.empty")),
    ],
    press,
  };
}

const failed = ({ failure }, again) =>
  failure.code === "mismatch"
    ? failedView({ failure }, { lock: () => lock() })
    : [h("div", { class: "actions" }, again), sorry(failure)];

// Those after `at` in their order, and then those before it.
const from = (at) => (a, b) => (a <= at) - (b <= at) || a - b;

/** One report: `here()` is called when the focus comes into it, `next()` when it is decided. */
function card(row, { say, here, next }) {
  const place = h("div", { class: "decisions stack" });
  const title = h(
    "h2",
    { tabindex: "-1" },
    severity(row.severity),
    " ",
    categories(row.categories),
  );
  const node = h("li", { class: "card stack", on: { focusin: here } }, title, about(row), place);
  let asking = null;
  draw();

  function draw(...more) {
    node.classList.toggle("done", Boolean(row.done));
    replace(
      place,
      more,
      row.done ? h("p", { class: "notice" }, did(row)) : (asking?.node ?? both()),
    );
  }

  function both() {
    const choices = DECISIONS.map(([key, name]) =>
      button(
        [h("kbd", { class: "kbd", "aria-hidden": "true" }, key), " ", t(label(row, name))],
        () => begin(key, name),
        { "aria-keyshortcuts": key, class: name === "accept" && "main" },
      ),
    );
    return h("div", { class: "actions" }, choices);
  }

  function begin(key, name) {
    const words = { label: t(label(row, name)), question: t(`${label(row, name)}.question`), key };
    asking = panel(words, () => decide(name), cancel);
    draw();
    asking.focus();
  }

  function cancel() {
    asking = null;
    draw();
    focusOn(place.querySelector("button"));
  }

  async function decide(name) {
    try {
      await ask("decideHeld", { entry: row.entry, accept: name === "accept" });
    } catch (failure) {
      asking = null;
      draw(h("p", { class: "error", tabindex: "-1" }, explain(failure, "desk")));
      announce(explain(failure, "desk"));
      place.querySelector(".error").focus();
      return;
    }
    row.done = name;
    draw();
    if (!next()) title.focus();
    say(did(row));
  }

  function press(key) {
    const decision = DECISIONS.find(([one]) => one === key);
    if (asking && !row.done) asking.press(key);
    else if (decision && !row.done) begin(...decision);
    else return false;
    return true;
  }

  return { node, press, focus: () => title.focus() };
}

const label = (row, name) => `desk.held.${name}.${row.kind}`;

const did = (row) => t(`desk.did.${DONE[row.done]}.${row.kind}`);

function about(row) {
  const { known } = row;
  const facts = [
    ["origin", exact(row.origin)],
    ["collective", exact(row.collective)],
    ["month", month(row.month)],
    ["known", known ? t("desk.held.known", { n: known }) : t("desk.held.known.none")],
  ];
  const why = row.kind === "erasure" ? "erasure" : row.why;
  return [
    h("p", null, t(`desk.held.why.${why}`)),
    table(facts.map(([name, shown]) => [t(`desk.fact.${name}`), shown])),
  ];
}
