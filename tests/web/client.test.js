/** What the client does where a real server can't be made to help: identities, clocks, time, PINs. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { random, toHex, utf8 } from "../../api/web/src/client/bytes.js";
import { Client } from "../../api/web/src/client/client.js";
import {
  keyId,
  publicKey,
  sign,
  writeEnvelope,
} from "../../api/web/src/client/crypto/envelopes.js";
import { encodeIdentity, IDENTITY_TYPE } from "../../api/web/src/client/identity.js";
import { openSession } from "../../api/web/src/client/session.js";
import { rootFingerprint } from "../../api/web/src/client/trust.js";
import { answering } from "../../api/web/src/worker/answering.js";
import { keep, rekeep } from "../../api/web/src/worker/pin.js";

const ADDRESS = "https://alpha.example";
const TOKEN = `psl_m_${"b".repeat(43)}`;
const NOW = Date.parse("2026-11-22T12:00:00Z");
const HOUR = 3600_000;
const ELEMENT = Buffer.from(
  "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76", // the generator
  "hex",
);

const hash = (data) => new Uint8Array(createHash("sha256").update(data).digest());
const seed = (name) => hash(utf8(name));
const publicOf = (name) => publicKey(seed(name));
const root = (...names) => ({ keys: names.map(publicOf), threshold: 1 });

const first = (changes = {}) => ({
  version: 1,
  origin: "alpha.example",
  log: "alpha.example:1",
  issued: "2026-11-01T00:00:00Z",
  expires: "2027-11-01T00:00:00Z",
  root: root("root"),
  log_key: publicOf("log"),
  http_keys: [],
  network: "test-network",
  epoch: 1,
  public_key: new Uint8Array(ELEMENT),
  argon2id: { m_kib: 8, t: 1 },
  collectives: [{ id: "rose", moderators: [], status: "active" }],
  feed: "https://alpha.example/feed/v1/",
  ...changes,
});

const following = (old, changes = {}) => ({
  ...old,
  version: old.version + 1,
  previous: hash(encodeIdentity(old)),
  ...changes,
});

function signed(identity, ...names) {
  const payload = encodeIdentity(identity);
  const signatures = names.map((name) => ({
    keyid: keyId(publicOf(name)),
    sig: sign(seed(name), IDENTITY_TYPE, payload),
  }));
  return writeEnvelope({ payload, payloadType: IDENTITY_TYPE, signatures });
}

const answer = (json, headers = {}, status = 200) =>
  new Response(JSON.stringify(json), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

/** An instance that shows these envelopes as its identities, versions 1 and on, and nothing else. */
function instance(...envelopes) {
  const it = { envelopes, asked: [], now: NOW, ahead: 0, held: [] };
  it.fetch = async (url) => {
    const version = Number(new URL(url).searchParams.get("version") ?? it.envelopes.length);
    it.asked.push(version);
    const date = new Date(it.now + it.ahead).toUTCString();
    return answer(it.envelopes[version - 1], { Date: date });
  };
  it.client = (profile = {}) =>
    new Client(
      {
        address: ADDRESS,
        token: TOKEN,
        root: toHex(rootFingerprint(root("root"))),
        collective: "rose",
        role: "member",
        version: null,
        sha256: null,
        ...profile,
      },
      { fetch: it.fetch, now: () => it.now, random, remember: (newer) => it.held.push(newer) },
    );
  return it;
}

const pin = (identity) => ({
  version: identity.version,
  sha256: toHex(hash(encodeIdentity(identity))),
  root: toHex(rootFingerprint(identity.root)),
});

const refused = (promise, code, members = {}) =>
  assert.rejects(promise, { name: "Failure", message: code, code, members });

test("an identity of another root, or signed by another, is refused", async () => {
  const other = first({ root: root("other") });
  for (const envelope of [signed(other, "other"), signed(first(), "other")]) {
    await refused(instance(envelope).client().identity(), "identity-refused");
  }
});

