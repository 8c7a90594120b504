// The moderator's own device, against instances that lie: nothing is signed that differs.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { encodeBase64, fromHex, random, utf8 } from "../../api/web/src/client/bytes.js";
import { lock, unlock } from "../../api/web/src/client/crypto/keyfiles.js";
import { openBox, openBoxKey, sealAccount } from "../../api/web/src/client/crypto/sealing.js";
import {
  decode,
  encode,
  payloadType,
  readEnvelope,
  writeEnvelope,
} from "../../api/web/src/client/documents.js";
import { Failure } from "../../api/web/src/client/failures.js";
import * as access from "../../api/web/src/client/moderating/access.js";
import { entryOf } from "../../api/web/src/client/moderating/checks.js";
import * as desks from "../../api/web/src/client/moderating/desk.js";
import * as docket from "../../api/web/src/client/moderating/docket.js";
import {
  generateKeys,
  lockKeys,
  signatureOf,
  unlockKeys,
} from "../../api/web/src/client/moderating/keys.js";
import { readPage } from "../../api/web/src/client/moderating/messages.js";
import { all, listed, rowOf } from "../../api/web/src/client/moderating/rows.js";
import { encodeStrict } from "../../api/web/src/client/strict.js";
import { signers } from "../../api/web/src/client/trust-reports.js";
import { methods } from "../../api/web/src/worker/desk.js";
import { vectors } from "./files.js";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const COLLECTIVE = "rose";
const PASSPHRASE = "six words are a good one";
const LOOKUP = vectors("lookup-v1");
const [NUMBER, OTHER_NUMBER, MAIL] = LOOKUP.items.map(({ kind, canonical }) => ({
  kind,
  canonical,
}));
const TOKENS = new Map(LOOKUP.items.map((one) => [one.canonical, fromHex(one.token)]));
const OLD_TOKEN = fromHex(LOOKUP.public_key);
const [FIRST, SECOND, THIRD, STRANGER] = [1, 2, 3, 4].map(() => generateKeys(random));
const CONSENT = { warn: "network", police: "never", research: false };
const ID = "12".repeat(16);

const tokenOf = ({ canonical }) => TOKENS.get(canonical);
const moderator = (id, { publicSign, publicBox }, status = "active") => ({
  id,
  sign: publicSign,
  box: publicBox,
  status,
});

function identity({ colleagues = [], ...changes } = {}) {
  const rose = [moderator("m-1", FIRST), moderator("m-2", SECOND), ...colleagues];
  const iris = [moderator("m-9", STRANGER)];
  return {
    version: 1,
    origin: "alpha.example",
    network: "test-network",
    epoch: 1,
    collectives: [
      { id: COLLECTIVE, moderators: rose, status: "active" },
      { id: "iris", moderators: iris, status: "active" },
    ],
    ...changes,
  };
}

/** A desk of `keys` before an instance that says what a test lets it say; `sent` is what it was sent. */
function deskOf(keys = FIRST, { colleagues, epoch = 1, pages = [], refusal, code } = {}) {
  const sent = [];
  const asked = [];
  const client = {
    profile: { address: "https://alpha.example", root: "0".repeat(64), collective: COLLECTIVE },
    now: () => NOW,
    identity: async () => identity({ colleagues, epoch }),
    forget() {},
    tokens: async (identifiers) => identifiers.map(tokenOf),
    async call(method, path, { json, params } = {}) {
      if (method === "GET") {
        asked.push({ ...params });
        return { json: pages[asked.length - 1] ?? { items: [] } };
      }
      sent.push({ path, body: json });
      if (refusal) throw new Failure(refusal);
      if (path.endsWith("invitations")) {
        return { json: { invitations: [{ id: "0".repeat(32), code }] } };
      }
      const counts = /(approve|dispute|retract)$/.test(path) && { approvals: 1, needed: 2 };
      return { json: { status: "in_review", ...counts } };
    },
  };
  return { client, keys, random, sent, asked };
}

const envelopeSent = ({ sent }) => {
  assert.equal(sent.length, 1);
  return readEnvelope(sent[0].body.envelope);
};

