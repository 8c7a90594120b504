import { config } from "./config.js";
import { language, setLanguage, t } from "./strings.js";

export { config };

const WITHIN = 2000; // milliseconds for Shift three times
const root = document.documentElement;
const leaving = [];

/** Has `forget` called when the page is left, whichever way. */
export const whenLeaving = (forget) => leaving.push(forget);

/**
 * Brings what is around every page to life: leaving, theme, language, links.
 * `render` shows the page anew in another language; without it the page is loaded again.
 * `orAsk(go)` calls `go` to follow a link of ours, or asks first where that would lose something.
 */
export function begin(render, orAsk = (go) => go()) {
  document.getElementById("leave").addEventListener("click", (event) => {
    event.preventDefault();
    leave();
  });
  leaveByShift();
  document.getElementById("theme").addEventListener("click", () => {
    root.className = root.className === "dark" ? "light" : "dark";
  });
  const chooser = document.getElementById("language");
  chooser.value = config.lang; // a browser may have brought back an older choice
  chooser.addEventListener("change", () => speak(chooser, render));
  document.querySelector(".skip").addEventListener("click", skip);
  document.addEventListener("click", (event) => followInPlace(event, orAsk));
  addEventListener("pagehide", forget);
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}

/** Leaves at once: nothing is left on the screen, in the worker, or in the tab's history. */
export function leave() {
  forget();
  document.title = "";
  location.replace(config.exit);
}

// Another page of ours, in the same language and theme.
function addressOf(path) {
  return `${path}?${new URLSearchParams({ lang: language(), theme: root.className })}`;
}

function forget() {
  for (const each of leaving) each();
  // Emptied first, for a browser that remembers fields by themselves.
  for (const field of document.querySelectorAll("input, textarea")) field.value = "";
  document.body.replaceChildren();
}

function leaveByShift() {
  let pressed = [];
  addEventListener("keydown", ({ key, repeat, timeStamp }) => {
    if (repeat) return;
    pressed = key === "Shift" ? [...pressed.slice(-2), timeStamp] : [];
    if (pressed.length === 3 && timeStamp - pressed[0] <= WITHIN) leave();
  });
}

async function speak(chooser, render) {
  const { code, dir } = config.languages.find((one) => one.code === chooser.value);
  if (!render) {
    const theme = root.className;
    location.replace(`${location.pathname}?${new URLSearchParams({ lang: code, theme })}`);
    return;
  }
  try {
    await setLanguage(code);
  } catch {
    chooser.value = language();
    return;
  }
  root.lang = code;
  root.dir = dir;
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
  }
  render();
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus(); // without an entry in the history
}

// One entry in the tab's history for the whole site: Back leads to what was before it.
function followInPlace(event, orAsk) {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { pathname } = new URL(link.href);
  const address = pathname.startsWith("/static/") ? pathname : addressOf(pathname);
  orAsk(() => location.replace(address));
}
