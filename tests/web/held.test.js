// Partners' reports on hold, on the moderator's own device.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideHeld, held } from "../../api/web/src/client/moderating/held.js";
import { methods } from "../../api/web/src/worker/desk.js";
import { refused, rejected } from "./refusals.js";

const ENTRY = "ab".repeat(32);
const TOKEN = { kind: "phone", token: Buffer.alloc(32).toString("base64") };

const item = (changes = {}) => ({
  entry: ENTRY,
  kind: "report",
  why: "policy",
  origin: "beta.example",
  collective: "lily",
  issued: "2026-11-23",
  expires: "2031-10-31",
  categories: ["robbery"],
  severity: "danger",
  month: "2026-10",
  identifiers: [TOKEN],
  known: 2,
  ...changes,
});

/** A client before an instance that answers with `page`, and with `decision`; `sent` is what it was sent. */
function clientOf(page, decision = { decision: "accepted" }) {
  const sent = [];
  return {
    sent,
    async call(method, path, options = {}) {
      sent.push({ method, path, ...options });
      return { json: method === "GET" ? page : decision };
    },
  };
}

const desk = (client) => ({
  session: { desk: { client, held: new Map(), until: Infinity, timer: null } },
  environment: { now: () => 0 },
});

const locked = { session: { desk: null }, environment: { now: () => 0 } };

test("what is held is read, and whether there is more", async () => {
  const client = clientOf({ items: [item()], next: "0.1.1.7" });
  const { items, more } = await held(client);
  assert.deepEqual([items[0].entry, items[0].known, more], [ENTRY, 2, true]);
  assert.deepEqual(client.sent, [
    { method: "GET", path: "/v1/moderation/held", params: { limit: "100" } },
  ]);
  assert.equal((await held(clientOf({ items: [] }))).more, false);
});

test("an answer that is none is refused", async () => {
  const wrong = [
    { entry: "ab" },
    { kind: "account" },
    { why: "because" },
    { origin: "Beta.example" },
    { collective: "<b>" },
    { categories: ["unheard"] },
    { severity: "grave" },
    { month: "2026-13" },
    { identifiers: [] },
    { known: -1 },
    { decision: "accepted" },
  ];
  for (const changes of wrong) {
    await rejected("no-instance", held(clientOf({ items: [item(changes)] })));
  }
  await rejected("no-instance", held(clientOf({})));
  const odd = clientOf({ items: [] }, { decision: "erased" });
  await rejected("no-instance", decideHeld(odd, item(), true));
});

test("a list that repeats a report is refused", async () => {
  await assert.rejects(held(clientOf({ items: [item(), item()] })), {
    code: "mismatch",
    members: { what: "held", why: "repeated" },
  });
});

test("a decision names as what it was seen", async () => {
  const client = clientOf({ items: [] });
  await decideHeld(client, item({ kind: "erasure" }), true);
  await decideHeld(client, item(), false);
  const path = `/v1/moderation/held/${ENTRY}`;
  assert.deepEqual(client.sent, [
    { method: "POST", path: `${path}/accept`, json: { kind: "erasure" } },
    { method: "POST", path: `${path}/refuse`, json: { kind: "report" } },
  ]);
});

test("the page is shown no tokens, and decides only about what it was shown", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const client = clientOf({ items: [item()] });
  const context = desk(client);
  const unknown = () => methods["desk.decideHeld"]({ entry: ENTRY, accept: true }, context);
  refused("not-found", unknown);
  const { rows, more } = await methods["desk.held"]({}, context);
  assert.equal(more, false);
  assert.equal("identifiers" in rows[0], false);
  assert.deepEqual(await unknown(), { decision: "accepted" });
});

test("a locked desk shows and decides nothing of it", () => {
  for (const method of ["desk.held", "desk.decideHeld"]) {
    const call = () => methods[method]({ entry: ENTRY, accept: true }, locked);
    refused("locked", call);
  }
});
