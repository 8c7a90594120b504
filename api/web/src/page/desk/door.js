import { h, replace } from "../dom.js";
import { call } from "../engine.js";
import { button, choices, complain, field, form } from "../fields.js";
import { t } from "../strings.js";
import { explain } from "../wording.js";
import { arrive, bring, join } from "./joining.js";
import { backup } from "./keyring.js";
import { attempt, folded, part, passphraseInput, submit } from "./parts.js";
import { show } from "./stage.js";

/** The view before a session: unlocking, joining, bringing keys. `why` is a key of a sentence. */
export async function door(why) {
  let kept = [];
  let failure = null;
  try {
    kept = await call("desk.kept");
  } catch (refusal) {
    failure = refusal;
  }
  show(
    () => [
      h("h1", { tabindex: "-1" }, t("desk.title")),
      why && h("p", { class: "notice" }, t(why)),
      failure && h("p", { class: "error" }, explain(failure, "desk")),
      kept.length ? unlocking(kept) : !failure && h("p", null, t("desk.none")),
      part(
        t("desk.others"),
        h("div", { class: "actions" }, [
          button(t("desk.join"), () => show(() => join(door))),
          button(t("desk.bring"), () => show(() => bring(door))),
        ]),
      ),
    ],
    why && t(why),
  );
}

function unlocking(kept) {
  let chosen = kept[0].kid;
  const { input, take } = passphraseInput();
  const aside = h("div", { class: "stack" });
  const showAside = () =>
    replace(
      aside,
      backup(chosen, () => door("desk.removed")),
    );
  const choose = (kid) => {
    chosen = kid;
    showAside();
  };
  const options = kept.map(({ kid, words }) => {
    const label = h("bdi", { lang: "en", translate: "no" }, words, " …");
    return { value: kid, label, checked: kid === chosen };
  });
  const unlock = (node) => {
    if (!complain(node, input.value ? [] : [[input, t("desk.passphrase.missing")]])) return;
    const asked = { kid: chosen, passphrase: take() };
    attempt(node, t("desk.unlocking"), async () => arrive(await call("desk.unlock", asked)), {
      "wrong-passphrase": input,
    });
  };
  showAside();
  return [
    form(
      unlock,
      kept.length > 1
        ? choices("radio", t("desk.whose"), options, choose)
        : h("p", null, t("desk.whose"), " ", options[0].label),
      field(t("desk.passphrase"), input),
      h("div", { class: "actions" }, submit(t("desk.unlock"))),
    ),
    folded(t("desk.keys.more"), aside),
  ];
}