async function refused(code, work, members = {}) {
  await assert.rejects(work, (failure) => {
    assert.equal(failure.code, code);
    for (const [name, value] of Object.entries(members)) {
      assert.equal(failure.members[name], value);
    }
    return true;
  });
}

const requestOf = (identifiers, changes = {}) => ({
  epoch: 1,
  categories: ["threats", "other"],
  severity: "risk",
  month: "2026-10",
  consent: CONSENT,
  wait_days: 0,
  request_id: "ab".repeat(16),
  identifiers: identifiers.map((one) => ({ kind: one.kind, token: tokenOf(one) })),
  ...changes,
});

/** What the instance answers of a report, in which it shows `shown` otherwise than was sealed. */
function message({
  about = [NUMBER],
  canonical = about.map((one) => one.canonical),
  readers = [FIRST, SECOND],
  account = { text: "Synthetic account.", flags: ["weapon"], actor: "client" },
  sealed = {},
  shown = {},
} = {}) {
  const request = requestOf(about, sealed);
  const plaintext = encodeStrict({ request, canonical, account });
  const boxes = readers.map((one) => ({ kid: one.kid, box: one.publicBox }));
  const item = {
    ...request,
    id: ID,
    status: "in_review",
    sealed: { v: 1, ...sealAccount(plaintext, boxes, random) },
    same_reporter: [],
    approvals: 0,
    needed: 1,
    overdue: false,
    ...shown,
  };
  return JSON.parse(new TextDecoder().decode(encodeStrict(item)));
}

const item = (options) => readPage({ items: [message(options)] }).items[0];

const documentOf = ({ identifiers }, changes = {}) => ({
  origin: "alpha.example",
  collective: COLLECTIVE,
  rid: "cd".repeat(16),
  issued: "2026-11-23",
  expires: "2028-10-31",
  categories: ["threats"],
  severity: "risk",
  month: "2026-10",
  network: "test-network",
  epoch: 1,
  identifiers,
  ...changes,
});

function signed(by, kind, document) {
  const [type, payload] = [payloadType(kind), encode(kind, document)];
  return { payload, payloadType: type, signatures: [signatureOf(by, type, payload)] };
}

/** A report that a colleague has signed. */
function awaiting(changes = {}, by = SECOND, options = {}) {
  const reported = item(options);
  return { ...reported, envelope: signed(by, "report", documentOf(reported, changes)) };
}

const published = (changes, by) => ({ ...awaiting(changes, by), status: "published" });

const retractionOf = ({ envelope }, changes = {}) => ({
  origin: "alpha.example",
  collective: COLLECTIVE,
  rid: "ef".repeat(16),
  target: entryOf(decode("report", envelope.payload)),
  reason: "error",
  issued: "2026-11-23",
  ...changes,
});

async function mismatched(what, shown, options = {}) {
  const desk = deskOf(FIRST, options);
  await refused("mismatch", () => desks.open(desk, shown), { what });
  assert.deepEqual(desk.sent, []);
}

test("a key file holds what other programs read, and opens by its passphrase alone", async () => {
  const text = await lockKeys(FIRST, PASSPHRASE, random);
  assert.deepEqual(await unlockKeys(text, PASSPHRASE), FIRST);
  const contents = new TextDecoder().decode(await unlock(text, PASSPHRASE));
  const [box, seed] = [FIRST.box, FIRST.sign].map(encodeBase64);
  assert.equal(contents, `{"box":"${box}","sign":"${seed}","v":1}`);
  await refused("wrong-passphrase", () => unlockKeys(text, "another passphrase"));
});

test("a passphrase has twelve characters, counted as people count them", async () => {
  await refused("weak-passphrase", () => lockKeys(FIRST, "eleven char", random));
  await refused("weak-passphrase", () => lockKeys(FIRST, "🔒".repeat(11), random));
});

test("a file of something else holds no keys", async () => {
  for (const contents of ["{}", "secret", '{"v":2,"sign":"","box":""}']) {
    const text = await lock(utf8(contents), PASSPHRASE, random, { m_kib: 8, t: 1 });
    await refused("malformed", () => unlockKeys(text, PASSPHRASE));
  }
});

