/** Who signed a report or a retraction, and whether it may stand (docs/protocol.md §7). */
import { keyId, verify } from "./crypto/envelopes.js";
import { element } from "./crypto/oprf.js";
import { decode, isDocument, payloadType } from "./documents.js";
import { fail } from "./failures.js";
import { activeModerators, hasSigned, latestExpiry, moderatorsOf } from "./trust.js";

/** How many moderators must sign: two for danger unless there is only one. */
export const signaturesNeeded = (identity, collective, isDanger) =>
  isDanger && activeModerators(identity, collective).length !== 1 ? 2 : 1;

/**
 * The ids of the moderators who signed; every signature must be good. Throws Failure `unknown-key`
 * (not of an active moderator of this collective), `bad-signature`, or `malformed` for two signatures
 * by one key.
 */
export function signers(envelope, identity, collective) {
  const known = new Map(
    activeModerators(identity, collective).map((one) => [keyId(one.sign), one]),
  );
  const { payload, payloadType: type, signatures } = envelope;
  if (new Set(signatures.map((one) => one.keyid)).size !== signatures.length) {
    fail("malformed");
  }
  return signatures.map(({ keyid, sig }) => {
    const moderator = known.get(keyid) ?? fail("unknown-key");
    verify(moderator.sign, type, payload, sig);
    return moderator.id;
  });
}

/** The ids of the active moderators who signed; other signatures are passed over. */
export const standingSigners = (envelope, identity, collective) =>
  signedBy(envelope, activeModerators(identity, collective));

/** The ids of those who signed and whose keys were never revoked, active or not. */
export function unrevokedSigners(envelope, identity, collective) {
  const isRevoked = (one) => one.status === "revoked";
  return identity.collectives.some((one) => one.id === collective && isRevoked(one))
    ? []
    : signedBy(
        envelope,
        moderatorsOf(identity, collective).filter((one) => !isRevoked(one)),
      );
}

/**
 * The report in an envelope; who signed it says `signers`. `identity` is the one in force where the
 * report stands, `today` a day as text. Throws Failure `unsupported`, `malformed`, `foreign-origin`,
 * `unknown-key` (a collective it does not list), `wrong-network`, `wrong-epoch`, `future-dated`,
 * `expiry-too-long`, `expired`.
 */
export function openReport(envelope, identity, today) {
  const report = opened(envelope, "report", identity, today);
  if (report.network !== identity.network) {
    fail("wrong-network");
  }
  if (report.epoch !== identity.epoch) {
    fail("wrong-epoch");
  }
  if (report.categories.includes("other") || !report.identifiers.every(hasElement)) {
    fail("malformed");
  }
  if (`${report.month}-01` > dayAfter(today)) {
    fail("future-dated");
  }
  if (report.expires > latestExpiry(report.month, report.severity)) {
    fail("expiry-too-long");
  }
  return report.expires < today ? fail("expired") : report;
}

/**
 * The retraction in an envelope; whose report it is about is the caller's to check. Throws Failure
 * `unsupported`, `malformed`, `foreign-origin`, `unknown-key`, `future-dated`, as `openReport` does.
 */
export const openRetract = (envelope, identity, today) =>
  opened(envelope, "retract", identity, today);

function opened(envelope, kind, identity, today) {
  if (!isDocument(envelope.payloadType)) {
    fail("unsupported");
  }
  if (envelope.payloadType !== payloadType(kind)) {
    fail("malformed");
  }
  const entry = decode(kind, envelope.payload);
  if (entry.origin !== identity.origin) {
    fail("foreign-origin");
  }
  if (!identity.collectives.some((one) => one.id === entry.collective)) {
    fail("unknown-key");
  }
  // Somewhere it is already tomorrow, and some clocks are wrong.
  return entry.issued > dayAfter(today) ? fail("future-dated") : entry;
}

const signedBy = (envelope, moderators) =>
  moderators.filter((one) => hasSigned(envelope, one.sign)).map((one) => one.id);

function hasElement({ token }) {
  try {
    return Boolean(element(token));
  } catch {
    return false;
  }
}

const dayAfter = (day) => new Date(Date.parse(day) + 24 * 3600 * 1000).toISOString().slice(0, 10);
