/** The seven signed payloads (docs/protocol.md §7). Reading an identity alone takes less: identity.js. */
import { fail } from "./failures.js";
import { IDENTITY_TYPE, checkLog, decodeIdentity, encodeIdentity } from "./identity.js";
import {
  ascending,
  bytes32,
  count,
  day,
  decodeStrict,
  distinct,
  encodeStrict,
  host,
  ID,
  logId,
  month,
  NETWORK,
  ordinal,
  RID,
  time,
} from "./strict.js";

export { readEnvelope, writeEnvelope } from "./crypto/envelopes.js";

const LIMIT = 4 * 1024;
const CATEGORY = new RegExp(
  "^(sexual_violence|physical_violence|confinement|drugging|robbery|blackmail_outing|stalking" +
    "|condom_violation|authority_abuse|threats|boundary_violation|covert_recording|theft" +
    "|harassment|non_payment|scam|time_wasting|other)$",
);

const SHAPES = {
  report: {
    origin: host,
    collective: ID,
    rid: RID,
    issued: day,
    expires: day,
    categories: [CATEGORY, 1, 4],
    severity: /^(danger|risk|nuisance)$/,
    month,
    network: NETWORK,
    epoch: ordinal,
    identifiers: [{ kind: /^(phone|email)$/, token: bytes32 }, 1, 4],
    "replaces?": bytes32,
  },
  retract: {
    origin: host,
    collective: ID,
    rid: RID,
    target: bytes32,
    reason: /^(error|duplicate|disputed|reporter-request|objection|legal)$/,
    issued: day,
  },
  erase: {
    origin: host,
    rid: RID,
    targets: [bytes32, 1, 64],
    reason: /^(expired|reporter-request|objection|legal)$/,
    issued: day,
  },
  keys: {
    origin: host,
    rid: RID,
    identity_version: ordinal,
    identity_sha256: bytes32,
    issued: day,
  },
  close: { origin: host, rid: RID, "successor?": logId, issued: day },
  checkpoint: { origin: host, log: logId, size: count, root: bytes32, issued: time },
};

const CHECKS = {
  report: ({ categories, identifiers }) => {
    ascending(categories);
    distinct(identifiers.map((one) => one.token));
  },
  erase: ({ targets }) => distinct(targets),
  checkpoint: ({ origin, log }) => checkLog(origin, log),
};

/** The payload type of a kind: `identity`, `report`, `retract`, `erase`, `keys`, … */
export const payloadType = (kind) => IDENTITY_TYPE.replace("identity", kind);

/** Whether there are documents of a payload type. */
export const isDocument = (type) =>
  ["identity", ...Object.keys(SHAPES)].some((kind) => payloadType(kind) === type);

/** The document that `payload` encodes. Throws Failure `malformed` for every other payload. */
export const decode = (kind, payload) =>
  kind === "identity"
    ? decodeIdentity(payload)
    : decodeStrict(payload, LIMIT, SHAPES[kind] ?? fail("malformed"), CHECKS[kind]);

/** The one payload of a document. Throws Failure `malformed` for what is none of its kind. */
export function encode(kind, document) {
  if (kind === "identity") {
    return encodeIdentity(document);
  }
  const payload = encodeStrict(document);
  decode(kind, payload);
  return payload;
}
