import { begin, whenLeaving } from "./chrome.js";
import { config } from "./config.js";
import { ready } from "./engine.js";
import { h } from "./dom.js";
import { door } from "./desk/door.js";
import { listen } from "./desk/keyboard.js";
import { guard, show } from "./desk/stage.js";
import { forget, press, respeak } from "./desk/work.js";
import { setLanguage, t } from "./strings.js";

begin(respeak);
whenLeaving(forget);
start();

async function start() {
  try {
    await setLanguage(config.lang);
  } catch {
    document.getElementById("main").classList.add("stuck"); // the shell's own words stay
    return;
  }
  try {
    if (!globalThis.WebAssembly) throw new Error("no means");
    await ready;
  } catch {
    show(unable);
    return;
  }
  guard((why) => {
    forget();
    door(why);
  });
  listen(press);
  await door();
}

function unable() {
  return [
    h("h1", { tabindex: "-1" }, t("unable.title")),
    ["shell.why.desk", "unable.do", "contact"].map((key) => h("p", null, t(key))),
  ];
}
