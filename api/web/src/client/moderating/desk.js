/**
 * What a moderator does with her keys: she reads, compares and signs (docs/protocol.md §6; port of
 * `api/moderating/desk.py`). `desk` is `{client, keys, random}`. All throw as the Client does, and
 * Failure `mismatch`, after which nothing was sent, where the instance shows anything else than what
 * the reporter sealed or a colleague signed; `not-listed` if her keys are not in force.
 */
import { equal, toHex } from "../bytes.js";
import { keyId, writeEnvelope } from "../crypto/envelopes.js";
import { sealBoxKey } from "../crypto/sealing.js";
import { decode, encode, payloadType } from "../documents.js";
import { fail } from "../failures.js";
import { activeModerators, latestExpiry } from "../trust.js";
import { standingSigners } from "../trust-reports.js";
import {
  boxKey,
  checkReplaced,
  compareRequest,
  compareTokens,
  entryOf,
  firstRetracted,
  firstSigned,
  identifiersOf,
  mismatch,
  plaintext,
  publishedReport,
  signersOf,
  standing,
} from "./checks.js";
import * as docket from "./docket.js";
import { signatureOf } from "./keys.js";

const UNPUBLISHED = ["statistics", "none"];
const OPEN = ["submitted", "in_review"];

/** Whether a report awaits a decision. */
export const isOpen = ({ status }) => OPEN.includes(status);

/**
 * Reads a report's account and compares all that the instance shows with it. Gives `{item,
 * identifiers, account}`, without which nothing is approved; `onProgress` as for `client.tokens`.
 */
export async function open(desk, item, onProgress) {
  const sealed = plaintext(item, boxKey(item, desk.keys));
  const identifiers = identifiersOf(sealed);
  const tokens = await desk.client.tokens(identifiers, onProgress);
  // Asked for after the tokens, it is the identity under which they were made.
  const identity = await identityOf(desk, item);
  if (item.epoch < identity.epoch) fail("key-changed");
  compareRequest(item, sealed.request, identity);
  compareTokens(item, identifiers, tokens);
  return { item, identifiers, account: sealed.account };
}

/** The active colleagues who cannot read a report: they joined after it came. */
export async function excluded(desk, item) {
  const readers = item.sealed.keys.map((one) => one.kid);
  const listed = activeModerators(await identityOf(desk), desk.client.profile.collective);
  return listed.filter((one) => !readers.includes(keyId(one.sign)));
}

/**
 * Lets a colleague read a report too; tells whether she could not yet. Only for whoever is known to be
 * one, by her keys' words: the operator alone says who is listed.
 */
export async function reseal(desk, item, { sign, box }) {
  const sealed = sealBoxKey(boxKey(item, desk.keys), box, desk.random);
  try {
    await docket.reseal(desk.client, item.id, keyId(sign), sealed);
  } catch (refused) {
    // Somebody else was faster, or the report has ended meanwhile.
    if (refused.code !== "conflict") throw refused;
    return false;
  }
  return true;
}

/** What was signed of a report by colleagues, and the ids of who did: `{document, by}`, or null. */
export async function signed(desk, item) {
  const { collective } = desk.client.profile;
  const identity = await identityOf(desk, item);
  if (!isOpen(item)) {
    const document = publishedReport(item, item.envelope, identity, collective);
    return { document, by: signersOf(item.envelope, identity, collective) };
  }
  const document = firstSigned(item, identity, collective, today(desk));
  return document && { document, by: standingSigners(item.envelope, identity, collective) };
}

/** What a colleague has signed to take a report back, `{reason, by}`, or null; not yet compared. */
export async function retracted(desk, { retraction }) {
  if (retraction === undefined) return null;
  const identity = await identityOf(desk);
  const reason = reasonOf(retraction) ?? mismatch("first-retraction", "malformed");
  return { reason, by: standingSigners(retraction, identity, desk.client.profile.collective) };
}

/** The reason in a retraction's envelope; null for what is none. */
export function reasonOf({ payload }) {
  try {
    return decode("retract", payload).reason;
  } catch {
    return null;
  }
}

/**
 * Signs a report that was opened, or adds her signature to exactly what a colleague has signed. What
 * `chosen`, `{categories, severity, month}`, does not say is taken from there. A report whose reporter
 * wants no warning is recorded, without a signature. Gives `{status, approvals, needed}`. Where the
 * network's key has changed since she read it, the same is compared and signed once more.
 * Throws also Failure `only-other` where nothing is left to publish, `signed-otherwise` and
 * `already-signed`, `key-changed` if what is there under the new key is not what she read.
 */
