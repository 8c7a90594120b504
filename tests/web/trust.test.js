// Who may sign what: identities and their succession, reports and retractions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, encodeBase64, utf8 } from "../../api/web/src/client/bytes.js";
import { keyId, publicKey, sign } from "../../api/web/src/client/crypto/envelopes.js";
import { decode, encode, payloadType } from "../../api/web/src/client/documents.js";
import {
  openReport,
  openRetract,
  signaturesNeeded,
  signers,
  standingSigners,
  unrevokedSigners,
} from "../../api/web/src/client/trust-reports.js";
import {
  activeModerators,
  checkCurrent,
  followChain,
  latestExpiry,
  moderatorsOf,
  nextIdentity,
  openIdentity,
  rootFingerprint,
} from "../../api/web/src/client/trust.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const { entries } = vectors("documents-v1");
const TODAY = "2026-11-22";
const digest = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const NAMES = ["root", "root-2", "root-3", "new root", "log", "new log", "http", "new http"];
const SEEDS = new Map();
for (const name of [...NAMES, "rose-a", "rose-b", "rose-c", "iris-a", "mallory"]) {
  SEEDS.set(name, await digest(utf8(name)));
}
// Any two valid points: the tokens of the vectors.
const [TOKEN, OTHER_TOKEN] = decode("report", utf8(entries[1].payload_text)).identifiers.map(
  (one) => one.token,
);

const key = (name) => publicKey(SEEDS.get(name));

function signed(kind, document, ...names) {
  const [payload, type] = [encode(kind, document), payloadType(kind)];
  const signatures = names.map((name) => ({
    keyid: keyId(key(name)),
    sig: sign(SEEDS.get(name), type, payload),
  }));
  return { payload, payloadType: type, signatures };
}

const rootOf = (names, threshold = 1) => ({ keys: names.map(key).sort(compare), threshold });
const moderator = (name, status = "active") => ({
  id: name,
  sign: key(name),
  box: key(name).map((byte) => byte ^ 0xff),
  status,
});
const collective = (id, moderators, status = "active") => ({ id, moderators, status });
const IRIS = collective("iris", [moderator("iris-a")]);
const withRose = (moderators, status) => ({
  collectives: [collective("rose", moderators, status), IRIS],
});

const identity = (changes) => ({
  version: 1,
  origin: "alpha.example",
  log: "alpha.example:1",
  issued: "2026-11-22T00:00:00Z",
  expires: "2027-12-27T00:00:00Z",
  root: rootOf(["root"]),
  log_key: key("log"),
  http_keys: [key("http")],
  network: "test-network",
  epoch: 1,
  public_key: TOKEN,
  argon2id: { m_kib: 8, t: 1 },
  ...withRose([moderator("rose-a"), moderator("rose-b")]),
  feed: "https://alpha.example/feed/v1/",
  ...changes,
});

const FIRST = identity();
const HELD = rootFingerprint(FIRST.root);
const TWO_OF_THREE = identity({ root: rootOf(["root", "root-2", "root-3"], 2) });
const HELD_BY_THREE = rootFingerprint(TWO_OF_THREE.root);
const version = (one, ...names) => signed("identity", one, ...names);

async function following(changes, old = FIRST) {
  const previous = await digest(encode("identity", old));
  return identity({ version: old.version + 1, previous, ...changes });
}

const accepted = (old, now, ...names) =>
  assert.deepEqual(nextIdentity(old, version(now, ...(names.length ? names : ["root"]))), now);
const refuse = (old, now, ...names) =>
  refused("identity-refused", () =>
    nextIdentity(old, version(now, ...(names.length ? names : ["root"]))),
  );
const refuseStart = (envelope, held = HELD) =>
  refused("identity-refused", () => openIdentity(envelope, held));

// The start of a chain

test("an identity with the held root starts a chain", () => {
  assert.deepEqual(openIdentity(version(FIRST, "root"), HELD), FIRST);
});

test("another root than the held one is refused", () => {
  refuseStart(version(identity({ root: rootOf(["mallory"]) }), "mallory"));
  refuseStart(version(FIRST, "root"), rootFingerprint({ ...FIRST.root, threshold: 2 }));
  refuseStart(version(FIRST, "mallory"));
});

test("two of three root keys suffice, one alone or twice does not", () => {
  const opened = openIdentity(version(TWO_OF_THREE, "root-3", "root"), HELD_BY_THREE);
  assert.deepEqual(opened, TWO_OF_THREE);
  refuseStart(version(TWO_OF_THREE, "root"), HELD_BY_THREE);
  refuseStart(version(TWO_OF_THREE, "root", "root"), HELD_BY_THREE);
});