test("an honest report is read", async () => {
  const opened = await desks.open(deskOf(), item({ about: [NUMBER, MAIL] }));
  assert.deepEqual(opened.identifiers, [NUMBER, MAIL]);
  assert.deepEqual(opened.account, {
    text: "Synthetic account.",
    flags: ["weapon"],
    actor: "client",
    area: null,
  });
});

test("an account may leave out what is not said", async () => {
  const opened = await desks.open(deskOf(), item({ account: {} }));
  assert.deepEqual(opened.account, { text: "", flags: [], actor: "unknown", area: null });
});

for (const [name, value] of Object.entries({
  epoch: 2,
  categories: ["robbery"],
  severity: "danger",
  month: "2026-11",
  consent: { ...CONSENT, police: "contact_me" },
  wait_days: 30,
  request_id: "00".repeat(16),
  identifiers: [{ kind: "phone", token: tokenOf(OTHER_NUMBER) }],
})) {
  test(`nothing is changed on the way: ${name}`, async () => {
    await mismatched(name, item({ shown: { [name]: value } }));
  });
}

test("categories in another order, or a token of another kind, are a change too", async () => {
  await mismatched("categories", item({ shown: { categories: ["other", "threats"] } }));
  const relabelled = [{ kind: "email", token: tokenOf(NUMBER) }];
  await mismatched("identifiers", item({ shown: { identifiers: relabelled } }));
  const honest = item({ about: [NUMBER, MAIL] });
  await mismatched("identifiers", { ...honest, identifiers: honest.identifiers.toReversed() });
});

test("consent is not widened on the way", async () => {
  for (const warn of ["local", "statistics", "none"]) {
    const narrow = { ...CONSENT, warn };
    await mismatched("consent", item({ sealed: { consent: narrow }, shown: { consent: CONSENT } }));
  }
  await mismatched("consent", item({ shown: { consent: { ...CONSENT, research: true } } }));
});

test("a box about one number with the token of another is refused", async () => {
  await mismatched("tokens", item({ about: [OTHER_NUMBER], canonical: [NUMBER.canonical] }));
});

test("identifiers that are not canonical are refused", async () => {
  for (const text of ["07700 900113", "+44 7700 900113", "x", "", "a@b"]) {
    await mismatched("canonical", item({ canonical: [text] }));
  }
  const both = [NUMBER.canonical, OTHER_NUMBER.canonical];
  await mismatched("canonical", item({ canonical: both }));
});

test("a report that is not sealed to her is not hers to open", async () => {
  await refused("not-sealed-to-you", () => desks.open(deskOf(), item({ readers: [SECOND] })));
});

test("a box key of somebody else, and the box of another report, are refused", async () => {
  const honest = item();
  const [mine, hers] = honest.sealed.keys;
  const swapped = { ...honest.sealed, keys: [{ ...mine, sealed: hers.sealed }, hers] };
  await mismatched("box-key", { ...honest, sealed: swapped });
  const { sealed } = item({ about: [OTHER_NUMBER], sealed: { request_id: "00".repeat(16) } });
  await mismatched("request_id", { ...honest, sealed });
  const box = honest.sealed.box.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  await mismatched("account", { ...honest, sealed: { ...honest.sealed, box } });
});

test("an account that says more than a report does is not read", async () => {
  await mismatched("account", item({ account: { text: "", verdict: "approve" } }));
  await mismatched("account", item({ account: { text: "x".repeat(20_001) } }));
  await mismatched("account", item({ account: { area: "GB\n" } }));
});

test("after a rotation the identifiers alone decide", async () => {
  const sealed = { identifiers: [{ kind: "phone", token: OLD_TOKEN }] };
  const { identifiers } = requestOf([NUMBER]);
  const rotated = item({ sealed, shown: { epoch: 2, identifiers } });
  const opened = await desks.open(deskOf(FIRST, { epoch: 2 }), rotated);
  assert.deepEqual(opened.identifiers, [NUMBER]);
  const other = { epoch: 2, identifiers: requestOf([OTHER_NUMBER]).identifiers };
  await mismatched("tokens", item({ shown: other }), { epoch: 2 });
});

