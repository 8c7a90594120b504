import { announce, h, replace } from "../dom.js";
import { button, field, select } from "../fields.js";
import { nobody } from "../people.js";
import { t } from "../strings.js";
import { explain } from "../wording.js";
import { beside, nextOf, waits } from "./docket.js";
import { find, finding } from "./finding.js";
import { heldView, loadHeld, unknown, waiting } from "./held.js";
import { invitations } from "./invitations.js";
import { help } from "./keyboard.js";
import { keyring } from "./keyring.js";
import { reportPane } from "./pane.js";
import { sorry } from "./parts.js";
import { queueList } from "./queue.js";
import { failedView, summary } from "./report.js";
import { ask, lock, repaint, respeak as retell, show } from "./stage.js";

const TABS = ["queue", "held", "find", "invite", "keys"];
const STATUSES = ["approved", "published", "disputed"];
const DECIDING = "acrmdtl";

const fresh = () => ({
  tab: "queue",
  made: [],
  status: "", // of the queue; empty: whatever waits for a decision
  rows: null, // of the queue, once they have come
  search: { people: nobody(), region: "", shown: null, rows: [] },
  held: unknown(), // what waits of partners' reports
  at: { queue: 0, find: 0 },
  note: "", // what happened last
  failure: null, // why there is no queue
  compared: new Set(), // colleagues whose words were compared in this session
});

let work = fresh();
let pane = null;
let list = null;
let desk = null;
let pressHeld = () => false;
const heldPlace = h("p", null);

/** Shows the desk of whoever has unlocked it; `rows` is her queue, if it is known already. */
export async function enter(rows = null) {
  work = fresh();
  const shared = { compared: work.compared, known: { categories: [], today: "" }, describe };
  pane = reportPane(shared, {
    opened,
    closed,
    decided,
    show: showReport,
    find: findAll,
    reload: load,
  });
  show(view);
  const mine = work;
  load(rows);
  try {
    // Answered after the queue, and before any report that is opened in it.
    Object.assign(shared.known, await ask("categories"));
  } catch (failure) {
    if (mine === work) fail(failure);
  }
}

/** Forgets everything that was shown. */
export function forget() {
  work = fresh();
  pane?.close();
  pane = list = desk = null;
}

/** Shows all anew in another language; what was said in the old one goes. */
export function respeak() {
  work.note = "";
  pane?.respeak();
  retell();
}

/** Does what a key stands for; false for a key that means nothing here. */
export function press(key) {
  if (!desk) return false;
  if (key === "?") help();
  else if (work.tab === "held") return pressHeld(key);
  else if (!["queue", "find"].includes(work.tab)) return false;
  else if (pane.press(key)) return true;
  else if (!rows().length) return false;
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "n") openNext();
  else if (DECIDING.includes(key)) say(t(pane.row() ? "desk.impossible" : "desk.first"));
  else return false;
  return true;
}

const rows = () => (work.tab === "find" ? work.search.rows : (work.rows ?? []));
const at = () => work.at[work.tab];

function view() {
  const tab = (name) => {
    const current = work.tab === name && "page";
    return h(
      "li",
      null,
      button(t(`desk.tab.${name}`), () => go(name), { "aria-current": current }),
    );
  };
  const shortcuts = h("li", null, button(t("desk.shortcuts"), help, { "aria-keyshortcuts": "?" }));
  const beside = ["queue", "find"].includes(work.tab);
  desk = h(
    "div",
    { class: beside ? "columns desk" : "desk" },
    h("div", { class: "side stack" }),
    beside && pane.node,
  );
  drawSide();
  pane.draw();
  return [
    h(
      "nav",
      { class: "views", "aria-label": t("desk.title") },
      h("ul", null, TABS.map(tab), shortcuts),
    ),
    h("h1", { tabindex: "-1", class: "small" }, t(`desk.tab.${work.tab}`)),
    desk,
  ];
}

function go(tab) {
  if (pane.row()) pane.close();
  work.tab = tab;
  work.note = "";
  show(view);
  if (tab === "held" && !work.held.rows?.some((row) => !row.done)) lookAtHeld();
}

function drawSide() {
  const { tab, search } = work;
  desk.classList.toggle("reading", Boolean(pane.row()));
  const side = desk.firstChild;
  if (tab === "invite") replace(side, invitations(work));
  else if (tab === "keys") replace(side, keyring());
  else if (tab === "held") replace(side, heldList(), note());
  else if (tab === "find") replace(side, finding(search, repaint), listed(), note());
  else replace(side, filter(), heldPlace, work.failure ? failed() : listed(), note());
  if (tab === "queue") drawHeldLink();
}

