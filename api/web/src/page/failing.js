import { announce, h } from "./dom.js";
import { button } from "./fields.js";
import { shape } from "./shapes.js";
import { t } from "./strings.js";
import { explain, helpsAgain } from "./wording.js";

/**
 * What is shown where something could not be done: never to be taken for an answer.
 * `failure` is `{code, members}`; `again` and `back` are what its buttons do.
 */
export function couldNot(title, failure, { means, context, again, back }) {
  const retry = again && helpsAgain(failure.code);
  return [
    h("div", { class: "answer failed" }, [
      shape("failed"),
      h("div", { class: "stack" }, [
        h("h1", { tabindex: "-1" }, title),
        h("p", null, explain(failure, context)),
        means && h("p", { class: "hint" }, means),
      ]),
    ]),
    h("div", { class: "actions" }, [
      retry && button(t("common.again"), again, { class: "main" }),
      back && button(t("common.back"), back),
    ]),
  ];
}

/** The steps of something that takes a while; `tell(text, share)` is for each, share from 0 to 1. */
export function working(title) {
  const step = h("p", null, t("common.moment"));
  const bar = h("progress", { max: "1", value: 0, "aria-label": title });
  const nodes = [h("h1", { tabindex: "-1" }, title), step, bar];
  const tell = (text, share) => {
    if (text !== step.textContent) announce(text);
    step.textContent = text;
    bar.value = share;
  };
  return { nodes, tell };
}

/**
 * Words for a step that the worker tells of, and how much of the whole it is: for `n` identifiers,
 * with `last` the key of what is said for a step that has no words of its own.
 */
export function stage({ stage, done = 0 }, n, last) {
  const steps = n + 2;
  if (stage === "stretching") return [t("check.stretching", { n, done, of: n }), done / steps];
  if (stage === "asking") return [t("check.asking"), n / steps];
  return [t(last), (n + 1) / steps];
}
