import { countries } from "./countries.js";
import { h, replace } from "./dom.js";
import { choices, field, freshId, quiet, select } from "./fields.js";
import { atMost } from "./people.js";
import { shape } from "./shapes.js";
import { t } from "./strings.js";
import { explain, monthName, months, SEVERITIES } from "./wording.js";

const MOST_CATEGORIES = 4;
const LONGEST_TEXT = 20_000;
const FLAGS = ["weapon", "more_than_one_person", "repeat", "injury", "children_present"];
const ACTORS = ["client", "posing_as_client", "third_party", "authority", "unknown"];

/** The step that asks what happened. Returns `{nodes, problems}`, problems as for `complain`. */
export function what(draft) {
  const month = select([], "", (value) => (draft.month = value));
  const grave = severities(draft, () => offerMonths(draft, month));
  const kinds = categories(draft, () => {
    if (!draft.byHand) propose(draft, grave);
    offerMonths(draft, month);
  });
  offerMonths(draft, month);
  draft.fields.month = month;
  draft.fields.text = h("textarea", { ...quiet, rows: 8, dir: "auto", value: draft.text });
  const problems = () => [
    ...(draft.categories.length ? [] : [[kinds, t("report.categories.missing")]]),
    ...(draft.severity ? [] : [[grave, t("report.severity.missing")]]),
    ...(draft.month ? [] : [[month, t("report.month.missing")]]),
    ...(length(draft) <= LONGEST_TEXT
      ? []
      : [[draft.fields.text, explain({ code: "account-too-long" })]]),
  ];
  return {
    nodes: [kinds, grave, field(t("report.month"), month), account(draft), more(draft)],
    problems,
  };
}

/** Words for a severity, with its shape. */
export const severityLabel = (severity) => [shape(severity), " ", t(`severity.${severity}`)];

function categories(draft, onChange) {
  const change = (id, checked) => {
    draft.categories = draft.categories.filter((one) => one !== id);
    if (checked) draft.categories.push(id);
    atMost(whole, MOST_CATEGORIES);
    onChange();
  };
  const groups = SEVERITIES.map((severity) => {
    const options = draft.offered.categories
      .filter((one) => one.severity === severity)
      .map(({ id, shared }) => ({
        value: id,
        label: [t(`category.${id}`), shared === "never" && id !== "other" && ` ${t("report.own")}`],
        checked: draft.categories.includes(id),
      }));
    return options.length > 0 && choices("checkbox", severityLabel(severity), options, change);
  });
  const id = freshId();
  const whole = h(
    "fieldset",
    { class: "field", id },
    h("legend", null, t("report.categories")),
    groups,
  );
  atMost(whole, MOST_CATEGORIES);
  return whole;
}

function severities(draft, onChange) {
  const options = SEVERITIES.map((value) => ({
    value,
    label: severityLabel(value),
    checked: draft.severity === value,
  }));
  const change = (value) => {
    Object.assign(draft, { severity: value, byHand: true });
    onChange();
  };
  return choices("radio", t("report.severity"), options, change, t("report.severity.hint"));
}

/** Takes the worst that the chosen categories usually are, until she says otherwise. */
function propose(draft, radios) {
  const usual = draft.offered.categories
    .filter(({ id }) => draft.categories.includes(id))
    .map(({ severity }) => severity);
  draft.severity = SEVERITIES.find((one) => usual.includes(one)) ?? "";
  for (const radio of radios.querySelectorAll("input")) {
    radio.checked = radio.value === draft.severity;
  }
  radios.dispatchEvent(new Event("input")); // what was missing is there
}

/** Offers the months in which it can have happened; a chosen one that is none of them is dropped. */
function offerMonths(draft, node) {
  const values = months(draft.offered.today, draft.severity || "danger");
  if (!values.includes(draft.month)) draft.month = "";
  const options = values.map((value) => h("option", { value }, monthName(value)));
  replace(node, h("option", { value: "" }, t("common.choose")), options);
  node.value = draft.month;
}

const length = (draft) => [...draft.text.trim()].length;

function account(draft) {
  const { text } = draft.fields;
  const count = h("p", { class: "hint" });
  const tell = () => {
    replace(count, t("report.text.count", { n: length(draft), most: LONGEST_TEXT }));
  };
  text.addEventListener("input", () => {
    draft.text = text.value;
    tell();
  });
  tell();
  return h("div", null, field(t("report.text"), text, t("report.text.hint")), count);
}

function more(draft) {
  const change = (flag, checked) => {
    draft.flags = draft.flags.filter((one) => one !== flag);
    if (checked) draft.flags.push(flag);
  };
  const flags = FLAGS.map((value) => ({
    value,
    label: t(`flag.${value}`),
    checked: draft.flags.includes(value),
  }));
  const actors = ACTORS.map((value) => [value, t(`actor.${value}`)]);
  const area = h("div");
  countries("").then((options) => {
    const chosen = (value) => (draft.area = value);
    replace(
      area,
      field(t("report.area"), select(options, draft.area, chosen, t("report.area.none"))),
    );
  });
  const open = draft.flags.length > 0 || draft.actor !== "unknown" || draft.area !== "";
  return h("details", { open }, h("summary", null, t("report.more")), [
    choices("checkbox", t("report.flags"), flags, change),
    field(
      t("report.actor"),
      select(actors, draft.actor, (value) => (draft.actor = value)),
    ),
    area,
  ]);
}
