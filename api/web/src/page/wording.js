import { has, language, t } from "./strings.js";

const MINUTE = 60_000;

/** The worst severity of some counts. */
export function worst({ danger, risk }) {
  return danger ? "danger" : risk ? "risk" : "nuisance";
}

/** The line that answers a check: `counts` as found, or null where there is no entry. */
export function answer(counts) {
  if (counts === null) return t("check.none");
  return t("check.match", {
    reports: t("check.reports", { n: counts.total }),
    collectives: t("check.collectives", { n: counts.collectives }),
    severity: t(`severity.${worst(counts)}`),
  });
}

/**
 * One plain sentence for a failure `{code, members}`. A code can have another sentence in a
 * `context` (such as `sign-in`); `now` is in milliseconds.
 */
export function explain({ code, members = {} }, context = "", now = Date.now()) {
  if (code === "rate-limited") return limited(members.seconds, now);
  if (code === "wrong-clock") return wrongClock(members.minutes);
  if (code === "wrong-pin" && !members.left) return t("failure.wrong-pin.none");
  const keys = [`failure.${context}.${code}`, `failure.${code}`, "failure.unknown"];
  return t(keys.find(has), { ...members, n: members.left, code });
}

function limited(seconds, now) {
  if (typeof seconds !== "number") return t("failure.rate-limited.later");
  const shown = new Intl.DateTimeFormat(language(), { hour: "numeric", minute: "2-digit" });
  // The next full minute, so that it is over by then.
  const time = shown.format(Math.ceil((now + seconds * 1000) / MINUTE) * MINUTE);
  return t("failure.rate-limited", { time, wait: duration(Math.ceil(seconds / 60)) });
}

function wrongClock(minutes) {
  const key = `failure.wrong-clock.${minutes < 0 ? "behind" : "ahead"}`;
  return t(key, { difference: duration(Math.abs(minutes)) });
}

/** About how long some minutes are, in the unit that fits. */
export function duration(minutes) {
  if (minutes < 90) return t("time.minutes", { n: Math.max(1, Math.round(minutes)) });
  if (minutes < 48 * 60) return t("time.hours", { n: Math.round(minutes / 60) });
  return t("time.days", { n: Math.round(minutes / (24 * 60)) });
}

/** True if trying again can help, without anything else being done on this page. */
export function helpsAgain(code) {
  return !/^(identity-|invalid-|not-|substituted$|no-worker$|no-moderators$|too-large$|forbidden$)/.test(
    code,
  );
}

/** A receipt's digits in groups of four. */
export const grouped = (digits) => digits.replace(/(.{4})(?=.)/gu, "$1 ");

/** The severities, the worst first. */
export const SEVERITIES = ["danger", "risk", "nuisance"];

const YEARS = { danger: 5, risk: 2, nuisance: 1 }; // that a warning lasts (docs/protocol.md §6)

/** The months `YYYY-MM` for which a warning still counts on the day `today`, the latest first. */
export function months(today, severity) {
  const [year, month] = today.split("-").map(Number);
  return Array.from({ length: 12 * YEARS[severity] + 1 }, (_, back) =>
    new Date(Date.UTC(year, month - 1 - back)).toISOString().slice(0, 7),
  );
}

/** A month `YYYY-MM` in words. */
export function monthName(month) {
  const form = { calendar: "gregory", month: "long", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(language(), form).format(new Date(`${month}-01`));
}
