import { h } from "../dom.js";
import { button } from "../fields.js";
import { has, language, t } from "../strings.js";
import { explain } from "../wording.js";
import { colleagues } from "./colleagues.js";
import { correcting } from "./correcting.js";
import { isOpen, isRecord } from "./docket.js";
import { categories, exact, month, piece, printable, severity, short, table } from "./parts.js";

/**
 * An open report. `pane` is `{row, report, known, compared, …}`, `decisions` the node in which one
 * decides; `does` has what its buttons do: `close()`, `show(id)`, `find(identifier)`, `corrected()`, `letIn(colleague)`.
 */
export function reportView(pane, decisions, does) {
  const { row, report } = pane;
  return [
    heading(row, does),
    h("p", { class: "compared" }, t("desk.compared")),
    whom(report.identifiers, does),
    piece(t("desk.account"), account(report.account), facts(row, report)),
    row.same_reporter.length > 0 && sameReporter(row, pane.describe, does),
    report.signed && signature(row, report.signed),
    report.retraction && retraction(report.retraction),
    row.replaces && h("p", { class: "notice" }, t("desk.replaces")),
    isOpen(row) && !isRecord(row) && !report.signed && correcting(pane, does.corrected),
    decisions,
    report.excluded.length > 0 && colleagues(report.excluded, pane.compared, does.letIn),
  ];
}

function heading(row, { close }) {
  return [
    h("div", { class: "actions back" }, button(t("desk.close"), close)),
    h("h2", { tabindex: "-1" }, severity(row.severity), " ", categories(row.categories)),
    h(
      "p",
      { class: "about" },
      [month(row.month), t(`status.${row.status}`)].join(" · "),
      " · ",
      exact(short(row.id)),
    ),
  ];
}

/** A report in one line: its number, and what is known of it from `row`. */
export function summary(id, row) {
  const known =
    row && [severityWord(row), categories(row.categories), month(row.month)].join(" · ");
  return h("span", null, exact(short(id)), known && ` ${known}`);
}

const severityWord = ({ severity }) => t(`severity.short.${severity}`);

function whom(identifiers, { find }) {
  const line = (one) =>
    h(
      "li",
      null,
      h("span", null, t(`desk.kind.${one.kind}`), " "),
      exact(one.shown, "identifier"),
      " ",
      button(t("desk.find.all"), () => find(one), {
        class: "link",
        "aria-label": `${t("desk.find.all")}: ${one.shown}`,
      }),
    );
  return piece(t("desk.reported"), h("ul", { class: "list" }, identifiers.map(line)));
}

function account({ text }) {
  if (!text.trim()) return h("p", { class: "hint" }, t("desk.account.none"));
  return h("div", { class: "account", dir: "auto" }, printable(text));
}

function facts(row, { account }) {
  const { warn, police, research } = row.consent;
  const pairs = [
    ["flags", account.flags.length ? list(account.flags.map((one) => t(`flag.${one}`))) : null],
    ["actor", t(`actor.${account.actor}`)],
    ["area", account.area && area(account.area)],
    ["consent", t(`desk.warn.${warn}`)],
    ["police", t(`desk.police.${police}`)],
    ["research", t(research ? "common.yes" : "common.no")],
    ["wait", row.wait_days > 0 ? t("desk.wait.days", { n: row.wait_days }) : null],
  ];
  return table(
    pairs.filter(([, text]) => text).map(([name, text]) => [t(`desk.fact.${name}`), text]),
  );
}

const list = (texts) => new Intl.ListFormat(language(), { type: "unit" }).format(texts);

function area(code) {
  const country = new Intl.DisplayNames(language(), { type: "region" }).of(code.slice(0, 2));
  return [country, " ", exact(code)];
}

function sameReporter(row, describe, { show }) {
  const line = (id) =>
    h(
      "li",
      null,
      button(describe(id), () => show(id), { class: "link" }),
    );
  return piece(
    t("desk.same"),
    h("p", null, t("desk.same.why")),
    h("ul", { class: "list" }, row.same_reporter.map(line)),
  );
}

function signature(row, signed) {
  const reported = row.categories.filter((one) => one !== "other");
  const pairs = [
    ["severity", t(`severity.${row.severity}`), t(`severity.${signed.severity}`)],
    ["categories", categories([...reported].sort()), categories([...signed.categories].sort())],
    ["month", month(row.month), month(signed.month)],
  ];
  const changes = pairs
    .filter(([, was, now]) => was !== now)
    .map(([name, was, now]) => [
      t(`desk.fact.${name}`),
      [h("del", null, was || t("category.other")), " ", h("ins", null, now)],
    ]);
  return piece(
    t("desk.signed"),
    h("p", null, t("desk.signed.by", { who: list(signed.by) })),
    changes.length
      ? [h("p", null, t("desk.signed.changed")), table(changes)]
      : h("p", null, t("desk.signed.same")),
    isOpen(row) && h("p", { class: "hint" }, t("desk.signed.agree")),
  );
}

function retraction({ reason, by }) {
  const disputed = reason === "disputed";
  return piece(
    t("desk.retraction"),
    h(
      "p",
      null,
      disputed
        ? t("desk.retraction.disputed", { who: list(by) })
        : t("desk.retraction.reason", { who: list(by), reason: t(`desk.retract.${reason}`) }),
    ),
  );
}

/**
 * What is shown where a report can’t be opened; a `mismatch` is a warning, and nothing is signed.
 * Only a first signature of somebody who has ended since is taken back by `takeBack()`.
 */
export function failedView({ failure, row }, { close, again, lock, takeBack }) {
  const { code, members } = failure;
  const leave = close && h("div", { class: "actions back" }, button(t("desk.close"), close));
  if (code === "mismatch" && !(members.why === "signature" && row?.pending)) {
    return [h("div", { class: "serious stack" }, mismatch(members.what, lock)), leave];
  }
  const [label, act] =
    code === "mismatch"
      ? ["desk.release.first", takeBack]
      : [code === "conflict" ? "desk.reload" : "common.again", again];
  return [
    leave,
    h("h2", { tabindex: "-1" }, t("desk.failed")),
    h("p", null, code === "mismatch" ? t("desk.unsigned") : explain(failure, "desk")),
    h("div", { class: "actions" }, button(t(label), act, { class: "main" })),
  ];
}

function mismatch(what, lock) {
  const detail = `desk.mismatch.${what}`;
  return [
    h("h2", { tabindex: "-1" }, t("desk.mismatch")),
    h("p", null, has(detail) ? t(detail) : t("desk.mismatch.other", { what })),
    h("p", null, t("desk.mismatch.do")),
    h("div", { class: "actions" }, button(t("desk.lock"), lock, { class: "main" })),
  ];
}
