import { h, replace } from "../dom.js";
import { complain, field, form, quiet } from "../fields.js";
import { t } from "../strings.js";
import { copyable } from "./keyring.js";
import { attempt, exact, part, submit } from "./parts.js";
import { ask } from "./stage.js";

const MOST = 20; // invitations at once
const ID = /^[0-9a-f]{32}$/;

/**
 * The view in which members are invited, and their access is ended. What is made stands in
 * `work.made` until the desk is locked: it can be shown by nobody else again.
 */
export function invitations(work) {
  return [part(t("desk.invite"), inviting(work)), part(t("desk.end"), ending())];
}

function inviting(work) {
  const count = h("input", { ...quiet, type: "number", min: 1, max: MOST, value: "1" });
  const place = h("div", { class: "stack" });
  const invite = (node) => {
    const n = count.valueAsNumber;
    const right = Number.isInteger(n) && n >= 1 && n <= MOST;
    if (!complain(node, right ? [] : [[count, t("desk.invite.wrong", { most: MOST })]])) return;
    attempt(node, t("common.moment"), async () => {
      work.made = [...(await ask("invite", { count: n })), ...work.made];
      show();
    });
  };
  const show = () => {
    const { made } = work;
    const one = ({ id, line }) =>
      h(
        "li",
        { class: "card stack" },
        copyable(line),
        h("p", null, t("desk.invite.id"), " ", exact(id)),
      );
    replace(
      place,
      h("p", { role: "status" }, t("desk.invite.made", { n: made.length })),
      h("ol", { class: "list stack" }, made.map(one)),
    );
  };
  if (work.made.length) show();
  return [
    form(
      invite,
      field(t("desk.invite.count"), count, t("desk.invite.hint", { most: MOST })),
      h("div", { class: "actions" }, submit(t("desk.invite.go"))),
    ),
    place,
  ];
}

function ending() {
  const id = h("input", { ...quiet, dir: "ltr" });
  const place = h("p", { role: "status" });
  let sure = false;
  const go = submit(t("desk.end.go"));
  const end = (node) => {
    const typed = id.value.trim().toLowerCase();
    if (!complain(node, ID.test(typed) ? [] : [[id, t("desk.end.wrong")]])) return;
    if (!sure) return ask_first();
    turn(false);
    attempt(node, t("common.moment"), async () => {
      await ask("endMember", { id: typed });
      id.value = "";
      replace(place, t("desk.end.done"));
    });
  };
  const turn = (now) => {
    sure = now;
    go.textContent = t(now ? "desk.end.yes" : "desk.end.go");
  };
  const ask_first = () => {
    turn(true);
    replace(place, t("desk.end.sure"));
  };
  id.addEventListener("input", () => {
    turn(false);
    replace(place);
  });
  return form(
    end,
    field(t("desk.end.id"), id, t("desk.end.hint")),
    place,
    h("div", { class: "actions" }, go),
  );
}