test("an identity is remembered and an older one refused", async () => {
  const second = following(first());
  const it = instance(signed(first(), "root"), signed(second, "root"));
  const client = it.client();
  await client.identity();
  await client.identity();
  assert.deepEqual(it.asked, [2]);
  assert.equal(it.held.length, 1);
  assert.deepEqual({ ...it.held[0], ...pin(second) }, it.held[0]);
  await it.client(pin(second)).identity();
  assert.equal(it.held.length, 1);
  it.envelopes.pop();
  await refused(it.client(pin(second)).identity(), "identity-older");
});

test("another identity in the place of the pinned one is refused", async () => {
  const changed = first({ http_keys: [publicOf("http")] });
  const it = instance(signed(changed, "root"));
  await refused(it.client(pin(first())).identity(), "identity-changed");
  it.envelopes.push(signed(following(changed), "root"));
  await refused(it.client(pin(first())).identity(), "identity-changed");
});

test("a change of root keys is followed and then held", async () => {
  const second = following(first(), { root: root("root-2") });
  const third = following(second);
  const it = instance(
    signed(first(), "root"),
    signed(second, "root", "root-2"),
    signed(third, "root-2"),
  );
  const client = it.client();
  assert.equal((await client.identity()).version, 3);
  assert.deepEqual(it.asked, [3, 2, 1]);
  assert.deepEqual({ ...client.profile, ...pin(third) }, client.profile);
  it.asked = [];
  await it.client(pin(third)).identity();
  assert.deepEqual(it.asked, [3]);
  // Keys that were replaced start no chain.
  const stolen = signed(following(second, { root: root("root") }), "root");
  const thief = instance(it.envelopes[0], stolen, stolen);
  await refused(thief.client(pin(second)).identity(), "identity-refused");
});

test("a change of root needs the old and the new keys", async () => {
  for (const name of ["root-2", "root", "other"]) {
    const second = following(first(), { root: root("root-2") });
    const it = instance(signed(first(), "root"), signed(second, name));
    await refused(it.client().identity(), "identity-refused");
  }
});

test("a chain without an end is left", async () => {
  const far = { version: 10 ** 9, root: root("other"), previous: new Uint8Array(32) };
  const envelope = signed(first(far), "other");
  const it = instance();
  it.fetch = async (url) => {
    it.asked.push(url);
    return answer(envelope);
  };
  await refused(it.client().identity(), "identity-refused");
  assert.equal(it.asked.length, 257);
});

test("an identity that is not in force is refused, also while it is held", async () => {
  for (const [changes, code] of [
    [{ issued: "2025-09-01T00:00:00Z", expires: "2026-09-01T00:00:00Z" }, "identity-expired"],
    [{ issued: "2026-12-01T00:00:00Z" }, "clock-skew"],
    [{ expires: "2029-01-01T00:00:00Z" }, "identity-refused"],
    [{ epoch: 2 ** 32 }, "identity-refused"],
  ]) {
    await refused(
      instance(signed(first(changes), "root"))
        .client()
        .identity(),
      code,
    );
  }
  const it = instance(signed(first(), "root"));
  const client = it.client();
  await client.identity();
  it.now += 365 * 24 * HOUR;
  await refused(client.identity(), "identity-expired");
});

test("a wrong clock is named where it alone is to blame", async () => {
  const it = instance(signed(first(), "root"));
  it.now -= 100 * 24 * HOUR;
  await refused(it.client().identity(), "clock-skew");
  it.ahead = 100 * 24 * HOUR;
  await refused(it.client().identity(), "wrong-clock", { minutes: -100 * 24 * 60 });
  it.ahead = 2 * HOUR;
  await refused(it.client().identity(), "clock-skew");
});

/** A session whose network is `fetch`. */
const session = (fetch, token = TOKEN) => openSession(ADDRESS, token, { fetch, now: () => NOW });

