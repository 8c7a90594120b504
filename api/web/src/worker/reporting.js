/** Reporting, fetched only when it is used. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../client/bytes.js";
import { fileReport, prepareReport } from "../client/reports.js";
import { encodeStrict } from "../client/strict.js";
import { canonicalised, signedIn } from "./member.js";

// After one of these the instance may have the report all the same.
const UNCERTAIN = new Set(["offline", "no-instance", "too-large", "internal", "unavailable"]);

export const methods = { report };

/**
 * Files a report; gives `{receipt}`. What may have arrived is kept, sealed, until it is known to
 * have: the same call again sends the same bytes, and nothing is stored twice.
 */
async function report(params, { session, environment, progress }) {
  const client = signedIn(session);
  const call = toHex(sha256(encodeStrict(params)));
  const receipt = await client.againIfStale(async () => {
    if (session.sent?.call !== call) {
      session.sent = null;
      const written = { ...params, identifiers: once(canonicalised(params.identifiers)) };
      const body = await prepareReport(client, written, environment.random, progress);
      session.sent = { call, body };
    }
    try {
      return await twice(() => fileReport(client, session.sent.body));
    } catch (refused) {
      if (!UNCERTAIN.has(refused.code)) session.sent = null;
      throw refused;
    }
  });
  session.sent = null;
  return { receipt };
}

async function twice(send) {
  try {
    return await send();
  } catch (refused) {
    if (refused.code !== "offline") throw refused;
  }
  return send();
}

/** Two spellings of one number are one identifier. */
const once = (identifiers) => [
  ...new Map(identifiers.map((one) => [one.kind + one.canonical, one])).values(),
];
