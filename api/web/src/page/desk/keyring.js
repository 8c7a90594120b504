import { h, replace } from "../dom.js";
import { call } from "../engine.js";
import { button } from "../fields.js";
import { copying } from "../keep.js";
import { t } from "../strings.js";
import { exact, part, sorry, wordList } from "./parts.js";
import { ask, lock, unlocked } from "./stage.js";

/** The view of her own keys: their words, a copy, the access line. */
export function keyring() {
  const { kid, words } = unlocked();
  const place = h("div");
  const reveal = async () => {
    try {
      const { line } = await ask("access");
      replace(place, copyable(line));
    } catch (failure) {
      replace(place, sorry(failure));
    }
  };
  return [
    part(t("desk.keys.words"), h("p", null, t("desk.keys.words.why")), wordList(words)),
    part(
      t("desk.keys.copy"),
      backup(kid, () => lock("desk.removed")),
    ),
    part(
      t("desk.keys.access"),
      h("p", null, t("desk.keys.access.why")),
      h("div", { class: "actions" }, button(t("desk.keys.access.show"), reveal)),
      place,
    ),
  ];
}

/** Saving the encrypted keys of `kid` as a file, and removing them from this device. */
export function backup(kid, removed) {
  const place = h("div", { class: "stack" });
  const attempt = (work) => async () => {
    try {
      await work();
    } catch (failure) {
      replace(place, sorry(failure));
    }
  };
  const save = attempt(async () => {
    const { keys } = await call("desk.export", { kid });
    download(keys);
    replace(place, h("p", { role: "status" }, t("desk.keys.saved")), copyable(keys));
  });
  const remove = attempt(async () => {
    await call("desk.remove", { kid });
    removed();
  });
  const sure = () => {
    const yes = button(t("desk.keys.remove.yes"), remove);
    const no = button(t("common.cancel"), () => replace(place));
    replace(
      place,
      h("p", null, t("desk.keys.remove.sure")),
      h("div", { class: "actions" }, yes, no),
    );
    no.focus();
  };
  return [
    h("p", null, t("desk.keys.copy.why")),
    h("div", { class: "actions" }, [
      button(t("desk.keys.save"), save),
      button(t("desk.keys.remove"), sure),
    ]),
    place,
  ];
}

/** A secret line, shown and with a button that copies it. */
export function copyable(line) {
  const shown = exact(line, "line");
  return h(
    "div",
    { class: "copyable" },
    shown,
    copying(shown, () => line),
  );
}

function download(keys) {
  const url = URL.createObjectURL(new Blob([keys], { type: "text/plain" }));
  h("a", { href: url, download: "keys.txt" }).click();
  URL.revokeObjectURL(url);
}
