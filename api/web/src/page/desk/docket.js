import { t } from "../strings.js";
import { categories, month } from "./parts.js";

/** What can be decided about a report, and what that led to; the pure part of the desk. */

const OPEN = ["submitted", "in_review"];
const LISTED = ["approved", "published"];
const ENDED = ["merged", "recorded", "rejected", "removed"];
const REJECT = ["outside-rules", "not-credible", "too-little", "unreadable", "other"];
const RETRACT = ["error", "duplicate", "reporter-request", "objection", "legal"];
const GRAVEST = ["danger", "risk", "nuisance"];

/** True while a report is not decided. */
export const isOpen = ({ status }) => OPEN.includes(status);

/** True for a report whose reporter wants no warning: it is recorded, not published. */
export const isRecord = ({ consent }) => ["statistics", "none"].includes(consent.warn);

/** True where a decision of this moderator is still wanted; `done` is set after hers. */
export const waits = (row) => !row.done && !row.signed_by_me && row.readable;

/** The place in `rows` of the next report that waits, after `at` and then from the start; or -1. */
export function nextOf(rows, at) {
  const later = rows.findIndex((row, i) => i > at && waits(row));
  return later < 0 ? rows.findIndex((row, i) => i !== at && waits(row)) : later;
}

/** The graver of what was reported and what is usual for the `chosen` categories. */
export function usualSeverity(chosen, reported, known) {
  const usual = known.filter(({ id }) => chosen.includes(id)).map((one) => one.severity);
  return GRAVEST.find((one) => one === reported || usual.includes(one));
}

/**
 * What would be signed: the colleague's proposal, else the report with its `correction`
 * `{categories, severity, month}`. “other” is never published.
 */
export function proposal({ row, report, correction }) {
  if (report.signed && isOpen(row)) return report.signed;
  const { categories, severity, month } = { ...row, ...correction };
  return { categories: categories.filter((one) => one !== "other"), severity, month };
}

/**
 * The decisions that are possible about the report of `pane` `{row, report, correction, describe}`:
 * each `{key, method, label, question, main?, options?, params(choice)}`; `main` is what is expected.
 */
export function decisions(pane) {
  const { row, report } = pane;
  const can = isOpen(row) ? [approve, reject, merge] : [dispute, retract];
  const mine = row.signed_by_me && row.approvals < row.needed;
  return [...can, release]
    .map((make) => make(row, pane, mine, report.retraction))
    .filter((one) => one !== null);
}

/**
 * The decision that is left about a report that can't be opened, in a list: to reject it. Anybody who
 * files a report can lock it so that nobody can read it, and it would wait for ever.
 */
export const unreadable = ({ row, failure: { code, members } }) =>
  isOpen(row) && (code === "not-sealed-to-you" || isOfReport(code, members)) ? [reject()] : [];

// What colleagues have signed, and the queue itself, are no reporter's doing.
const isOfReport = (code, members) =>
  code === "mismatch" && !["first-approval", "former", "published", "queue"].includes(members.what);

function approve(row, pane, mine) {
  if (mine) return null;
  const wanted = proposal(pane);
  const kind = approval(row, wanted.severity);
  const signed = { categories: categories(wanted.categories), month: month(wanted.month) };
  const severity = t(`severity.${wanted.severity}`);
  return {
    key: "a",
    main: true,
    method: "approve",
    label: t(`desk.approve.${kind}`),
    question: isRecord(row)
      ? t("desk.approve.recorded")
      : t("desk.approve.what", { ...signed, severity }),
    params: () => (pane.correction && !pane.report.signed ? changed(row, wanted) : {}),
    lacking: !isRecord(row) && !wanted.categories.length,
  };
}

// What the button says is only a forecast: how many must sign is for the instance to tell.
function approval(row, severity) {
  if (isRecord(row)) return "record";
  const needed = severity === "danger" && row.severity !== "danger" ? 2 : row.needed;
  if (row.approvals + 1 < needed) return severity === "danger" ? "danger" : "first";
  const place = row.consent.warn === "local" ? ".local" : "";
  return (row.approvals ? "second" : "only") + place;
}

function changed(row, { categories, severity, month }) {
  const reported = row.categories.filter((one) => one !== "other");
  const same = `${[...categories].sort()}` === `${[...reported].sort()}`;
  return {
    ...(!same && { categories }),
    ...(severity !== row.severity && { severity }),
    ...(month !== row.month && { month }),
  };
}

function reject() {
  return {
    key: "r",
    method: "reject",
    label: t("desk.reject"),
    question: t("desk.reject.question"),
    options: reasons("reject", REJECT),
    params: (reason) => ({ reason }),
  };
}

function merge(row, { describe }) {
  if (!row.same_reporter.length) return null;
  return {
    key: "m",
    method: "merge",
    label: t("desk.merge"),
    question: t("desk.merge.question"),
    options: row.same_reporter.map((id) => ({ value: id, label: describe(id) })),
    params: (id) => ({ into: id }),
  };
}

function dispute(row, pane, mine, pending) {
  if (!LISTED.includes(row.status) || mine || (pending && pending.reason !== "disputed"))
    return null;
  return {
    key: "d",
    main: Boolean(pending),
    method: "dispute",
    label: t(pending ? "desk.dispute.agree" : "desk.dispute"),
    question: t("desk.dispute.question"),
    params: () => ({}),
  };
}

function retract(row, pane, mine, pending) {
  if (mine || pending?.reason === "disputed") return null;
  return {
    key: "t",
    main: Boolean(pending),
    method: "retract",
    label: t(pending ? "desk.retract.agree" : "desk.retract"),
    question: t("desk.retract.question"),
    // A colleague's reason is what both sign.
    options: reasons("retract", pending ? [pending.reason] : RETRACT),
    params: (reason) => ({ reason }),
  };
}

/** Takes back what is pending of a row; null where nothing is. */
export function release(row) {
  const kind = row.pending ? "first" : "dispute";
  if (!row.pending && row.status !== "disputed") return null;
  return {
    key: "l",
    method: "release",
    label: t(`desk.release.${kind}`),
    question: t(`desk.release.${kind}.question`),
    params: () => ({}),
  };
}

const reasons = (decision, all) =>
  all.map((one) => ({ value: one, label: t(`desk.${decision}.${one}`) }));

/** The row after a decision, from what the worker answered to `method`. */
export function after(row, method, answer = {}) {
  const counts = "approvals" in answer;
  const { status = row.status } = answer ?? {};
  const signed = counts && answer.approvals < answer.needed;
  return {
    ...row,
    status,
    approvals: counts ? answer.approvals : 0,
    needed: counts ? answer.needed : row.needed,
    pending: signed
      ? { approve: "approval", dispute: "dispute", retract: "retraction" }[method]
      : null,
    signed_by_me: counts && status !== "recorded",
    done: method !== "release",
  };
}

/** `other` once `row` was decided: a report that has ended is nobody's other report any more. */
export const beside = (other, row) =>
  ENDED.includes(row.status) && other.same_reporter.includes(row.id)
    ? { ...other, same_reporter: other.same_reporter.filter((id) => id !== row.id) }
    : other;

/** One short sentence about what a decision led to. */
export function outcome(method, row) {
  const { status, approvals, needed } = row;
  if (row.pending) return t("desk.did.signed", { n: approvals, needed });
  if (method === "approve" && status === "approved")
    return t("desk.did.approved", { n: approvals, needed });
  if (method === "release") return t("desk.did.release", { status: t(`status.${status}`) });
  return t(`desk.did.${status}`);
}
