/** What a worker's page can ask for: signing in, checking, keeping access, following a receipt. */
import { utf8 } from "../client/bytes.js";
import { Client } from "../client/client.js";
import { Failure, fail } from "../client/failures.js";
import { find } from "../client/finding.js";
import { parseIdentifier, regions } from "../client/identifiers.js";
import { accessLine, signIn } from "../client/joining.js";
import { askReceipt, asciiDigits } from "../client/receipts.js";

const MEMBER = "member";
const PIN = /^[0-9]{6,12}$/;
const MOST_WRONG = 5;

/** Fetched when first needed: who only checks has no use for it. */
const keyfiles = () =>
  import("../client/crypto/keyfiles.js").catch(() => {
    throw new Failure("offline");
  });

export const methods = {
  /** What is kept on this device: `{kept: [{id, role}]}`. */
  async start(_, { kept }) {
    return { kept: (await kept.list()).map(({ id, role }) => ({ id, role })) };
  },

  /** Signs in by the line of an invitation or of an access. */
  async signIn({ line }, { session, environment, later }) {
    return enter(await signIn(line, environment), session, later);
  },

  /** Who is signed in, and whether an access is kept on this device. */
  async state(_, { session: { client }, kept }) {
    return { signedIn: client !== null, ...who(client), kept: (await kept.get(MEMBER)) !== null };
  },

  /** Keeps the access on this device under a PIN of 6 to 12 digits. */
  async keep({ pin }, { session, environment, kept }) {
    const { profile } = signedIn(session);
    const { lock } = await keyfiles();
    const file = await lock(utf8(JSON.stringify(profile)), digitsOf(pin), environment.random);
    await kept.put({ id: MEMBER, role: profile.role, file, wrong: 0 });
  },

  /** Signs in with what is kept; five wrong PINs delete it. */
  async unlock({ pin }, { session, environment, kept, later }) {
    const profile = await opened(digitsOf(pin), kept);
    return enter(new Client(profile, environment), session, later);
  },

  /** Deletes what is kept. */
  forget: (_, { kept }) => kept.remove(MEMBER),

  /** The line with which this access is taken to another device. */
  access: (_, { session }) => ({ line: accessLine(signedIn(session)) }),

  /** Ends the access everywhere, and deletes what is kept of it. */
  async leave(_, { session, kept }) {
    const client = signedIn(session);
    try {
      await client.call("DELETE", "/v1/tokens/current");
    } catch (refused) {
      if (refused.code !== "unauthenticated") throw refused; // it had ended before
    }
    session.client = session.sent = null;
    const record = await kept.get(MEMBER);
    // A moderator who leaves her desk may be a member here, too.
    if (record?.role === client.profile.role) await kept.remove(MEMBER);
  },

  regions: () => regions(),
  find: ({ text, region }) => find(text, region),

  /** The counts about each identifier, null where there is no warning. */
  check: ({ identifiers }, { session, progress }) =>
    signedIn(session).check(canonicalised(identifiers), progress),

  /** What a report can be about, for whom, and the day it is (UTC). */
  async categories(_, { session }) {
    const client = signedIn(session);
    const { categories } = await client.network();
    const today = new Date(client.now()).toISOString().slice(0, 10);
    return { categories, collective: client.profile.collective, today };
  },

  receiptStatus: ({ receipt }, context) => ask("status", receipt, context),
  receiptWithdraw: ({ receipt }, context) => ask("withdraw", receipt, context),
};

/** The Client signed in. Throws Failure `signed-out`. */
export const signedIn = ({ client }) => client ?? fail("signed-out");

/**
 * Identifiers as the page gives them back, parsed again: a token of any other spelling would be
 * found nowhere, and read as "no warning". Throws Failure `invalid-identifier`.
 */
export const canonicalised = (identifiers) =>
  identifiers.map(({ kind, canonical }) => parseIdentifier(kind, canonical, null));

function enter(client, session, later) {
  session.client = client;
  session.sent = null;
  later(() => client.network()); // so that the first check need not wait for it
  return who(client);
}

const who = (client) => ({
  role: client?.profile.role ?? null,
  collective: client?.profile.collective ?? null,
});

/**
 * The profile that is kept. It may have an older pin than the session had that kept it: the PIN is
 * not remembered, so a newer one can't be written.
 */
async function opened(pin, kept) {
  const record = (await kept.get(MEMBER)) ?? fail("signed-out");
  const left = MOST_WRONG - 1 - record.wrong;
  if (left >= 0) {
    const { unlock } = await keyfiles();
    // Counted before it is tried: closing the page must not take a wrong one back.
    await kept.put({ ...record, wrong: record.wrong + 1 });
    try {
      const plaintext = await unlock(record.file, pin);
      await kept.put({ ...record, wrong: 0 });
      return JSON.parse(new TextDecoder().decode(plaintext));
    } catch (refused) {
      if (refused.code !== "wrong-passphrase") {
        await kept.put(record); // the PIN is not to blame
        throw refused;
      }
    }
  }
  if (left <= 0) await kept.remove(MEMBER);
  return fail("wrong-pin", { left: Math.max(left, 0) });
}

function digitsOf(pin) {
  const digits = asciiDigits(pin);
  return PIN.test(digits) ? digits : fail("invalid-pin");
}

const ask = async (action, receipt, { environment }) => ({
  status: await askReceipt(action, receipt, environment),
});
