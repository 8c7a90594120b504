import { announce, h } from "../dom.js";
import { complain, form } from "../fields.js";
import { people } from "../people.js";
import { t } from "../strings.js";
import { attempt, exact, submit } from "./parts.js";
import { ask } from "./stage.js";

/**
 * The form that looks for the collective's reports about a number or e-mail address, in any status.
 * `search` is `{people, region, shown, rows}`; `found()` is called when rows have come.
 */
export function finding(search, found) {
  const { nodes, read } = people(search, search.people, 1);
  const go = (node) => {
    const work = async () => {
      const { people: chosen, problems } = await read();
      if (complain(node, problems)) await find(search, chosen[0], found);
    };
    return attempt(node, t("common.moment"), work);
  };
  return [
    form(go, nodes, h("div", { class: "actions" }, submit(t("desk.find.go")))),
    search.shown &&
      h("p", { class: "about" }, exact(search.shown, "identifier"), " ", count(search)),
  ];
}

const count = ({ rows }) => t("desk.find.count", { n: rows.length });

/** Fills `search` with the reports about an identifier `{kind, canonical, shown}`. */
export async function find(search, { kind, canonical, shown }, found) {
  search.rows = await ask("find", { kind, canonical });
  search.shown = shown;
  found();
  announce(`${shown} ${count(search)}`);
}
