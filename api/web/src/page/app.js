import { begin, whenLeaving } from "./chrome.js";
import { check } from "./check.js";
import { config } from "./config.js";
import { announce, focusOn, h, replace } from "./dom.js";
import { call, ready } from "./engine.js";
import { entry } from "./entry.js";
import { couldNot } from "./failing.js";
import { button } from "./fields.js";
import { access, offer } from "./keep.js";
import { setLanguage, t } from "./strings.js";

const PARTS = {
  report: () => import("./report.js"),
  receipt: () => import("./receipt.js"),
};
const VIEWS = {
  entry,
  offer,
  check,
  access,
  unable,
  report: fetched("report"),
  receipt: fetched("receipt"),
};
const main = document.getElementById("main");

/**
 * What all views share. `session` is `{role, collective}` while signed in; `kept`: on this device;
 * `carried`: she has her access line; `drafts` is what was typed, by view, and nowhere else;
 * `region` the country chosen last; `notice` the key of what the next view says first.
 */
const app = {
  view: null,
  session: null,
  kept: false,
  carried: false,
  invitation: takeInvitation(),
  drafts: {},
  region: "",
  notice: "",

  /** Shows the view again, and goes to its heading. */
  draw() {
    announce(""); // what was said of the view before
    render();
    scrollTo(0, 0);
    const heading = main.querySelector("h1");
    if (heading) focusOn(heading);
  },

  /** Goes to a view. */
  go(view) {
    app.view = view;
    app.draw();
    app.notice = "";
  },

  /** Is signed in from here on. */
  enter(session, view) {
    Object.assign(app, { session, invitation: null, carried: false, notice: "" });
    delete app.drafts.entry;
    delete app.drafts.offer;
    app.go(view);
    // While the network is there.
    for (const load of Object.values(PARTS)) load().catch(() => {});
  },

  /** Is signed out from here on; what was typed stays only if `typed` says so. */
  exit(notice, typed = {}) {
    Object.assign(app, { session: null, notice, drafts: typed });
    app.go("entry");
  },

  /** Leads to the entry if that is what a failure is about; false if it is about something else. */
  signedOut({ code }) {
    if (code !== "signed-out" && code !== "unauthenticated") return false;
    const entry = { line: "", other: code === "unauthenticated", dropping: false };
    const notice = code === "unauthenticated" ? "entry.ended" : "entry.signed-out";
    app.exit(notice, { ...app.drafts, entry });
    return true;
  },
};

begin(() => app.view && render(), orAsk);
whenLeaving(() => Object.assign(app, { session: null, invitation: null, drafts: {} }));
start();

async function start() {
  try {
    await setLanguage(config.lang);
  } catch {
    main.classList.add("stuck"); // the shell's own words stay
    return;
  }
  try {
    if (!able()) throw new Error("no means");
    await ready;
    app.view = "entry";
  } catch {
    app.view = "unable";
    render();
    return;
  }
  // Where nothing can be kept, nothing is.
  const { kept } = await call("start").catch(() => ({ kept: [] }));
  app.kept = kept.some(({ id }) => id === "member");
  render();
}

const able = () =>
  [globalThis.WebAssembly, globalThis.BigInt, globalThis.crypto?.getRandomValues].every(Boolean);

function render() {
  replace(main, navigation(), VIEWS[app.view](app));
}

function navigation() {
  if (app.view === "unable" || app.view === "offer" || unkept()) return null;
  const names = app.session ? ["check", "report", "receipt", "access"] : ["entry", "receipt"];
  const buttons = names.map((name) => {
    const current = name === app.view && "page";
    return h(
      "li",
      null,
      button(t(`nav.${name}`), () => app.go(name), { "aria-current": current }),
    );
  });
  return h("nav", { class: "views", "aria-label": t("nav.label") }, h("ul", null, buttons));
}

/** True while a receipt is shown that is to be kept first. */
const unkept = () => app.view === "report" && app.drafts.report?.phase === "sent";

/** A view whose module is fetched when it is first needed. */
function fetched(name) {
  let view = null;
  const show = (module) => {
    view = module[name];
    if (app.view === name) app.draw();
  };
  const fail = () => {
    // A browser does not ask again for a module that it once could not have.
    const again = () => orAsk(() => location.reload());
    const shown = couldNot(t("common.failed"), { code: "offline" }, { again });
    if (app.view === name) replace(main, navigation(), shown);
  };
  return () => {
    if (view) return view(app);
    PARTS[name]().then(show, fail);
    return h("h1", { tabindex: "-1" }, t("common.moment"));
  };
}

function unable() {
  return [
    h("h1", { tabindex: "-1" }, t("unable.title")),
    ["unable.why", "unable.do", "contact"].map((key) => h("p", null, t(key))),
  ];
}

/** Takes the invitation out of the address, before anything else could keep it; null without one. */
function takeInvitation() {
  const { hash, origin, pathname, search } = location;
  if (pathname !== "/join") return null;
  history.replaceState(null, "", `/${search}`);
  return hash.length > 1 ? `${origin}/join${hash}` : null;
}

/** Goes, but asks first where that would lose what can't be had again. */
function orAsk(go) {
  const why = unkept() ? "going.unkept" : app.session && !app.kept && !app.carried && "going.why";
  if (!why) {
    go();
    return;
  }
  const dialog = h("dialog", { "aria-labelledby": "going", class: "stack" }, [
    h("h2", { id: "going" }, t("going.title")),
    h("p", null, t(why)),
    h("div", { class: "actions" }, [
      button(t("going.stay"), () => dialog.close(), { class: "main" }),
      button(t("going.go"), go),
    ]),
  ]);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