export async function approve(desk, opened, chosen = {}) {
  const { item } = opened;
  if (UNPUBLISHED.includes(item.consent.warn)) {
    return docket.signOff(desk.client, item.id, "approve", {});
  }
  const identity = await identityOf(desk, item);
  let wanted = chosen;
  if (item.epoch === identity.epoch) {
    const first = firstOf(desk, item, identity);
    try {
      return await sign(desk, item, identity, first, chosen);
    } catch (refused) {
      if (refused.code !== "wrong-epoch") throw refused;
      wanted = first ?? chosen;
    }
  }
  const again = await reopened(desk, item);
  const current = await identityOf(desk, again);
  return sign(desk, again, current, firstOf(desk, again, current), wanted);
}

/** What a colleague has signed of a report that may replace no other than its former one, or null. */
function firstOf(desk, item, identity) {
  const { collective } = desk.client.profile;
  checkReplaced(item, identity, collective);
  return firstSigned(item, identity, collective, today(desk));
}

async function sign(desk, item, identity, first, chosen) {
  if (first === null) {
    const envelope = around(desk, "report", documentOf(desk, item, identity, chosen));
    return send(desk, item, "approve", envelope);
  }
  if (differs(chosen, first)) fail("signed-otherwise");
  return send(desk, item, "approve", joined(desk, item, item.envelope, identity));
}

/** Hides an approved report while it is reviewed; for danger with two moderators. */
export const dispute = (desk, item) => withdraw(desk, item, "dispute", "disputed");

/** Takes an approved report away for good; for danger with two moderators. */
export const retract = (desk, item, reason) => withdraw(desk, item, "retract", reason);

/** A report that she has read, compared anew under the network's new key; the very same. */
async function reopened(desk, { id, sealed }) {
  desk.client.forget();
  for await (const item of docket.queue(desk.client)) {
    if (item.id === id && equal(item.sealed.box, sealed.box)) return (await open(desk, item)).item;
  }
  return fail("key-changed");
}

/**
 * The identity in force, once she is sure to be in it. Where `shown` is of a later epoch, the one that
 * was fetched before is no longer.
 */
async function identityOf({ client, keys }, shown = null) {
  if (shown !== null && shown.epoch > (await client.identity()).epoch) client.forget();
  const identity = await client.identity();
  const isListed = activeModerators(identity, client.profile.collective).some(
    ({ sign, box }) => equal(sign, keys.publicSign) && equal(box, keys.publicBox),
  );
  return isListed ? identity : fail("not-listed");
}

async function withdraw(desk, item, decision, reason) {
  const { collective } = desk.client.profile;
  const identity = await identityOf(desk, item);
  const target = entryOf(publishedReport(item, item.envelope, identity, collective));
  const first = firstRetracted(item, { target, reason }, identity, collective, today(desk));
  if (first !== null) {
    return send(desk, item, decision, joined(desk, item, item.retraction, identity));
  }
  const rid = toHex(desk.random(16));
  const document = { origin: identity.origin, collective, rid, target, reason };
  const envelope = around(desk, "retract", { ...document, issued: today(desk) });
  return send(desk, item, decision, envelope);
}

function documentOf(desk, item, identity, chosen) {
  const [severity, month] = [chosen.severity ?? item.severity, chosen.month ?? item.month];
  return {
    origin: identity.origin,
    collective: desk.client.profile.collective,
    rid: toHex(desk.random(16)),
    issued: today(desk),
    expires: latestExpiry(month, severity),
    categories: publishable(chosen.categories ?? item.categories),
    severity,
    month,
    network: identity.network,
    epoch: identity.epoch,
    identifiers: item.identifiers,
    replaces: item.replaces,
  };
}

function differs({ categories, severity, month }, first) {
  return (
    (categories !== undefined && `${publishable(categories)}` !== `${first.categories}`) ||
    (severity !== undefined && severity !== first.severity) ||
    (month !== undefined && month !== first.month)
  );
}

function around({ keys }, kind, document) {
  const [type, payload] = [payloadType(kind), encode(kind, document)];
  return { payload, payloadType: type, signatures: [signatureOf(keys, type, payload)] };
}

/** What is signed already, with this moderator's signature added. */
function joined({ client, keys }, item, envelope, identity) {
  const before = standing(envelope, identity, client.profile.collective);
  const others = before.filter((one) => one.keyid !== keys.kid);
  // Her own may have become enough since: a colleague has ended.
  if (others.length < before.length && before.length < item.needed) fail("already-signed");
  const { payload, payloadType: type } = envelope;
  return { ...envelope, signatures: [...others, signatureOf(keys, type, payload)] };
}

function publishable(categories) {
  const chosen = [...new Set(categories)].filter((one) => one !== "other").sort();
  return chosen.length > 0 ? chosen : fail("only-other");
}

const send = ({ client }, item, decision, envelope) =>
  docket.signOff(client, item.id, decision, { envelope: writeEnvelope(envelope) });

const today = ({ client }) => new Date(client.now()).toISOString().slice(0, 10);