test("a threshold counts keys and not key ids", () => {
  const envelope = version(TWO_OF_THREE, "root", "root");
  envelope.signatures[1].keyid = keyId(key("root-2"));
  refuseStart(envelope, HELD_BY_THREE);
});

test("signatures of strangers neither count nor harm", () => {
  refuseStart(version(TWO_OF_THREE, "root", "mallory"), HELD_BY_THREE);
  const envelope = version(TWO_OF_THREE, "mallory", "root", "root-2");
  assert.deepEqual(openIdentity(envelope, HELD_BY_THREE), TWO_OF_THREE);
});

test("an altered payload, another type and a changed signature are refused", () => {
  const envelope = version(FIRST, "root");
  const other = encode("identity", { ...FIRST, feed: "https://mallory.example/" });
  refuseStart({ ...envelope, payload: other });
  refuseStart({ ...envelope, payload: new Uint8Array([...envelope.payload, 10]) });
  refuseStart({ ...envelope, payloadType: payloadType("checkpoint") });
  envelope.signatures[0].sig[5] ^= 1;
  refuseStart(envelope);
});

test("a network key that is no element is refused", () => {
  for (const public_key of [new Uint8Array(32), new Uint8Array(32).fill(255)]) {
    refuseStart(version(identity({ public_key }), "root"));
  }
});

test("a cost too low or ruinous is refused", () => {
  for (const [network, m_kib, t] of [
    ["demo", 19_455, 2],
    ["demo", 19_456, 1],
    ["demo", 2 ** 40, 2],
    ["test-network", 8, 10 ** 6],
  ]) {
    refuseStart(version(identity({ network, argon2id: { m_kib, t } }), "root"));
  }
  const least = identity({ network: "demo", argon2id: { m_kib: 19_456, t: 2 } });
  assert.deepEqual(openIdentity(version(least, "root"), HELD), least);
});

// Succession

test("the next version is accepted, any other is refused", async () => {
  accepted(FIRST, await following());
  refuse(FIRST, await following({ version: 1 }));
  refuse(FIRST, await following({ version: 3 }));
});

test("an identity that names another predecessor is refused", async () => {
  refuse(FIRST, await following({ previous: undefined }));
  refuse(FIRST, await following({ previous: new Uint8Array(32) }));
});

test("new root keys need the thresholds of the old and the new", async () => {
  const replaced = await following({ root: rootOf(["new root"]) });
  accepted(FIRST, replaced, "root", "new root");
  refuse(FIRST, replaced, "root");
  refuse(FIRST, replaced, "new root");
  const lowered = await following({ root: rootOf(["root"]) }, TWO_OF_THREE);
  accepted(TWO_OF_THREE, lowered, "root", "root-2");
  refuse(TWO_OF_THREE, lowered, "root");
  const raised = await following({ root: rootOf(["root", "root-2"], 2) });
  accepted(FIRST, raised, "root", "root-2");
  refuse(FIRST, raised, "root");
});

test("what never changes may not change", async () => {
  refuse(FIRST, await following({ origin: "beta.example", log: "beta.example:1" }));
  refuse(FIRST, await following({ network: "test-other" }));
  refuse(FIRST, await following({ argon2id: { m_kib: 16, t: 1 } }));
  refuse(FIRST, await following({ argon2id: { m_kib: 8, t: 2 } }));
  refuse(FIRST, await following({ public_key: OTHER_TOKEN }));
});

test("a new epoch brings a new key, and does not go back", async () => {
  accepted(FIRST, await following({ epoch: 2, public_key: OTHER_TOKEN }));
  const second = await following({ epoch: 2 });
  refuse(second, await following({ epoch: 1 }, second));
});

test("log and log key change only together, to the next number", async () => {
  accepted(FIRST, await following({ log: "alpha.example:2", log_key: key("new log") }));
  refuse(FIRST, await following({ log: "alpha.example:2" }));
  refuse(FIRST, await following({ log_key: key("new log") }));
  refuse(FIRST, await following({ log: "alpha.example:3", log_key: key("new log") }));
});

test("http keys come and go", async () => {
  accepted(FIRST, await following({ http_keys: [key("new http")] }));
  accepted(FIRST, await following({ http_keys: [] }));
});

test("moderators and collectives may join, and none vanish", async () => {
  const [a, b, c] = ["rose-a", "rose-b", "rose-c"].map((name) => moderator(name));
  const more = [...withRose([a, b, c]).collectives, collective("lily", [])];
  accepted(FIRST, await following({ collectives: more }));
  refuse(FIRST, await following(withRose([a])));
  refuse(FIRST, await following({ collectives: [IRIS] }));
  const moved = [collective("rose", [a]), collective("iris", [moderator("iris-a"), b])];
  refuse(FIRST, await following({ collectives: moved }));
});

