import { whenLeaving } from "../chrome.js";
import { announce, focusOn, h, replace } from "../dom.js";
import { call } from "../engine.js";
import { button } from "../fields.js";
import { t } from "../strings.js";

const IDLE = 15 * 60_000; // milliseconds without a key or a touch
const HIDDEN = 5 * 60_000; // milliseconds in the background
const LOOK = 15_000;

const main = document.getElementById("main");
const lockButton = button("", () => lock(), { id: "lock" });
let view = () => [];
let whenLocked = () => {};
let me = null;
let used = 0;
let hidden = 0;

/**
 * Puts the view `next` in the place of the one shown, and says `news`; `next` is called again for
 * another language.
 */
export function show(next, news) {
  view = next;
  announce(news ?? ""); // else what was said before would stay
  repaint();
  scrollTo(0, 0);
  focusOn(main.querySelector("h1"));
}

/** Shows the same view anew. */
export function repaint() {
  lockButton.textContent = t("desk.lock");
  replace(main, view());
}

/** Shows the same view anew in another language; what was typed into it stays. */
export function respeak() {
  const typed = controls().map(({ type, value, checked }) => ({ type, value, checked }));
  repaint();
  const anew = controls();
  if (anew.length === typed.length) anew.forEach((control, i) => fill(control, typed[i]));
}

const controls = () => [...main.querySelectorAll("input:not([type=file]), textarea")];

// By the events of a person's own hand, for whoever listens to them.
function fill(control, { type, value, checked }) {
  if (control.type !== type) return;
  if (control.checked !== checked && (checked || type === "checkbox")) control.click();
  if (control.value === value) return;
  control.value = value;
  control.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Who is unlocked: `{kid, words, collective, moderator, state}`, or null. */
export const unlocked = () => me;

/** Begins a session of `who`, with a Lock button beside Leave. */
export function begin(who) {
  me = who;
  used = Date.now();
  document.getElementById("leave").after(lockButton);
}

/** Ends the session at once; `why` is a key of the sentence that the door then shows. */
export function lock(why = "desk.locked") {
  if (!me) return;
  me = null;
  lockButton.remove();
  // First what is on the screen: the worker may be in the middle of something.
  show(() => [h("h1", { tabindex: "-1" }, t("desk.title"))]);
  call("desk.lock").catch(() => {});
  whenLocked(why);
}

/** Calls `desk.METHOD` of the worker, as `call`; where that has locked itself, so does the page. */
export async function ask(method, params, onProgress) {
  try {
    return await call(`desk.${method}`, params, onProgress);
  } catch (failure) {
    if (failure.code === "locked") lock("desk.locked.idle");
    throw failure;
  }
}

/** Locks by itself what nobody uses; `door(why)` is called after every lock. */
export function guard(door) {
  whenLocked = door;
  for (const kind of ["keydown", "pointerdown"]) {
    addEventListener(kind, () => (used = Date.now()), true);
  }
  document.addEventListener("visibilitychange", () => {
    look();
    hidden = document.hidden ? Date.now() : 0;
  });
  // By the clock and not by one long timer: a sleeping device stops timers.
  const timer = setInterval(look, LOOK);
  whenLeaving(() => {
    clearInterval(timer);
    me = null;
    view = () => [];
  });
}

function look() {
  if (hidden && Date.now() - hidden > HIDDEN) lock("desk.locked.hidden");
  if (Date.now() - used > IDLE) lock("desk.locked.idle");
}