/** From the queue to what is held of partners' reports, where anything is. */
function drawHeldLink() {
  const n = waiting(work.held);
  const text = t("desk.held.count", { n }) + (work.held.more ? " (+)" : "");
  heldPlace.hidden = n === 0;
  replace(
    heldPlace,
    button(text, () => go("held"), { class: "link" }),
  );
}

function heldList() {
  const { nodes, press } = heldView(work.held, { say, reload: lookAtHeld });
  pressHeld = press;
  return nodes;
}

async function lookAtHeld() {
  const mine = work;
  work.held.rows = null;
  if (work.tab === "held") drawSide();
  await loadHeld(mine.held);
  if (mine !== work) return;
  // The queue itself stays as it is: somebody may be reading there.
  if (work.tab === "queue") drawHeldLink();
  else if (work.tab === "held") drawSide();
}

const note = () => h("p", { class: "did" }, work.note);

/** What is known of a report, in a line. */
function describe(id) {
  const row = [...(work.rows ?? []), ...work.search.rows].find((one) => one.id === id);
  return summary(id, row);
}

function filter() {
  const options = ["", ...STATUSES].map((one) => [one, t(`desk.show.${one || "waiting"}`)]);
  const change = (status) => {
    work.status = status;
    load();
  };
  return h("div", { class: "filter" }, [
    field(t("desk.show"), select(options, work.status, change)),
    button(t("desk.reload"), () => load()),
  ]);
}

function listed() {
  if (work.tab === "queue" && !work.rows)
    return h("p", { "aria-busy": "true" }, t("common.moment"));
  list = queueList(rows(), at(), { open, moved });
  return work.tab === "queue" && !rows().length ? h("p", null, t("desk.empty")) : list.node;
}

/** Asks for the queue, unless `rows` are given; goes to its first report. */
async function load(rows) {
  const mine = work;
  if (pane.row()) pane.close();
  Object.assign(work, { rows: rows ?? null, failure: null, note: "" });
  Object.assign(work.search, { shown: null, rows: [] }); // the worker forgets them, too
  work.at = { queue: 0, find: 0 };
  drawSide();
  try {
    rows ??= await ask("queue", { status: work.status || null });
  } catch (failure) {
    if (mine === work) fail(failure);
    return;
  }
  if (mine !== work || work.tab !== "queue") return;
  work.rows = rows;
  say(t("desk.count", { n: rows.length, waiting: rows.filter(waits).length }));
  drawSide();
  list.move(0);
  lookAtHeld();
}

function fail(failure) {
  work.failure = failure;
  drawSide();
}

function failed() {
  if (work.failure.code !== "mismatch") return sorry(work.failure);
  return failedView(work, { lock: () => lock() });
}

function say(sentence) {
  work.note = sentence;
  announce(sentence);
  const line = desk.querySelector(".did");
  if (line) replace(line, sentence);
}

function step(by) {
  const to = Math.min(Math.max(at() + by, 0), rows().length - 1);
  if (pane.row()) closeBeside();
  list.move(to);
}

function closeBeside() {
  pane.close();
  desk.classList.remove("reading");
}

function moved(i) {
  work.at[work.tab] = i;
  if (pane.row() && pane.row().id !== rows()[i].id) closeBeside();
}

function open(i) {
  work.at[work.tab] = i;
  say("");
  desk.classList.add("reading");
  pane.open(rows()[i]);
}

function openNext() {
  const here = rows()[at()];
  const next = !pane.row() && here && waits(here) ? at() : nextOf(rows(), at());
  if (next < 0) {
    say(t("desk.done"));
    return;
  }
  list.move(next);
  open(next);
}

function opened(row) {
  put(row);
}

function closed() {
  desk.classList.remove("reading");
  list.move(at());
}

function decided(row, sentence, here) {
  put(row);
  if (here) {
    desk.classList.remove("reading");
    const next = row.done ? nextOf(rows(), at()) : at();
    list.move(next < 0 ? at() : next);
  }
  say(sentence);
}

/** Puts what is known of a report now in the place of what was. */
function put(row) {
  for (const all of [work.rows ?? [], work.search.rows]) {
    all.forEach((one, i) => {
      const now = one.id === row.id ? row : beside(one, row);
      if (now === one) return;
      all[i] = now;
      if (all === rows()) list.update(i);
    });
  }
}

function showReport(id) {
  const i = rows().findIndex((row) => row.id === id);
  if (i < 0) {
    say(t("desk.same.elsewhere"));
    return;
  }
  list.move(i);
  open(i);
}

async function findAll(identifier) {
  const { search } = work;
  search.people = { ...nobody(), text: identifier.canonical };
  Object.assign(search, { shown: null, rows: [] });
  work.at.find = 0;
  go("find");
  try {
    await find(search, identifier, repaint);
  } catch (failure) {
    if (desk && work.search === search) say(explain(failure, "desk"));
  }
}
