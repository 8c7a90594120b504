/** Writing a report so that only the collective's moderators can read the account (§6). */
import { toHex } from "./bytes.js";
import { keyId } from "./crypto/envelopes.js";
import { sealAccount } from "./crypto/sealing.js";
import { fail } from "./failures.js";
import { encodeStrict } from "./strict.js";
import { activeModerators, latestExpiry } from "./trust.js";

const LONGEST_TEXT = 20_000;
const AREA = /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/;
const ANSWER = { receipt: /^[0-9]{16}$/ };

/**
 * Accepts a month in which a report can have happened that still counts on the day `today`.
 * Throws Failure `future-dated` or `expired`.
 */
export function checkMonth(month, severity, today) {
  if (month > today.slice(0, 7)) fail("future-dated");
  if (latestExpiry(month, severity) < today) fail("expired");
}

/**
 * The body of `POST /v1/reports`, sealed to the active moderators of the client's collective.
 * `report` is `{identifiers, categories, severity, month, consent, wait_days, request_id, account}`;
 * its identifiers (one to four) are of one reported person. `random(n)` gives n random bytes.
 * Throws Failure `future-dated`, `expired`, `account-too-long`, `no-moderators`, `invalid-request`,
 * and as a Client does.
 */
export async function prepareReport(client, report, random, onProgress) {
  checkMonth(report.month, report.severity, new Date(client.now()).toISOString().slice(0, 10));
  const account = accountOf(report.account);
  const tokens = await client.tokens(report.identifiers, onProgress);
  const identity = await client.identity();
  const readers = activeModerators(identity, client.profile.collective);
  const request = {
    epoch: identity.epoch,
    identifiers: report.identifiers.map(({ kind }, i) => ({ kind, token: tokens[i] })),
    categories: report.categories,
    severity: report.severity,
    month: report.month,
    consent: report.consent,
    wait_days: report.wait_days,
    request_id: report.request_id ?? toHex(random(16)),
  };
  const canonical = report.identifiers.map((one) => one.canonical);
  const plaintext = encodeStrict({ request, canonical, account });
  const boxes = readers.map(({ sign, box }) => ({ kid: keyId(sign), box }));
  return encodeStrict({ ...request, sealed: { v: 1, ...sealAccount(plaintext, boxes, random) } });
}

/** Sends what `prepareReport` made; returns the receipt. Throws as a Client does. */
export async function fileReport(client, body) {
  return (await client.message(ANSWER, "POST", "/v1/reports", { body })).receipt;
}

function accountOf({ text, flags, actor, area }) {
  if (area !== null && !AREA.test(area)) fail("invalid-request");
  // Half a character could not be written as UTF-8.
  const whole = text.trim().replace(/\p{Surrogate}/gu, "\ufffd");
  if ([...whole].length > LONGEST_TEXT) fail("account-too-long");
  return { text: whole, flags, actor, area: area ?? undefined };
}
