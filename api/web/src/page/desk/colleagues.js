import { h } from "../dom.js";
import { choice, form } from "../fields.js";
import { t } from "../strings.js";
import { attempt, exact, folded, submit } from "./parts.js";

/**
 * Colleagues `{kid, id, words}` who joined later and can't read a report. Each one's words are
 * compared one by one before she is let in, once in a session: `compared` holds their kids.
 * `letIn(colleague)` does it.
 */
export const colleagues = (excluded, compared, letIn) =>
  excluded.map((one) => colleague(one, compared, letIn));

function colleague(one, compared, letIn) {
  const who = one.id;
  const known = compared.has(one.kid);
  const go = submit(t("desk.excluded.let", { who }));
  go.disabled = !known;
  const work = async () => {
    await letIn(one);
    compared.add(one.kid);
  };
  return folded(
    t("desk.excluded", { who }),
    form(
      (node) => attempt(node, t("common.moment"), work),
      h("p", null, t(known ? "desk.excluded.known" : "desk.excluded.why", { who })),
      !known && comparing(one.words, (all) => (go.disabled = !all)),
      h("div", { class: "actions" }, go),
    ),
  );
}

function comparing(words, whenAll) {
  const boxes = () => [...list.querySelectorAll("input")];
  const changed = () => whenAll(boxes().every((box) => box.checked));
  const item = (word) => {
    const label = exact(word, "word");
    return h("li", null, choice("checkbox", "", { value: word, label }, changed));
  };
  const list = h("ol", { class: "words compare" }, words.split(/[ /]+/).map(item));
  return h("fieldset", { class: "field" }, h("legend", null, t("desk.excluded.compare")), list);
}