test("only keys that the operator signed decide", async () => {
  await refused("not-listed", () => desks.open(deskOf(THIRD), item({ readers: [THIRD] })));
});

test("a colleague who joined later is let in by name only", async () => {
  const desk = deskOf(FIRST, { colleagues: [moderator("m-3", THIRD)] });
  const reported = item();
  await desks.open(desk, reported);
  assert.deepEqual(desk.sent, []); // reading gives nobody else anything
  const [colleague, ...others] = await desks.excluded(desk, reported);
  assert.deepEqual([colleague.id, others], ["m-3", []]);
  assert.ok(await desks.reseal(desk, reported, colleague));
  const [{ path, body }] = desk.sent;
  assert.equal(path, `/v1/moderation/reports/${ID}/reseal`);
  assert.equal(body.kid, THIRD.kid);
  const key = openBoxKey(Buffer.from(body.sealed, "base64"), THIRD.box);
  const text = new TextDecoder().decode(openBox(reported.sealed.nonce, reported.sealed.box, key));
  assert.match(text, /Synthetic account\./);
});

test("a colleague who has ended, or can read already, is given nothing", async () => {
  for (const status of ["ended", "revoked"]) {
    const gone = deskOf(FIRST, { colleagues: [moderator("m-3", THIRD, status)] });
    assert.deepEqual(await desks.excluded(gone, item()), []);
  }
  const desk = deskOf(FIRST, { refusal: "conflict" });
  assert.equal(await desks.reseal(desk, item(), moderator("m-3", THIRD)), false);
});

test("what was read is what is signed", async () => {
  const desk = deskOf();
  const reported = item({ about: [NUMBER, MAIL] });
  await desks.approve(desk, await desks.open(desk, reported));
  const envelope = envelopeSent(desk);
  assert.deepEqual(signers(envelope, identity(), COLLECTIVE), ["m-1"]);
  const { rid, ...report } = decode("report", envelope.payload);
  assert.match(rid, /^[0-9a-f]{32}$/);
  assert.deepEqual({ ...report, rid: "" }, documentOf(reported, { rid: "" }));
});

test("what she chooses is signed", async () => {
  const desk = deskOf();
  const categories = ["stalking", "robbery", "other"];
  const chosen = { categories, severity: "danger", month: "2026-09" };
  await desks.approve(desk, await desks.open(desk, item()), chosen);
  const report = decode("report", envelopeSent(desk).payload);
  assert.deepEqual(report.categories, ["robbery", "stalking"]);
  assert.deepEqual([report.severity, report.month], ["danger", "2026-09"]);
  assert.equal(report.expires, "2031-09-30");
});

test("“other” is not published, and no more than four categories", async () => {
  const desk = deskOf();
  const other = await desks.open(desk, item({ sealed: { categories: ["other"] } }));
  await refused("only-other", () => desks.approve(desk, other));
  const categories = ["robbery", "theft", "threats", "stalking", "scam"];
  await refused("malformed", () => desks.approve(desk, other, { categories }));
  assert.deepEqual(desk.sent, []);
});

test("where no warning is wanted nothing is signed", async () => {
  for (const warn of ["statistics", "none"]) {
    const desk = deskOf();
    const reported = item({ sealed: { consent: { ...CONSENT, warn } } });
    await desks.approve(desk, await desks.open(desk, reported));
    assert.deepEqual(
      desk.sent.map((one) => one.body),
      [{}],
    );
  }
});

/** A report that was released from a dispute. */
function replacing(former, replaces = former && entryOf(decode("report", former.payload))) {
  const shown = { replaces, former: former && writeEnvelope(former) };
  return item({ shown: JSON.parse(new TextDecoder().decode(encodeStrict(shown))) });
}

test("a disputed report names the entry it replaces", async () => {
  const desk = deskOf();
  const released = replacing(signed(SECOND, "report", documentOf(item())));
  await desks.approve(desk, await desks.open(desk, released));
  assert.deepEqual(decode("report", envelopeSent(desk).payload).replaces, released.replaces);
});

