/** What a worker's page can ask for: signing in, checking, keeping access, following a receipt. */
import { Client } from "../client/client.js";
import { Failure, fail } from "../client/failures.js";
import { find } from "../client/finding.js";
import { parseIdentifier, regions } from "../client/identifiers.js";
import { accessLine, signIn } from "../client/joining.js";
import { askReceipt, asciiDigits } from "../client/receipts.js";

const MEMBER = "member";
const PIN = /^[0-9]{6,12}$/;

/** Fetched when first needed: who only checks has no use for it. */
const pins = () =>
  import("./pin.js").catch(() => {
    throw new Failure("offline");
  });

export const methods = {
  /** What is kept on this device: `{kept: [{id, role}]}`. */
  async start(_, { kept }) {
    return { kept: (await kept.list()).map(({ id, role }) => ({ id, role })) };
  },

  /** Signs in by the line of an invitation or of an access. */
  async signIn({ line }, context) {
    return enter(await signIn(line, acting(context)), null, context);
  },

  /** Who is signed in, and whether an access is kept on this device. */
  async state(_, { session: { client }, kept }) {
    return { signedIn: client !== null, ...who(client), kept: (await kept.get(MEMBER)) !== null };
  },

  /** Keeps the access on this device under a PIN of 6 to 12 digits. */
  async keep({ pin }, context) {
    const { session } = context;
    const { profile } = signedIn(session);
    const { keep } = await pins();
    session.secrets = await keep(profile, digitsOf(pin), placeOf(context));
  },

  /** Signs in with what is kept; five wrong PINs delete it. */
  async unlock({ pin }, context) {
    const { open } = await pins();
    const { profile, secrets } = await open(digitsOf(pin), placeOf(context));
    return enter(new Client(profile, acting(context)), secrets, context);
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
    session.client = session.sent = session.secrets = null;
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

/** `secrets` are those under which the access is kept; null where it is not. */
function enter(client, secrets, { session, later }) {
  Object.assign(session, { client, secrets, sent: null });
  later(() => client.network()); // so that the first check need not wait for it
  return who(client);
}

const who = (client) => ({
  role: client?.profile.role ?? null,
  collective: client?.profile.collective ?? null,
});

/** What a Client needs that keeps newer pins, where it is kept itself. */
const acting = (context) => ({
  ...context.environment,
  remember: (profile) => context.later(() => remember(profile, context)),
});

async function remember(profile, context) {
  const { client, secrets } = context.session;
  if (!secrets || client?.profile.token !== profile.token) return;
  const { rekeep } = await pins();
  await rekeep(profile, secrets, placeOf(context));
}

const placeOf = ({ environment, kept }) => ({ id: MEMBER, kept, random: environment.random });

function digitsOf(pin) {
  const digits = asciiDigits(pin);
  return PIN.test(digits) ? digits : fail("invalid-pin");
}

const ask = async (action, receipt, { environment }) => ({
  status: await askReceipt(action, receipt, environment),
});