test("a moderator's key is hers and may not change", async () => {
  const [a, b] = [moderator("rose-a"), moderator("rose-b")];
  refuse(FIRST, await following(withRose([a, { ...b, sign: key("mallory") }])));
  refuse(FIRST, await following(withRose([a, { ...b, box: key("mallory") }])));
  refuse(FIRST, await following(withRose([a, { ...b, id: "rose-c" }])));
});

test("a status only goes from active to another", async () => {
  const statuses = ["active", "ended", "revoked"];
  for (const was of statuses) {
    for (const now of statuses) {
      const check = was === "active" || was === now ? accepted : refuse;
      const [her, she] = [was, now].map((status) => withRose([moderator("rose-a", status)]));
      check(identity(her), await following(she, identity(her)));
      const [before, after] = [was, now].map((status) => withRose([], status));
      check(identity(before), await following(after, identity(before)));
    }
  }
});

test("a chain is followed to its newest identity, and only whole", async () => {
  const second = await following({ root: rootOf(["new root"]) });
  const third = await following({ root: second.root, feed: "https://beta.example/" }, second);
  const chain = [
    version(FIRST, "root"),
    version(second, "root", "new root"),
    version(third, "new root"),
  ];
  assert.deepEqual(followChain(chain, HELD), third);
  const [one, two, three] = chain;
  for (const broken of [[], [two, three], [one, three], [three, two, one], [one, one]]) {
    refused("identity-refused", () => followChain(broken, HELD));
  }
});

// Time

const at = (text) => Date.parse(text) / 1000;

test("an identity is in force from an hour before it was issued until it expires", () => {
  checkCurrent(FIRST, at("2027-12-26T23:59:59Z"));
  refused("identity-expired", () => checkCurrent(FIRST, at("2027-12-27T00:00:00Z")));
  checkCurrent(FIRST, at("2026-11-21T23:00:00Z"));
  refused("clock-skew", () => checkCurrent(FIRST, at("2026-11-21T22:59:59Z")));
});

test("an identity lasts at most 400 days", () => {
  for (const expires of ["2027-12-27T00:00:01Z", "2026-11-22T00:00:00Z"]) {
    refused("identity-refused", () => checkCurrent(identity({ expires }), at(FIRST.issued)));
  }
});

// Moderators

test("only active moderators of an active collective may sign", () => {
  const rose = [moderator("rose-a"), moderator("rose-b", "ended")];
  assert.deepEqual(activeModerators(identity(withRose(rose)), "rose"), [rose[0]]);
  for (const status of ["ended", "revoked"]) {
    assert.deepEqual(activeModerators(identity(withRose(rose, status)), "rose"), []);
  }
  assert.deepEqual(activeModerators(FIRST, "lily"), []);
  assert.deepEqual(moderatorsOf(identity(withRose(rose)), "rose"), rose);
  assert.deepEqual(moderatorsOf(FIRST, "lily"), []);
});

test("danger needs two unless there is only one", () => {
  assert.equal(signaturesNeeded(FIRST, "rose", true), 2);
  assert.equal(signaturesNeeded(FIRST, "rose", false), 1);
  assert.equal(signaturesNeeded(FIRST, "iris", true), 1);
  const left = identity(withRose([moderator("rose-a"), moderator("rose-b", "ended")]));
  assert.equal(signaturesNeeded(left, "rose", true), 1);
});

const report = (changes) => ({
  origin: "alpha.example",
  collective: "rose",
  rid: "00".repeat(16),
  issued: "2026-11-20",
  expires: "2031-09-30",
  categories: ["robbery"],
  severity: "danger",
  month: "2026-09",
  network: "test-network",
  epoch: 1,
  identifiers: [{ kind: "phone", token: TOKEN }],
  ...changes,
});
const retract = (changes) => ({
  origin: "alpha.example",
  collective: "rose",
  rid: "00".repeat(16),
  target: new Uint8Array(32),
  reason: "error",
  issued: "2026-11-20",
  ...changes,
});
const reported = (changes, ...names) => signed("report", report(changes), ...names);

test("the moderators who signed are named, and nobody else may", () => {
  assert.deepEqual(signers(reported({}, "rose-b"), FIRST, "rose"), ["rose-b"]);
  assert.deepEqual(signers(reported({}, "rose-b", "rose-a"), FIRST, "rose"), ["rose-b", "rose-a"]);
  for (const name of ["iris-a", "mallory", "log", "root"]) {
    refused("unknown-key", () => signers(reported({}, "rose-a", name), FIRST, "rose"));
  }
});

