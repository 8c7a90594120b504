/** The lines of a moderator's queue, without any account. */
import { isOpen, reasonOf } from "./desk.js";
import { queue } from "./docket.js";

const LISTED = ["approved", "published"];
const SEVERITIES = ["danger", "risk", "nuisance"];

/**
 * The reports of a status; for null those that wait for somebody: the open ones, the disputed ones,
 * and what a colleague wants to take back. Danger first.
 */
export async function listed(client, status) {
  if (status !== null) return all(queue(client, { status }));
  const found = [];
  for (const one of LISTED) {
    found.push(...(await all(queue(client, { status: one }))));
  }
  const waiting = found.filter((item) => item.retraction !== undefined);
  const open = await all(queue(client));
  const disputed = await all(queue(client, { status: "disputed" }));
  return dangerFirst([...open, ...disputed, ...waiting]);
}

/** What there is in an asynchronous sequence. */
export async function all(items) {
  const found = [];
  for await (const one of items) found.push(one);
  return found;
}

/** What the page shows of a report in a list, to the holder of `kid`. */
export function rowOf(item, kid) {
  const pending = item.retraction ?? (isOpen(item) ? item.envelope : undefined);
  return {
    id: item.id,
    status: item.status,
    severity: item.severity,
    categories: item.categories,
    month: item.month,
    consent: item.consent,
    wait_days: item.wait_days,
    approvals: item.approvals,
    needed: item.needed,
    overdue: item.overdue,
    same_reporter: item.same_reporter,
    pending: pendingOf(item),
    replaces: item.replaces !== undefined,
    signed_by_me: pending?.signatures.some((one) => one.keyid === kid) ?? false,
    readable: item.sealed.keys.some((one) => one.kid === kid),
  };
}

function pendingOf(item) {
  if (item.retraction !== undefined) {
    return reasonOf(item.retraction) === "disputed" ? "dispute" : "retraction";
  }
  return isOpen(item) && item.envelope !== undefined ? "approval" : null;
}

// Two lists may hold one report, which moved between the questions.
const dangerFirst = (items) =>
  [...new Map(items.map((item) => [item.id, item])).values()].sort(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
