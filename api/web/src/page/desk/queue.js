import { h, replace } from "../dom.js";
import { t } from "../strings.js";
import { categories, exact, month, severity, short } from "./parts.js";
import { isOpen } from "./docket.js";

/**
 * The list of `rows`, of which one is the current one: only that can be reached with Tab, the
 * others with the arrow keys. `open(i)` is called for a press, `moved(i)` when another is current.
 * Returns `{node, move(i), update(i)}`; `move` also takes the focus there.
 */
export function queueList(rows, at, { open, moved }) {
  const press = (i) => () => open(i);
  const buttons = rows.map((row, i) => {
    const on = { click: press(i), focus: () => become(i) };
    const props = { type: "button", class: row.done ? "entry done" : "entry", tabindex: "-1", on };
    return h("button", props, summary(row));
  });
  mark(buttons[at], true);

  function become(i) {
    if (i === at) return;
    mark(buttons[at], false);
    at = i;
    mark(buttons[at], true);
    moved(i);
  }

  return {
    node: h(
      "ol",
      { class: "queue" },
      buttons.map((one) => h("li", null, one)),
    ),
    move: (i) => buttons[i]?.focus(),
    update(i) {
      buttons[i].classList.toggle("done", Boolean(rows[i].done));
      replace(buttons[i], summary(rows[i]));
    },
  };
}

function mark(button, current) {
  if (!button) return;
  button.tabIndex = current ? 0 : -1;
  if (current) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

function summary(row) {
  return [
    h("span", { class: "what" }, severity(row.severity), " ", categories(row.categories)),
    h(
      "span",
      { class: "about" },
      about(row).flatMap((one) => [one, " "]),
    ),
  ];
}

function about(row) {
  const { approvals, needed } = row;
  const same = row.same_reporter.length;
  return [
    row.overdue && badge("overdue", t("desk.row.overdue")),
    row.done && !row.pending && badge("done", t("desk.row.done")),
    row.signed_by_me && badge("signed", t("desk.row.mine")),
    !row.readable && badge("locked", t("desk.row.unreadable")),
    row.pending && badge("pending", t(`desk.row.${row.pending}`)),
    h("span", null, month(row.month)),
    !isOpen(row) && h("span", null, t(`status.${row.status}`)),
    signing(row) && h("span", null, t("desk.row.signatures", { n: approvals, needed })),
    same > 0 && h("span", null, t("desk.row.same", { n: same })),
    exact(short(row.id)),
  ].filter(Boolean);
}

const signing = (row) => row.pending || (isOpen(row) && row.needed > 1);

const badge = (kind, text) => h("span", { class: `badge ${kind}` }, text);
