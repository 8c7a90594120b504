/**
 * What an instance says to a moderator, and what reporters seal for her: closed shapes of strict.js
 * (`schemas/moderation.py`, `schemas/reports.py`). Bytes are Uint8Array.
 */
import { decodeBase64 } from "../bytes.js";
import { readEnvelope } from "../crypto/envelopes.js";
import { fail } from "../failures.js";
import { bytes32, count, day, distinct, host, ID, month, ordinal, read, RID } from "../strict.js";

const PADDING = 4096;
const TAG = 16;
const MOST_BOX = 10 * PADDING + TAG;
const MOST_TEXT = 20_000;

const SEVERITY = /^(danger|risk|nuisance)$/;
const CATEGORY = new RegExp(
  "^(sexual_violence|physical_violence|confinement|drugging|robbery|blackmail_outing|stalking" +
    "|condom_violation|authority_abuse|threats|boundary_violation|covert_recording|theft" +
    "|harassment|non_payment|scam|time_wasting|other)$",
);
const STATUS = new RegExp(
  "^(submitted|in_review|approved|published|disputed|expired|recorded|rejected|merged|withdrawn" +
    "|removed)$",
);
const FLAG = /^(weapon|more_than_one_person|repeat|injury|children_present)$/;
const ACTOR = /^(client|posing_as_client|third_party|authority|unknown)$/;
const AREA = /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/;

const one = (isGood) => (value) => (isGood(value) ? value : fail("malformed"));
const integer = one(Number.isSafeInteger);
const boolean = one((value) => typeof value === "boolean");
// JSON can spell halves of characters, which no text has.
const text = one((value) => typeof value === "string" && !/\p{Surrogate}/u.test(value));
const kid = (value) => bytes32(value) && value;
const listed = (shape, least, most, key) => (value) => {
  const items = read([shape, least, most], value);
  distinct(items.map(key));
  return items;
};
const box = (value) => {
  const data = decodeBase64(value, PADDING + TAG, MOST_BOX);
  return (data.length - TAG) % PADDING ? fail("malformed") : data;
};

const CONSENT = {
  warn: /^(network|local|statistics|none)$/,
  police: /^(never|anonymous|contact_me)$/,
  research: boolean,
};
const IDENTIFIER = { kind: /^(phone|email)$/, token: bytes32 };
const SEALED_KEY = { kid, sealed: (value) => decodeBase64(value, 80, 80) };
const ITEM = {
  id: RID,
  status: STATUS,
  epoch: ordinal,
  categories: [CATEGORY, 0, Infinity],
  severity: SEVERITY,
  month,
  consent: CONSENT,
  wait_days: integer,
  request_id: RID,
  identifiers: [IDENTIFIER, 1, 4],
  sealed: {
    v: one((value) => value === 1),
    nonce: (value) => decodeBase64(value, 24, 24),
    box,
    keys: listed(SEALED_KEY, 1, 40, (key) => key.kid),
  },
  same_reporter: [RID, 0, Infinity],
  approvals: integer,
  needed: integer,
  overdue: boolean,
  "replaces?": bytes32,
  "former?": readEnvelope,
  "envelope?": readEnvelope,
  "retraction?": readEnvelope,
};

// In the order in which they are compared.
const REQUEST = {
  epoch: ordinal,
  categories: listed(CATEGORY, 1, 4, String),
  severity: SEVERITY,
  month,
  consent: CONSENT,
  wait_days: one((value) => Number.isInteger(value) && value >= 0 && value <= 30),
  request_id: RID,
  identifiers: listed(IDENTIFIER, 1, 4, (identifier) => identifier.token),
};
const ACCOUNT = {
  "text?": (value) => one((whole) => [...whole].length <= MOST_TEXT)(text(value)),
  "flags?": [FLAG, 0, 5],
  "actor?": ACTOR,
  "area?": (value) => (value === null ? null : read(AREA, value)),
};
const PLAINTEXT = { request: REQUEST, canonical: [text, 1, 4], account: ACCOUNT };
const NO_ACCOUNT = { text: "", flags: [], actor: "unknown", area: null };

const PAGE = { items: [ITEM, 0, Infinity], "next?": text };
const HELD_ITEM = {
  entry: /^[0-9a-f]{64}$/,
  kind: /^(report|erasure)$/,
  why: /^(policy|quota)$/,
  origin: host,
  collective: ID,
  issued: day,
  expires: day,
  categories: [CATEGORY, 1, 4],
  severity: SEVERITY,
  month,
  identifiers: [IDENTIFIER, 1, 4],
  known: count,
};
const HELD = { items: [HELD_ITEM, 0, 100], "next?": text };
const APPROVAL = { status: STATUS, approvals: integer, needed: integer };
const INVITATIONS = { invitations: [{ id: RID, code: text }, 0, Infinity] };

const answer = (shape) => (json) => {
  try {
    return read(shape, json);
  } catch {
    return fail("no-instance");
  }
};

/** The names of what a report says outside its sealed part, in the order they are compared. */
export const REPORT_FIELDS = Object.keys(REQUEST);

/** `{items, next?}` of a page of the queue. Throws Failure `no-instance`, as the next five do. */
export const readPage = answer(PAGE);

/** `{status, approvals, needed}`: what a decision with a signature led to. */
export const readApproval = answer(APPROVAL);

/** `{status}`: what another decision led to. */
export const readStatus = answer({ status: STATUS });

/** `{items, next?}` of what is held. */
export const readHeld = answer(HELD);

/** `{decision}`: "accepted" or "refused". */
export const readHeldAnswer = answer({ decision: /^(accepted|refused)$/ });

/** `{invitations: [{id, code}]}`. */
export const readInvitations = answer(INVITATIONS);

/** `{request, canonical, account}` from the JSON that a reporter sealed. Throws. */
export function readPlaintext(data) {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const whole = read(PLAINTEXT, JSON.parse(decoder.decode(data)));
  return { ...whole, account: { ...NO_ACCOUNT, ...whole.account } };
}