test("a request tells no more than it must and leaves nothing behind", async () => {
  let sent;
  const { call } = session(async (...args) => {
    sent = args;
    return new Response(null, { status: 204 });
  });
  await call("POST", "/v1/x", { json: { a: 1 }, params: { b: "1 2" } });
  const [url, { signal, ...request }] = sent;
  assert.equal(url, `${ADDRESS}/v1/x?b=1+2`);
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(request, {
    method: "POST",
    body: '{"a":1}',
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    cache: "no-store",
    credentials: "omit",
    redirect: "manual",
    referrerPolicy: "no-referrer",
  });
  await assert.rejects(call("GET", "//elsewhere.example/v1/x"), TypeError);
});

test("a date that is none is passed over", async () => {
  for (const date of ["", "yesterday", "Mon, 99 Jan"]) {
    const { call, dated } = session(async () => answer({}, { Date: date }));
    await call("GET", "/v1/x");
    const check = (time) => {
      if (time === NOW / 1000) throw Object.assign(new Error(), { code: "bucket-stale" });
    };
    assert.throws(() => dated(check), { code: "bucket-stale" });
  }
});

test("what can't be read is no instance's", async () => {
  const deep = "[".repeat(100_000);
  for (const [body, type] of [
    [deep, "application/json"],
    ["{", "application/json"],
    [Uint8Array.of(0x22, 0xff, 0x22), "application/json"],
    ["{}", "text/html"],
    ["{}", ""],
  ]) {
    const { call } = session(
      async () => new Response(body, { headers: type ? { "Content-Type": type } : {} }),
    );
    await refused(call("GET", "/v1/x"), "no-instance");
  }
});

test("an answer without an end is left", async () => {
  let cancelled = false;
  const endless = (request) => {
    request.signal.addEventListener("abort", () => (cancelled = true));
    const pull = (controller) => controller.enqueue(new Uint8Array(1024 * 1024));
    return new Response(new ReadableStream({ pull }));
  };
  await refused(session(async (_, request) => endless(request)).call("GET", "/v1/x"), "too-large");
  assert.ok(cancelled);
});

test("silence, and slowness, end as being offline", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const silent = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const asked = session(silent).call("GET", "/v1/x");
  t.mock.timers.tick(20_000);
  await refused(asked, "offline");

  let pieces = 0;
  const slow = async (_, { signal }) => {
    const pull = (controller) => {
      if (signal.aborted) {
        controller.error(signal.reason);
        return;
      }
      pieces += 1;
      controller.enqueue(new Uint8Array(1));
      t.mock.timers.tick(19_000);
    };
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
  };
  await refused(session(slow).call("GET", "/v1/x"), "offline");
  assert.equal(pieces, 7);
});

/** A worker over a network; gives what it posts, by the ids of calls. */
function worker(fetch) {
  const records = new Map();
  const kept = {
    records,
    list: async () => [...records.values()],
    get: async (id) => records.get(id) ?? null,
    put: async (record) => void records.set(record.id, record),
    remove: async (id) => void records.delete(id),
  };
  const posted = [];
  const environment = { address: ADDRESS, fetch, now: () => NOW, random };
  const answerTo = answering(environment, kept, (message) => posted.push(message));
  let last = 0;
  return {
    kept,
    posted,
    async call(method, params = {}) {
      const id = (last += 1);
      await answerTo({ id, method, params });
      return posted.find((one) => one.id === id && !one.progress);
    },
  };
}

const line = () => `${TOKEN}.rose.${toHex(rootFingerprint(root("root")))}`;

test("what goes wrong inside is told without a word of it", async () => {
  const { call } = worker(() => {});
  const internal = { code: "internal", members: {} };
  assert.deepEqual((await call("nothing")).failure, internal);
  assert.deepEqual((await call("constructor")).failure, internal);
  assert.deepEqual((await call("check", { identifiers: "07700 900113" })).failure, {
    code: "signed-out",
    members: {},
  });
  assert.deepEqual(
    (await call("signIn", { line: { secret: 1 } })).failure.code,
    "invalid-invitation",
  );
  assert.deepEqual((await call("receiptStatus", { receipt: 5 })).failure, internal);
});

