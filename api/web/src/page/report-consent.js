import { h, replace } from "./dom.js";
import { choices, field, select } from "./fields.js";
import { isolated } from "./people.js";
import { severityLabel } from "./report-what.js";
import { language, t } from "./strings.js";
import { monthName } from "./wording.js";

const LONGEST_WAIT = 30;

/** The step that asks what is allowed. Returns `{nodes, problems}`, problems as for `complain`. */
export function consent(draft) {
  const wait = h("div");
  const showWait = () => {
    const warned = draft.warn === "network" || draft.warn === "local";
    replace(wait, warned && waiting(draft));
  };
  const ask = (name, values, onChange) => {
    const options = values.map((value) => ({
      value,
      label: t(`report.${name}.${value}`),
      checked: draft[name] === value,
    }));
    const change = (value) => {
      draft[name] = value;
      onChange?.();
    };
    return choices("radio", t(`report.${name}`), options, change);
  };
  const warn = ask("warn", ["network", "local", "statistics", "none"], showWait);
  showWait();
  return {
    nodes: [
      warn,
      wait,
      ask("police", ["never", "anonymous", "contact_me"]),
      ask("research", ["no", "yes"]),
      summary(draft),
    ],
    problems: () => (draft.warn ? [] : [[warn, t("report.warn.missing")]]),
  };
}

function waiting(draft) {
  const days = Array.from({ length: LONGEST_WAIT + 1 }, (_, n) => [
    String(n),
    n ? t("report.wait.days", { n }) : t("report.wait.0"),
  ]);
  const chosen = select(days, draft.wait, (value) => (draft.wait = value));
  return field(t("report.wait"), chosen, t("report.wait.hint"));
}

function summary(draft) {
  const list = new Intl.ListFormat(language(), { type: "unit" });
  const names = draft.who.map((one) => h("li", null, isolated(one)));
  return h("section", { class: "card" }, [
    h("h2", null, t("report.summary")),
    h("ul", null, names),
    h("p", null, list.format(draft.categories.map((id) => t(`category.${id}`)))),
    h("p", null, monthName(draft.month)),
    h("p", { class: `sev-${draft.severity}` }, severityLabel(draft.severity)),
  ]);
}
