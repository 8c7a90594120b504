/**
 * The pages' worker in Node, as so many devices as a test asks for: a line of JSON in, one or more
 * out. `{id, device, method, params}` is answered as a worker answers its page; control methods are
 * `device.new {address}`, `device.clock {seconds}` (how far its clock is ahead), `device.rules
 * {rules}` (what happens to its requests; see `interfere`) and `device.sent`, which gives the
 * requests sent since it was asked last, `{method, url, headers, body}`.
 */
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { answering } from "../../api/web/src/worker/answering.js";

const devices = [];

function newDevice({ address }) {
  const device = { ahead: 0, rules: [], sent: [] };
  const records = new Map();
  const environment = {
    address,
    fetch: (url, request) => interfere(device, url, request),
    now: () => Date.now() + device.ahead * 1000,
    random: (n) => new Uint8Array(randomBytes(n)),
  };
  const kept = {
    list: async () => [...records.values()],
    get: async (id) => records.get(id) ?? null,
    put: async (record) => void records.set(record.id, record),
    remove: async (id) => void records.delete(id),
  };
  device.answer = answering(environment, kept, write);
  return devices.push(device) - 1;
}

const controls = {
  "device.new": (_, params) => newDevice(params),
  "device.clock": (device, { seconds }) => void (device.ahead = seconds),
  "device.rules": (device, { rules }) => void (device.rules = rules),
  "device.sent": (device) => device.sent.splice(0),
};

/**
 * The first rule whose `path` the request's begins with applies, `times` times (or always): `offline`
 * (nothing is sent), `lost` (sent, but no answer comes), `via` (sent to another address), `answer`
 * (`{status, headers, body}` in place of the server's, the body in base64), or changes of its answer:
 * `flip` (the byte at an offset), `set` (members of its JSON, by dotted path), `headers`.
 */
async function interfere(device, url, request) {
  const { pathname, search } = new URL(url);
  device.sent.push({ method: request.method, url, headers: request.headers, body: text(request) });
  const rule = device.rules.find((one) => pathname.startsWith(one.path) && (one.times ?? 1) > 0);
  if (!rule) return fetch(url, request);
  if (rule.times !== undefined) rule.times -= 1;
  if (rule.offline) throw new TypeError("fetch failed");
  if (rule.via) return fetch(rule.via + pathname + search, request);
  if (rule.answer) return made(rule.answer);
  const answer = await fetch(url, request);
  if (rule.lost) throw new TypeError("fetch failed");
  return change(answer, rule);
}

const made = ({ body, ...rest }) => new Response(body ? Buffer.from(body, "base64") : null, rest);

async function change(answer, { flip, set, headers = {} }) {
  let body = new Uint8Array(await answer.arrayBuffer());
  if (flip !== undefined) body.set([body.at(flip) ^ 1], (flip + body.length) % body.length);
  if (set !== undefined) {
    const json = JSON.parse(new TextDecoder().decode(body));
    for (const [path, value] of Object.entries(set)) assign(json, path.split("."), value);
    body = new TextEncoder().encode(JSON.stringify(json));
  }
  const { status } = answer;
  const all = { ...Object.fromEntries(answer.headers), ...headers };
  return new Response(status === 204 || status === 304 ? null : body, { status, headers: all });
}

function assign(json, path, value) {
  const last = path.pop();
  path.reduce((part, name) => part[name], json)[last] = value;
}

function text({ body }) {
  return body instanceof Uint8Array ? new TextDecoder().decode(body) : (body ?? null);
}

function write(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { id, device, method, params } = JSON.parse(line);
  const control = controls[method];
  if (control) write({ id, value: control(devices[device], params) ?? null });
  else devices[device].answer({ id, method, params });
});
lines.on("close", () => process.exit()); // whatever a device still waits for
