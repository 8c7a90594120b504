import { h } from "../dom.js";
import { call } from "../engine.js";
import { button, complain, field, form, quiet } from "../fields.js";
import { t } from "../strings.js";
import { backup } from "./keyring.js";
import { attempt, folded, passphraseInput, submit, wordList } from "./parts.js";
import { ask, begin, lock, show, unlocked } from "./stage.js";
import { enter } from "./work.js";

const SHORTEST = 12; // characters of a passphrase

const pasted = (rows) => h("textarea", { ...quiet, rows, dir: "ltr", translate: "no" });

// What was pasted may be a whole message.
const lineIn = ({ value }) => value.split(/\s+/).find((word) => /join#|^psl_/.test(word)) ?? value;

/** Goes where a moderator can go on who has unlocked her keys: `me` is what `desk.unlock` gave. */
export function arrive(me) {
  begin(me);
  if (me.state === "active") enter();
  else show(waiting);
}

/** The view in which a moderator redeems her invitation and makes her keys. */
export function join(door) {
  const line = pasted(4);
  const first = passphraseInput();
  const second = passphraseInput();
  const make = (node) => {
    if (!complain(node, problems(line, first.input, second.input))) return;
    second.take();
    const asked = { invitation: lineIn(line), passphrase: first.take() };
    const work = async () => arrive({ state: "pending", ...(await call("desk.join", asked)) });
    attempt(node, t("desk.join.working"), work, {
      "invalid-invitation": line,
      "other-address": line,
      "weak-passphrase": first.input,
    });
  };
  return [
    h("h1", { tabindex: "-1" }, t("desk.join")),
    form(
      make,
      field(t("desk.join.line"), line, t("desk.join.line.hint")),
      field(
        t("desk.join.passphrase"),
        first.input,
        t("desk.join.passphrase.hint", { n: SHORTEST }),
      ),
      field(t("desk.join.again"), second.input),
      h("div", { class: "actions" }, submit(t("desk.join.go")), back(door)),
    ),
  ];
}

function problems(line, first, second) {
  if (!line.value.trim()) return [[line, t("desk.join.line.missing")]];
  if ([...first.value].length < SHORTEST) return [[first, t("failure.weak-passphrase")]];
  if (first.value !== second.value) return [[second, t("desk.join.differs")]];
  return [];
}

/** The view in which a moderator brings the key file and the access of the command line. */
export function bring(door) {
  const keys = pasted(4);
  const line = pasted(3);
  const file = h("input", { type: "file" });
  file.addEventListener("change", async () => {
    keys.value = (await file.files[0]?.text()) ?? "";
  });
  const { input, take } = passphraseInput();
  const take_in = (node) => {
    const empty = [keys, line, input].filter((one) => !one.value.trim());
    if (
      !complain(
        node,
        empty.map((one) => [one, t("desk.bring.missing")]),
      )
    )
      return;
    const passphrase = take();
    const brought = { keys: keys.value.trim(), access: lineIn(line), passphrase };
    const work = async () => {
      const { kid } = await call("desk.bring", brought);
      arrive(await call("desk.unlock", { kid, passphrase }));
    };
    attempt(node, t("desk.unlocking"), work, { "wrong-passphrase": input, malformed: keys });
  };
  return [
    h("h1", { tabindex: "-1" }, t("desk.bring")),
    h("p", null, t("desk.bring.how")),
    form(
      take_in,
      field(t("desk.bring.file"), file),
      field(t("desk.bring.keys"), keys),
      field(t("desk.bring.line"), line, t("desk.bring.line.hint")),
      field(t("desk.passphrase"), input),
      h("div", { class: "actions" }, submit(t("desk.bring.go")), back(door)),
    ),
  ];
}

const back = (door) => button(t("common.back"), () => door());

/** The view of a moderator who can't decide: her keys wait to be signed, or have ended. */
function waiting() {
  const { kid, words, state } = unlocked();
  const place = h("p", { class: "notice", role: "status", hidden: true });
  const look = (node) => attempt(node, t("desk.pending.looking"), () => lookAgain(place));
  return [
    h("h1", { tabindex: "-1" }, t(`desk.${state}`)),
    h("p", null, t(`desk.${state}.why`)),
    state === "pending" && [
      wordList(words),
      h("p", null, t("desk.pending.wait")),
      place,
      form(look, h("div", { class: "actions" }, submit(t("desk.pending.again")))),
    ],
    folded(
      t("desk.keys.more"),
      backup(kid, () => lock("desk.removed")),
    ),
  ];
}

async function lookAgain(place) {
  place.hidden = true;
  try {
    enter(await ask("queue", { status: null }));
  } catch (failure) {
    if (!["forbidden", "not-listed"].includes(failure.code)) throw failure;
    place.hidden = false;
    place.textContent = t("desk.pending.still");
  }
}