for (const [name, released, why] of [
  ["nothing", () => replacing(undefined, new Uint8Array(32)), "absent"],
  [
    "another entry",
    () => replacing(signed(SECOND, "report", documentOf(item())), new Uint8Array(32)),
    "entry",
  ],
  [
    "another identifier",
    () => replacing(signed(SECOND, "report", documentOf(item({ about: [OTHER_NUMBER] })))),
    "identifiers",
  ],
  [
    "another collective's",
    () => replacing(signed(SECOND, "report", documentOf(item(), { collective: "iris" }))),
    "collective",
  ],
  ["a stranger's", () => replacing(signed(STRANGER, "report", documentOf(item()))), "signature"],
]) {
  test(`a signature never takes another warning away: ${name}`, async () => {
    const desk = deskOf();
    const opened = await desks.open(desk, released());
    await refused("mismatch", () => desks.approve(desk, opened), { what: "former", why });
    assert.deepEqual(desk.sent, []);
  });
}

test("two sign the same", async () => {
  const desk = deskOf();
  const shown = awaiting({ severity: "nuisance", expires: "2027-10-31" });
  const opened = await desks.open(desk, shown);
  const first = await desks.signed(desk, shown);
  assert.deepEqual([first.document.severity, first.by], ["nuisance", ["m-2"]]);
  await desks.approve(desk, opened);
  const envelope = envelopeSent(desk);
  assert.deepEqual(envelope.payload, shown.envelope.payload);
  assert.deepEqual(signers(envelope, identity(), COLLECTIVE).sort(), ["m-1", "m-2"]);
});

async function refusedFirst(shown, why, what = "first-approval") {
  const desk = deskOf();
  const opened = await desks.open(desk, shown);
  await refused("mismatch", () => desks.signed(desk, shown), { what, why });
  await refused("mismatch", () => desks.approve(desk, opened), { what, why });
  assert.deepEqual(desk.sent, []);
}

for (const [changes, why] of [
  [{ identifiers: requestOf([OTHER_NUMBER]).identifiers }, "identifiers"],
  [{ identifiers: requestOf([NUMBER, MAIL]).identifiers }, "identifiers"],
  [{ collective: "iris" }, "collective"],
  [{ replaces: new Uint8Array(32) }, "replaces"],
  [{ origin: "beta.example" }, "foreign-origin"],
  [{ network: "test-other" }, "wrong-network"],
  [{ epoch: 2 }, "wrong-epoch"],
  [{ expires: "2028-11-30" }, "expiry-too-long"],
]) {
  test(`a first approval of something else is not signed: ${Object.keys(changes)}, ${why}`, () =>
    refusedFirst(awaiting(changes), why));
}

test("a first approval must replace what is disputed", async () => {
  const former = signed(SECOND, "report", documentOf(item(), { rid: "aa".repeat(16) }));
  const replaces = entryOf(decode("report", former.payload));
  await refusedFirst({ ...awaiting(), replaces, former }, "replaces");
});

test("a first approval that no colleague signed, or with a forged name, is not signed", async () => {
  await refusedFirst(awaiting({}, THIRD), "signature");
  await refusedFirst(awaiting({}, STRANGER), "signature");
  const shown = awaiting();
  const forged = [{ keyid: SECOND.kid, sig: new Uint8Array(64) }];
  await refusedFirst(
    { ...shown, envelope: { ...shown.envelope, signatures: forged } },
    "signature",
  );
});

test("a retraction is not signed as an approval", async () => {
  const envelope = signed(SECOND, "retract", retractionOf(awaiting()));
  await refusedFirst({ ...item(), envelope }, "malformed");
});

test("a second moderator changes nothing", async () => {
  for (const chosen of [
    { categories: ["robbery"] },
    { severity: "danger" },
    { month: "2026-09" },
  ]) {
    const desk = deskOf();
    const opened = await desks.open(desk, awaiting());
    await refused("signed-otherwise", () => desks.approve(desk, opened, chosen));
    assert.deepEqual(desk.sent, []);
  }
});

test("nobody signs twice, unless hers alone has become enough", async () => {
  const desk = deskOf();
  const shown = awaiting({}, FIRST);
  const opened = await desks.open(desk, { ...shown, needed: 2 });
  await refused("already-signed", () => desks.approve(desk, opened));
  await desks.approve(desk, { ...opened, item: shown });
  assert.deepEqual(envelopeSent(desk).payload, shown.envelope.payload);
});

