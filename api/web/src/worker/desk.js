/**
 * The moderator's desk, fetched only when it is used. `session.desk` is `{keys, client, random, items,
 * opened, held, timer, until}` while her keys are unlocked, and null else: `items` are the reports listed
 * last, `opened` those whose account she has read since, both by id; `held` partners' reports by entry.
 */
import { fail } from "../client/failures.js";
import { display } from "../client/identifiers.js";
import { accessLine } from "../client/joining.js";
import { keyId } from "../client/crypto/envelopes.js";
import { keyWords } from "../client/crypto/words.js";
import * as access from "../client/moderating/access.js";
import * as desks from "../client/moderating/desk.js";
import * as docket from "../client/moderating/docket.js";
import { decideHeld, held } from "../client/moderating/held.js";
import { all, listed, rowOf } from "../client/moderating/rows.js";
import { canonicalised, methods as member } from "./member.js";

const IDLE = 15 * 60_000;
const OPEN = ["submitted", "in_review"];

export const methods = {
  /** The moderators whose keys are kept on this device: `[{kid, words}]`, the first three words. */
  async "desk.kept"(_, { kept }) {
    return (await access.records(kept)).map(({ id, words }) => ({ kid: id, words }));
  },

  /** Makes keys, redeems an invitation with them and keeps both; the desk is unlocked then. */
  async "desk.join"(params, context) {
    const joined = await access.join(params, context);
    // All is kept by now; without an answer here she can unlock it later.
    await unlocked(joined, context).catch(() => {});
    return who(joined.keys);
  },

  /** Keeps a key file of the command line, and the access that belongs to it. */
  "desk.bring": async (params, context) => who(await access.bring(params, context)),

  /** Unlocks the desk; `state` is "active", "pending", "ended" or "revoked". */
  async "desk.unlock"(params, context) {
    const { client, place, keys } = await unlocked(await access.open(params, context), context);
    return { ...who(keys), ...place, collective: client.profile.collective };
  },

  /** Forgets the keys, and all that was read with them. */
  "desk.lock": (_, { session }) => lock(session),

  /** The key file, for a copy; it is locked by the passphrase. */
  async "desk.export"({ kid }, { kept }) {
    return { keys: (await access.recordNamed(kid, kept)).keys };
  },

  /** The line with which this access is taken to another device. */
  "desk.access": atDesk(({ client }) => ({ line: accessLine(client) })),

  /** Deletes the keys that are kept of `kid`. */
  async "desk.remove"({ kid }, { session, kept }) {
    await kept.remove(kid);
    if (session.desk?.keys.kid === kid) lock(session);
  },

  /** Ends her access everywhere, and deletes her keys on this device. */
  "desk.leave": atDesk(async (desk, _, context) => {
    await member.leave(_, context);
    await context.kept.remove(desk.keys.kid);
    lock(context.session);
  }),

  /** The reports of a status, or all that wait; what was open before is closed. */
  "desk.queue": atDesk(async (desk, { status }, context) => {
    // A desk may be unlocked for hours: colleagues come and go meanwhile.
    const { profile } = desk.client;
    const { client } = await access.connect({ profile, keys: desk.keys }, context);
    if (context.session.desk !== desk) fail("locked"); // meanwhile
    desk.client = context.session.client = client;
    desk.items.clear();
    desk.opened.clear();
    return show(desk, await listed(client, status ?? null));
  }),

  /** The reports about an identifier, in any status. */
  "desk.find": atDesk(async (desk, identifier) => {
    const [found] = canonicalised([identifier]);
    return show(desk, await all(docket.find(desk.client, found)));
  }),

  /** `{rows, more}`: what is held of partners' reports, the first hundred. */
  "desk.held": atDesk(async (desk) => {
    const { items, more } = await held(desk.client);
    desk.held = new Map(items.map((item) => [item.entry, item]));
    return { rows: items.map(heldRow), more };
  }),

  /** Accepts or refuses one of them. */
  "desk.decideHeld": atDesk((desk, { entry, accept }) =>
    decideHeld(desk.client, desk.held.get(entry) ?? fail("not-found"), accept),
  ),

  /** A report with its account, after all was compared. */
  "desk.open": atDesk(async (desk, { id }, { progress }) => {
    const item = await latest(desk, id);
    const opened = await desks.open(desk, item, progress);
    const signed = await signedOf(desk, item);
    const retraction = await desks.retracted(desk, item);
    const excluded = await desks.excluded(desk, item);
    desk.opened.set(id, { ...opened, excluded });
    return {
      row: rowOf(item, desk.keys.kid),
      identifiers: opened.identifiers.map((one) => ({ ...one, shown: display(one) })),
      account: opened.account,
      signed,
      retraction,
      excluded: excluded.map(colleague),
    };
  }),

  /** Signs an opened report: as it is, as a colleague has signed it, or with what is chosen. */
  "desk.approve": decision((desk, { id, categories, severity, month }) =>
    desks.approve(desk, openedOf(desk, id), { categories, severity, month }),
  ),

  /** Decisions about a listed report, each of which gives its status. */
  "desk.reject": decision((desk, { id, reason }) =>
    docket.reject(desk.client, itemOf(desk, id).id, reason),
  ),
  "desk.merge": decision((desk, { id, into }) =>
    docket.merge(desk.client, itemOf(desk, id).id, into),
  ),
  "desk.release": decision((desk, { id }) => docket.release(desk.client, itemOf(desk, id).id)),
  "desk.dispute": decision((desk, { id }) => desks.dispute(desk, itemOf(desk, id))),
  "desk.retract": decision((desk, { id, reason }) => desks.retract(desk, itemOf(desk, id), reason)),

  /** Lets a colleague read an opened report whose words were shown and compared. */
  "desk.reseal": atDesk(async (desk, { id, kid }) => {
    const { item, excluded } = openedOf(desk, id);
    const one = excluded.find(({ sign }) => keyId(sign) === kid) ?? fail("not-found");
    return { given: await desks.reseal(desk, item, one) };
  }),

  "desk.invite": atDesk(({ client }, { count }) => docket.invite(client, count)),
  "desk.endMember": atDesk(({ client }, { id }) => docket.endMember(client, id)),
  "desk.categories": atDesk((_, params, context) => member.categories(params, context)),
};