test("a former moderator's signature counts only where it is asked for", () => {
  const both = reported({}, "rose-a", "rose-b");
  for (const status of ["ended", "revoked"]) {
    const former = identity(withRose([moderator("rose-a"), moderator("rose-b", status)]));
    refused("unknown-key", () => signers(both, former, "rose"));
    assert.deepEqual(standingSigners(both, former, "rose"), ["rose-a"]);
    const unrevoked = status === "ended" ? ["rose-a", "rose-b"] : ["rose-a"];
    assert.deepEqual(unrevokedSigners(both, former, "rose"), unrevoked);
  }
  const gone = identity(withRose([moderator("rose-a")], "revoked"));
  assert.deepEqual(unrevokedSigners(both, gone, "rose"), []);
  assert.deepEqual(standingSigners(reported({}, "mallory", "rose-a"), FIRST, "rose"), ["rose-a"]);
});

test("a bad signature beside a good one is refused, and never counts", () => {
  const envelope = reported({}, "rose-a", "rose-b");
  envelope.signatures[1].sig = envelope.signatures[0].sig;
  refused("bad-signature", () => signers(envelope, FIRST, "rose"));
  assert.deepEqual(standingSigners(envelope, FIRST, "rose"), ["rose-a"]);
  const payload = encode("report", report({ month: "2026-08" }));
  refused("bad-signature", () => signers({ ...reported({}, "rose-a"), payload }, FIRST, "rose"));
});

test("one moderator cannot sign for two", () => {
  refused("malformed", () => signers(reported({}, "rose-a", "rose-a"), FIRST, "rose"));
});

// Reports

const refuseReport = (code, envelope, today = TODAY) =>
  refused(code, () => openReport(envelope, FIRST, today));

test("a report with one fault is refused", () => {
  assert.deepEqual(openReport(reported({}, "rose-a"), FIRST, TODAY), report());
  const noElement = (token) => ({ identifiers: [{ kind: "phone", token }] });
  for (const [changes, code] of [
    [{ origin: "beta.example" }, "foreign-origin"],
    [{ network: "test-other" }, "wrong-network"],
    [{ epoch: 2 }, "wrong-epoch"],
    [{ collective: "lily" }, "unknown-key"],
    [{ categories: ["other", "robbery"] }, "malformed"],
    [noElement(new Uint8Array(32).fill(255)), "malformed"],
    [noElement(new Uint8Array(32)), "malformed"],
    [{ issued: "2026-11-24" }, "future-dated"],
    [{ month: "2026-12", expires: "2027-12-31" }, "future-dated"],
    [{ month: "9999-12" }, "future-dated"],
    [{ expires: "2031-10-01" }, "expiry-too-long"],
    [{ severity: "risk", expires: "2028-10-01" }, "expiry-too-long"],
    [{ severity: "nuisance", expires: "2027-10-01" }, "expiry-too-long"],
    [{ expires: "2026-11-21" }, "expired"],
  ]) {
    refuseReport(code, reported(changes, "rose-a"));
  }
});

test("a report counts through its last day", () => {
  const envelope = reported({ expires: "2026-11-22" }, "rose-a");
  assert.equal(openReport(envelope, FIRST, TODAY).expires, "2026-11-22");
  refuseReport("expired", envelope, "2026-11-23");
});

test("a clock may be a day ahead", () => {
  const envelope = reported({ issued: "2026-12-01", month: "2026-12" }, "rose-a");
  assert.equal(openReport(envelope, FIRST, "2026-11-30").month, "2026-12");
  refuseReport("future-dated", envelope, "2026-11-29");
});

test("an envelope of another type, or altered, is no report", () => {
  const envelope = reported({}, "rose-a");
  refuseReport("unsupported", { ...envelope, payloadType: payloadType("x") });
  refuseReport("malformed", signed("retract", retract(), "rose-a"));
  refuseReport("malformed", { ...envelope, payload: new Uint8Array([...envelope.payload, 32]) });
});

test("a retract with one fault is refused", () => {
  const open = (changes) =>
    openRetract(signed("retract", retract(changes), "rose-a"), FIRST, TODAY);
  assert.deepEqual(open({}), retract());
  refused("foreign-origin", () => open({ origin: "beta.example" }));
  refused("unknown-key", () => open({ collective: "lily" }));
  refused("future-dated", () => open({ issued: "2026-11-24" }));
});

test("a report ends with its month, years later", () => {
  assert.equal(latestExpiry("2026-09", "danger"), "2031-09-30");
  assert.equal(latestExpiry("2026-02", "risk"), "2028-02-29");
  assert.equal(latestExpiry("2024-02", "nuisance"), "2025-02-28");
  assert.equal(latestExpiry("2026-12", "danger"), "2031-12-31");
  assert.equal(encodeBase64(HELD).length, 44);
});