test("a report read before a rotation is not signed after it", async () => {
  const opened = await desks.open(deskOf(), item());
  const desk = deskOf(FIRST, { epoch: 2 });
  await refused("key-changed", () => desks.approve(desk, opened));
  assert.deepEqual(desk.sent, []);
  await refused("key-changed", () => desks.open(desk, item()));
});

test("what was read before a rotation is compared anew and signed", async () => {
  const shown = message();
  const opened = await desks.open(deskOf(), readPage({ items: [shown] }).items[0]);
  const desk = deskOf(FIRST, { epoch: 2, pages: [{ items: [{ ...shown, epoch: 2 }] }] });
  await desks.approve(desk, opened);
  assert.equal(decode("report", envelopeSent(desk).payload).epoch, 2);
});

test("the published entry is retracted, a dispute signed as one", async () => {
  const shown = published();
  const desk = deskOf();
  await desks.retract(desk, shown, "objection");
  const retract = decode("retract", envelopeSent(desk).payload);
  assert.deepEqual(retract, retractionOf(shown, { rid: retract.rid, reason: "objection" }));
  assert.deepEqual(signers(envelopeSent(desk), identity(), COLLECTIVE), ["m-1"]);
  const disputing = deskOf();
  await desks.dispute(disputing, shown);
  assert.equal(decode("retract", envelopeSent(disputing).payload).reason, "disputed");
});

test("two retract the same", async () => {
  const shown = published();
  const retraction = signed(SECOND, "retract", retractionOf(shown));
  const desk = deskOf();
  await desks.retract(desk, { ...shown, retraction }, "error");
  assert.deepEqual(envelopeSent(desk).payload, retraction.payload);
  assert.deepEqual(signers(envelopeSent(desk), identity(), COLLECTIVE).sort(), ["m-1", "m-2"]);
});

for (const [changes, why] of [
  [{ target: new Uint8Array(32) }, "target"],
  [{ reason: "legal" }, "reason"],
  [{ collective: "iris" }, "collective"],
  [{ origin: "beta.example" }, "foreign-origin"],
  [{ issued: "2026-12-24" }, "future-dated"],
]) {
  test(`a first retraction of something else is not signed: ${why}`, async () => {
    const desk = deskOf();
    const shown = published();
    const retraction = signed(SECOND, "retract", retractionOf(shown, changes));
    const work = () => desks.retract(desk, { ...shown, retraction }, "error");
    await refused("mismatch", work, { what: "first-retraction", why });
    assert.deepEqual(desk.sent, []);
  });
}

async function notRetracted(shown, why, options) {
  const desk = deskOf(FIRST, options);
  const work = () => desks.retract(desk, shown, "error");
  await refused("mismatch", work, { what: "published", why });
  assert.deepEqual(desk.sent, []);
}

test("another entry than the report's is not retracted", async () => {
  await notRetracted(
    published({ identifiers: requestOf([OTHER_NUMBER]).identifiers }),
    "identifiers",
  );
  const newer = { identifiers: requestOf([MAIL]).identifiers, epoch: 2 };
  await notRetracted(published(newer), "identifiers");
  await notRetracted(published({ collective: "iris" }), "collective");
  await notRetracted(published({ origin: "beta.example" }), "collective");
  await notRetracted(published({}, STRANGER), "signature");
  await notRetracted({ ...item(), status: "published" }, "absent");
});

test("what an earlier moderator signed in an earlier epoch can be retracted", async () => {
  const options = { colleagues: [moderator("m-3", THIRD, "revoked")], epoch: 2 };
  const desk = deskOf(FIRST, options);
  const old = published({ identifiers: requestOf([OTHER_NUMBER]).identifiers }, THIRD);
  await desks.retract(desk, { ...old, epoch: 2 }, "error");
  assert.equal(desk.sent.length, 1);
});

