import { h, replace } from "../dom.js";
import { choices, field, select } from "../fields.js";
import { t } from "../strings.js";
import { atMost } from "../people.js";
import { usualSeverity } from "./docket.js";
import { month } from "./parts.js";

const MOST = 4; // categories of a report
const OLDEST = 60; // months: as long as a danger report can count

/**
 * What a moderator corrects before she signs; `pane.known` is the worker's `categories()`. Her
 * choice is in `pane.correction` `{categories, severity, month}`; `corrected()` is told of each.
 */
export function correcting(pane, corrected) {
  const { row, known } = pane;
  const reported = row.categories.filter((one) => one !== "other");
  const place = h("div", { class: "stack" });
  const now = () =>
    pane.correction ?? { categories: reported, severity: row.severity, month: row.month };
  const change = (members) => {
    pane.correction = { ...now(), ...members };
    corrected();
  };
  const choose = (id, checked) => {
    const others = now().categories.filter((one) => one !== id);
    const chosen = checked ? [...others, id] : others;
    const severity = usualSeverity(chosen, row.severity, known.categories);
    change({ categories: chosen, severity });
    draw();
  };
  const draw = () =>
    replace(
      place,
      severities(now(), row, (severity) => change({ severity })),
    );
  const set = choices(
    "checkbox",
    t("desk.correct.categories"),
    options(known, now()),
    (id, checked) => {
      choose(id, checked);
      atMost(set, MOST);
    },
  );
  atMost(set, MOST);
  draw();
  const when = select(months(row.month, known.today), now().month, (value) =>
    change({ month: value }),
  );
  return h(
    "details",
    { class: "correcting", open: Boolean(pane.correction) || !reported.length },
    h("summary", null, t("desk.correct")),
    h("div", { class: "stack" }, set, place, field(t("desk.fact.month"), when)),
  );
}

function options(known, { categories }) {
  return known.categories
    .filter(({ id }) => id !== "other")
    .map(({ id }) => ({ value: id, label: t(`category.${id}`), checked: categories.includes(id) }));
}

function severities(now, row, choose) {
  const graver = now.severity !== row.severity;
  const shown = ["danger", "risk", "nuisance"].map((one) => ({
    value: one,
    label: t(`severity.${one}`),
    checked: one === now.severity,
  }));
  const hint = graver
    ? t("desk.correct.proposed", { severity: t(`severity.short.${now.severity}`) })
    : null;
  return choices("radio", t("desk.fact.severity"), shown, choose, hint);
}

function months(reported, today) {
  const [year, number] = today.split("-").map(Number);
  const all = Array.from({ length: OLDEST + 1 }, (_, ago) => {
    return new Date(Date.UTC(year, number - 1 - ago)).toISOString().slice(0, 7);
  });
  if (!all.includes(reported)) all.push(reported);
  return all.map((one) => [one, month(one)]);
}
