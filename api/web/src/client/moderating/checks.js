/**
 * What is compared before anything is signed (docs/protocol.md §6; port of
 * `api/moderating/checks.py`). Pure; nothing is sent from here. What differs is Failure
 * `mismatch {what, why?}`, and nothing may be decided on it. `what` is a field of the report (`epoch`,
 * `categories`, `severity`, `month`, `consent`, `wait_days`, `request_id`, `identifiers`), or
 * `box-key`, `account`, `canonical`, `tokens`, `first-approval`, `first-retraction`, `published`,
 * `former`, or `queue`.
 */
import { equal } from "../bytes.js";
import { entryId } from "../crypto/envelopes.js";
import { openBox, openBoxKey } from "../crypto/sealing.js";
import { decode, encode, payloadType } from "../documents.js";
import { fail } from "../failures.js";
import { parseIdentifier } from "../identifiers.js";
import { hasSigned, moderatorsOf } from "../trust.js";
import { openReport, openRetract, standingSigners } from "../trust-reports.js";
import { readPlaintext, REPORT_FIELDS } from "./messages.js";

const MADE_ANEW = ["epoch", "identifiers"];

/** Throws Failure `mismatch`; `what` differs, and `why` says more where there are several ways. */
export const mismatch = (what, why) =>
  fail("mismatch", why === undefined ? { what } : { what, why });

/** The key of a report's box, which is sealed to her. Throws also Failure `not-sealed-to-you`. */
export function boxKey(item, keys) {
  const mine = item.sealed.keys.find((one) => one.kid === keys.kid) ?? fail("not-sealed-to-you");
  return orMismatch("box-key", () => openBoxKey(mine.sealed, keys.box));
}

/** What the reporter sealed, `{request, canonical, account}`; `key` opens the box. */
export const plaintext = ({ sealed }, key) =>
  orMismatch("account", () => readPlaintext(openBox(sealed.nonce, sealed.box, key)));

/**
 * Accepts a report of which the instance shows what was sealed. After a rotation it has made the
 * tokens anew, and only `compareTokens` can tell.
 */
export function compareRequest(item, request, identity) {
  if (item.epoch !== identity.epoch || request.epoch > item.epoch) mismatch("epoch");
  const isRotated = request.epoch < item.epoch;
  for (const name of REPORT_FIELDS) {
    if (isRotated && MADE_ANEW.includes(name)) continue;
    // Both were read as the same shapes, so their members stand in the same order.
    if (JSON.stringify(request[name]) !== JSON.stringify(item[name])) mismatch(name);
  }
}

/** The identifiers that the reporter sealed, `{kind, canonical}`, in their order. */
export function identifiersOf({ request, canonical }) {
  if (request.identifiers.length !== canonical.length) mismatch("canonical");
  return request.identifiers.map(({ kind }, i) => {
    const identifier = orMismatch("canonical", () => parseIdentifier(kind, canonical[i], null));
    return identifier.canonical === canonical[i] ? identifier : mismatch("canonical");
  });
}

/** Accepts a report that is filed under the tokens of the identifiers in it. */
export function compareTokens(item, found, tokens) {
  const derived = found.map(({ kind }, i) => ({ kind, token: tokens[i] }));
  if (!isSame(derived, item.identifiers)) mismatch("tokens");
}

/**
 * What a colleague has signed as her approval of this report, or null. It must be about this report,
 * and a signature on it hold.
 */
export function firstSigned(item, identity, collective, today) {
  const { envelope } = item;
  if (envelope === undefined) return null;
  const document = orMismatch("first-approval", () => openReport(envelope, identity, today));
  if (document.collective !== collective) mismatch("first-approval", "collective");
  if (!isSame(document.identifiers, item.identifiers)) mismatch("first-approval", "identifiers");
  if (!isEqual(document.replaces, item.replaces)) mismatch("first-approval", "replaces");
  requireStanding(envelope, identity, collective, "first-approval");
  return document;
}

/**
 * What was signed, in `envelope`, of a report that was approved; perhaps in an earlier epoch, by
 * moderators who are no longer active. `what` names it in a Failure.
 */
export function publishedReport(item, envelope, identity, collective, what = "published") {
  if (envelope === undefined) mismatch(what, "absent");
  if (envelope.payloadType !== payloadType("report")) mismatch(what, "malformed");
  const document = orMismatch(what, () => decode("report", envelope.payload));
  if (document.origin !== identity.origin || document.collective !== collective) {
    mismatch(what, "collective");
  }
  // If the tokens were made anew since, only the kinds can still be compared.
  const isOlder = document.epoch < item.epoch && item.epoch === identity.epoch;
  const form = isOlder ? kindsOf : (identifiers) => identifiers;
  if (!isSame(form(document.identifiers), form(item.identifiers))) mismatch(what, "identifiers");
  if (signersOf(envelope, identity, collective).length === 0) mismatch(what, "signature");
  return document;
}

/**
 * Accepts the entry that a report released from a dispute replaces: else an instance could have
 * another warning of the collective taken away by a signature.
 */
export function checkReplaced(item, identity, collective) {
  if (item.replaces === undefined) return;
  const former = publishedReport(item, item.former, identity, collective, "former");
  if (!equal(entryOf(former), item.replaces)) mismatch("former", "entry");
}

/**
 * What a colleague has signed to take this report back, or null. `target` and `reason` are of what is
 * to be signed now, and hers must be the same.
 */
export function firstRetracted(item, { target, reason }, identity, collective, today) {
  const { retraction } = item;
  if (retraction === undefined) return null;
  const what = "first-retraction";
  const document = orMismatch(what, () => openRetract(retraction, identity, today));
  if (document.collective !== collective) mismatch(what, "collective");
  if (!equal(document.target, target)) mismatch(what, "target");
  if (document.reason !== reason) mismatch(what, "reason");
  requireStanding(retraction, identity, collective, what);
  return document;
}

/** The signatures of `envelope` that count today. */
export const standing = (envelope, identity, collective) =>
  envelope.signatures.filter(
    (one) => standingSigners({ ...envelope, signatures: [one] }, identity, collective).length > 0,
  );

/** The ids of those in the collective who signed, active or not. */
export const signersOf = (envelope, identity, collective) =>
  moderatorsOf(identity, collective)
    .filter((one) => hasSigned(envelope, one.sign))
    .map((one) => one.id);

/** The entry id of a report that was signed. */
export const entryOf = (report) => entryId(payloadType("report"), encode("report", report));

function requireStanding(envelope, identity, collective, what) {
  if (standing(envelope, identity, collective).length === 0) mismatch(what, "signature");
}

function orMismatch(what, work) {
  try {
    return work();
  } catch (refused) {
    // Without the refusal itself, which may quote the account.
    return mismatch(what, refused.code ?? "malformed");
  }
}

const kindsOf = (identifiers) => identifiers.map(({ kind }) => ({ kind, token: [] }));

const isSame = (some, others) =>
  some.length === others.length &&
  some.every(({ kind, token }, i) => kind === others[i].kind && equal(token, others[i].token));

const isEqual = (a, b) => (a === undefined || b === undefined ? a === b : equal(a, b));