/** A method `(desk, params, context)` of an unlocked desk. Throws Failure `locked` where it is not. */
function atDesk(method) {
  return (params, context) => {
    const { session, environment } = context;
    const { desk } = session;
    // By the clock too: in a device that sleeps no time passes for timers.
    if (!desk || environment.now() > desk.until) {
      lock(session);
      return fail("locked");
    }
    stay(desk, context);
    return method(desk, params, context);
  };
}

/** A decision about a report, of which what was read is out of date then. */
function decision(decide) {
  return atDesk(async (desk, params) => {
    const answer = await decide(desk, params);
    desk.opened.delete(params.id);
    return answer;
  });
}

async function unlocked({ keys, profile }, context) {
  const { session, environment } = context;
  lock(session);
  const { client, place } = await access.connect({ keys, profile }, context);
  const { random } = environment;
  const desk = { keys, client, random, items: new Map(), opened: new Map(), held: new Map() };
  session.client = client;
  session.desk = desk;
  stay(desk, context);
  return { client, place, keys };
}

function stay(desk, { session, environment }) {
  desk.until = environment.now() + IDLE;
  clearTimeout(desk.timer);
  desk.timer = setTimeout(() => lock(session), IDLE);
}

function lock(session) {
  if (!session.desk) return;
  clearTimeout(session.desk.timer);
  session.desk = session.client = null;
}

const who = ({ kid, words }) => ({ kid, words });

function show(desk, items) {
  for (const item of items) desk.items.set(item.id, item);
  return items.map((item) => rowOf(item, desk.keys.kid));
}

// Without its tokens, which say nothing to a person.
function heldRow(item) {
  const row = { ...item };
  delete row.identifiers;
  return row;
}

const itemOf = ({ items, opened }, id) =>
  opened.get(id)?.item ?? items.get(id) ?? fail("not-found");

const openedOf = ({ opened }, id) => opened.get(id) ?? fail("not-opened");

/** A report as it is now: a colleague may have signed it since it was listed. */
async function latest(desk, id) {
  const { identifiers, status } = itemOf(desk, id);
  const [{ token }] = identifiers;
  let items = await all(docket.queue(desk.client, { token }));
  // After a change of the network's key nothing holds the token any more.
  if (items.length === 0) items = await listed(desk.client, OPEN.includes(status) ? null : status);
  const item = items.find((one) => one.id === id) ?? fail("conflict");
  desk.items.set(id, item);
  return item;
}

async function signedOf(desk, item) {
  const signed = await desks.signed(desk, item);
  if (signed === null) return null;
  const { categories, severity, month } = signed.document;
  return { categories, severity, month, by: signed.by };
}

const colleague = ({ id, sign, box }) => ({ kid: keyId(sign), id, words: keyWords(sign, box) });