test("calls wait for each other, but what needs no client does not", async () => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const it = instance(signed(first(), "root"));
  const { call, posted } = worker((url) => released.then(() => it.fetch(url)));
  const [signingIn, access] = [call("signIn", { line: line() }), call("access")];
  assert.equal((await call("state")).value.signedIn, false);
  assert.equal(posted.length, 1);
  release();
  assert.deepEqual((await signingIn).value, { role: "member", collective: "rose" });
  assert.deepEqual((await access).value, { line: line() });
});

test("what is kept opens with its PIN, and five wrong ones delete it", async () => {
  const it = instance(signed(first(), "root"));
  const { call, kept } = worker(it.fetch);
  await call("signIn", { line: line() });
  for (const bad of ["", "12345", "1234567890123", "12345a"]) {
    assert.equal((await call("keep", { pin: bad })).failure.code, "invalid-pin");
  }
  assert.deepEqual((await call("keep", { pin: "123456" })).value, null);
  const record = kept.records.get("member");
  assert.ok(!JSON.stringify(record).includes(TOKEN));
  assert.deepEqual((await call("start")).value, { kept: [{ id: "member", role: "member" }] });
  const unlock = async (typed) => (await call("unlock", { pin: typed })).failure?.members.left;
  assert.equal(await unlock("654321"), 4);
  // Counted before it was tried: who closes the page meanwhile gains nothing.
  assert.equal(kept.records.get("member").wrong, 1);
  assert.deepEqual((await call("unlock", { pin: "١٢٣٤٥٦" })).value, {
    role: "member",
    collective: "rose",
  });
  assert.deepEqual(kept.records.get("member"), record);
  kept.records.set("member", { ...record, wrong: 4 });
  assert.equal(await unlock("654321"), 0);
  assert.equal(kept.records.size, 0);
  kept.records.set("member", { ...record, wrong: 5 });
  assert.equal(await unlock("123456"), 0);
  assert.equal(kept.records.size, 0);
  assert.equal((await call("unlock", { pin: "123456" })).failure.code, "signed-out");
});

test("a newer identity is kept without the PIN, and an older one refused from then on", async () => {
  const [one, two] = [signed(first(), "root"), signed(following(first()), "root")];
  let it = instance(one);
  const { call, kept } = worker((...request) => it.fetch(...request));
  await call("signIn", { line: line() });
  await call("keep", { pin: "123456" });
  const { key, file } = kept.records.get("member");
  it = instance(one, two);
  await call("unlock", { pin: "123456" });
  await call("categories");
  await call("access"); // after all that was left for later
  const newer = kept.records.get("member");
  assert.equal(newer.key, key);
  assert.notEqual(newer.file, file);
  it = instance(one);
  await call("unlock", { pin: "123456" });
  assert.equal((await call("categories")).failure.code, "identity-older");
});

test("what another tab has kept or deleted since is left as it is", async () => {
  const { kept } = worker(fetch);
  const place = { id: "member", kept, random };
  const profile = { role: "member", token: TOKEN };
  const secrets = await keep(profile, "123456", place);
  await keep(profile, "654321", place);
  const record = kept.records.get("member");
  await rekeep({ ...profile, version: 2 }, secrets, place);
  assert.equal(kept.records.get("member"), record);
  kept.records.clear();
  await rekeep({ ...profile, version: 2 }, secrets, place);
  assert.equal(kept.records.size, 0);
});

test("an access is parsed out of a message", async () => {
  const it = instance(signed(first(), "root"));
  const { call } = worker(it.fetch);
  const signedIn = await call("signIn", { line: `\u200f«${line()}»، thanks` });
  assert.deepEqual(signedIn.value, { role: "member", collective: "rose" });
  for (const text of [`${line()}0`, `${TOKEN}.`, TOKEN, `x${line()}`]) {
    assert.equal((await call("signIn", { line: text })).failure.code, "invalid-invitation");
  }
});