test("the queue is read to its end", async () => {
  const second = message({ about: [MAIL], shown: { id: "34".repeat(16) } });
  const desk = deskOf(FIRST, { pages: [{ items: [message()], next: "1.7" }, { items: [second] }] });
  assert.equal((await all(docket.queue(desk.client, { status: "published" }))).length, 2);
  assert.deepEqual(desk.asked, [
    { limit: "100", status: "published" },
    { limit: "100", status: "published", after: "1.7" },
  ]);
});

test("a queue without an end is not read for ever", async () => {
  for (const items of [[], [message()]]) {
    const { client } = deskOf(FIRST, { pages: Array(9).fill({ items, next: "1.7" }) });
    await refused("mismatch", () => all(docket.queue(client)), { what: "queue" });
  }
});

test("a report is found by its identifier, and no other is taken for it", async () => {
  const desk = deskOf(FIRST, { pages: [{ items: [message()] }] });
  assert.equal((await all(docket.find(desk.client, NUMBER)))[0].id, ID);
  assert.equal(desk.asked[0].token, encodeBase64(tokenOf(NUMBER)));
  const { client } = deskOf(FIRST, { pages: [{ items: [message({ about: [OTHER_NUMBER] })] }] });
  await refused("mismatch", () => all(docket.find(client, NUMBER)), { what: "queue" });
});

test("what is no queue is not read as one", async () => {
  const honest = message();
  const { envelope } = awaiting();
  for (const changes of [
    { verdict: "approve" },
    { id: "12" },
    { status: "open" },
    { severity: "grave" },
    { month: "2026-13" },
    { consent: { ...CONSENT, police: "always" } },
    { overdue: 1 },
    { approvals: "1" },
    { identifiers: [] },
    { replaces: "AA==" },
    { envelope: { ...writeEnvelope(envelope), signatures: [] } },
    { sealed: { ...honest.sealed, v: 2 } },
    { sealed: { ...honest.sealed, keys: [] } },
    { sealed: { ...honest.sealed, keys: Array(2).fill(honest.sealed.keys[0]) } },
    { sealed: { ...honest.sealed, box: honest.sealed.box.slice(4) } },
  ]) {
    const { client } = deskOf(FIRST, { pages: [{ items: [{ ...honest, ...changes }] }] });
    await refused("no-instance", () => all(docket.queue(client)));
  }
  const { overdue, ...lacking } = honest;
  assert.equal(overdue, false);
  const { client } = deskOf(FIRST, { pages: [{ items: [lacking] }] });
  await refused("no-instance", () => all(docket.queue(client)));
});

test("what waits for somebody is listed, danger first, and no account in it", async () => {
  const named = (digits, shown) => message({ shown: { id: digits.repeat(16), ...shown } });
  const shown = published();
  const written = (envelope) => writeEnvelope(envelope);
  const taken = signed(SECOND, "retract", retractionOf(shown));
  const retraction = written(taken);
  const envelope = written(shown.envelope);
  const { client, asked } = deskOf(FIRST, {
    pages: [
      { items: [named("a1", { status: "approved", envelope })] },
      { items: [named("b2", { status: "published", severity: "danger", envelope, retraction })] },
      { items: [named("c3"), named("d4", { severity: "danger", overdue: true })] },
      { items: [named("e5", { status: "disputed", envelope })] },
    ],
  });
  const rows = (await listed(client, null)).map((one) => rowOf(one, FIRST.kid));
  assert.deepEqual(
    asked.map((one) => one.status ?? null),
    ["approved", "published", null, "disputed"],
  );
  assert.deepEqual(
    rows.map((one) => [one.id.slice(0, 2), one.severity, one.pending]),
    [
      ["d4", "danger", null],
      ["b2", "danger", "retraction"],
      ["c3", "risk", null],
      ["e5", "risk", null],
    ],
  );
  assert.doesNotMatch(JSON.stringify(rows), /Synthetic/);
});

test("a row tells what is pending, and whether she has signed it or can read it", () => {
  const rowsOf = (shown) => [FIRST, SECOND, THIRD].map(({ kid }) => rowOf(shown, kid));
  const [first, second, third] = rowsOf(awaiting());
  assert.deepEqual(
    [first.signed_by_me, second.signed_by_me, first.pending],
    [false, true, "approval"],
  );
  assert.deepEqual([first.readable, third.readable], [true, false]);
  const shown = published();
  assert.equal(rowOf(shown, SECOND.kid).signed_by_me, false); // that it is published, not pending
  const disputed = signed(FIRST, "retract", retractionOf(shown, { reason: "disputed" }));
  assert.deepEqual(
    rowsOf({ ...shown, retraction: disputed }).map((one) => [one.pending, one.signed_by_me]),
    [
      ["dispute", true],
      ["dispute", false],
      ["dispute", false],
    ],
  );
});

test("decisions without a signature are sent", async () => {
  const { client, sent } = deskOf();
  await docket.reject(client, ID, "too-little");
  await docket.merge(client, ID, "34".repeat(16));
  await docket.release(client, ID);
  assert.deepEqual(
    sent.map((one) => one.body),
    [{ reason: "too-little" }, { into: "34".repeat(16) }, undefined],
  );
});

test("an invitation is put together from what she trusts", async () => {
  const code = "c".repeat(43);
  const root = "0".repeat(64);
  const [{ line }] = await docket.invite(deskOf(FIRST, { code }).client, 1);
  assert.equal(line, `https://alpha.example/join#${code}.${root}`);
  const elsewhere = deskOf(FIRST, { code: `${code}.${root}\n` });
  await refused("no-instance", () => docket.invite(elsewhere.client, 1));
});

/** What a worker would give the desk's methods, with an unlocked desk and nothing kept. */
function unlockedContext() {
  const desk = { ...deskOf(), items: new Map(), opened: new Map(), until: NOW + 1 };
  const environment = { now: () => NOW + context.passed };
  const context = { session: { desk, client: desk.client }, environment, passed: 0 };
  return context;
}

const endMember = (context) => methods["desk.endMember"]({ id: ID }, context);
const isLocked = ({ session }) => session.desk === null && session.client === null;

test("a desk that nobody uses for a quarter of an hour is locked", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const context = unlockedContext();
    await endMember(context);
    mock.timers.tick(14 * 60_000);
    await endMember(context);
    mock.timers.tick(14 * 60_000);
    assert.ok(!isLocked(context));
    mock.timers.tick(60_000);
    assert.ok(isLocked(context));
    await refused("locked", async () => endMember(context));
  } finally {
    mock.timers.reset();
  }
});

test("a device that slept for a quarter of an hour has locked its desk", async () => {
  const context = unlockedContext();
  await endMember(context);
  context.passed = 15 * 60_000 + 1;
  await refused("locked", async () => endMember(context));
  assert.ok(isLocked(context));
});

test("what was not opened is not approved, and what was not listed not decided", async () => {
  const context = unlockedContext();
  const { desk } = context.session;
  await refused("not-found", () => methods["desk.reject"]({ id: ID, reason: "other" }, context));
  desk.items.set(ID, item());
  await refused("not-opened", () => methods["desk.approve"]({ id: ID }, context));
  await refused("not-opened", async () => methods["desk.reseal"]({ id: ID }, context));
  assert.deepEqual(desk.sent, []);
  methods["desk.lock"]({}, context);
  assert.ok(isLocked(context));
});

test("new keys are kept before their code is used, and not if that fails", async () => {
  const records = new Map();
  const kept = {
    put: async (record) => void records.set(record.id, record),
    remove: async (id) => void records.delete(id),
  };
  const whenUsed = [];
  const fetch = async () => {
    whenUsed.push(...records.values());
    throw new TypeError("no network");
  };
  const address = "https://alpha.example";
  const environment = { address, fetch, now: () => NOW, random };
  const invitation = `${address}/join#${"c".repeat(43)}.${"0".repeat(64)}`;
  const joining = () => access.join({ invitation, passphrase: PASSPHRASE }, { environment, kept });
  await refused("offline", joining);
  const [{ id, role, words, keys, file }] = whenUsed;
  const unlocked = await unlockKeys(keys, PASSPHRASE);
  assert.deepEqual([id, role, file], [unlocked.kid, "moderator", null]);
  assert.equal(words, unlocked.words.split(" ").slice(0, 3).join(" "));
  assert.equal(records.size, 0);
});
