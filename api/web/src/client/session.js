import { concat } from "./bytes.js";
import { Failure, fail } from "./failures.js";

const BUCKET_TYPE = "application/vnd.parasol.bucket";
const JSON_TYPE = "application/json";
const PROBLEM_TYPE = "application/problem+json";

const MOST_BYTES = 32 * 1024 * 1024;
const MOST_TIME = 120_000;
const MOST_SILENCE = 20_000;
const MOST_WAIT = 30 * 24 * 3600;
const SKEW = 3600;

const CODE = /^[a-z][a-z0-9-]{0,39}$/;
const DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const DATED = new Set(["bucket-stale", "bucket-future", "identity-expired", "clock-skew"]);

/**
 * Requests to the instance at `address` as the bearer of `token`, or as nobody where it is null.
 * `fetch` is the network, `now()` this device's time in milliseconds.
 * Port of `api/client/session.py`; nothing of a request or an answer is kept here.
 */
export function openSession(address, token, { fetch, now }) {
  let ahead = null; // seconds from this device's clock to the server's

  /**
   * Sends a request; returns `{status, headers, bytes, json}` of an answer 2xx or 304.
   * `json` or `body` (JSON in bytes) is sent, `params` becomes the query.
   * Throws Failure `offline`, `no-instance`, `too-large`, or the code of a problem (§10).
   */
  async function call(method, path, { json, body, headers, params } = {}) {
    if (!path.startsWith("/v1/")) {
      throw new TypeError("an address would take the token elsewhere");
    }
    const content = body ?? (json === undefined ? undefined : JSON.stringify(json));
    const answer = await bounded(fetch, address + path + query(params), {
      method,
      body: content,
      headers: {
        ...(content === undefined ? {} : { "Content-Type": JSON_TYPE }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    const date = answer.headers.get("date") ?? "";
    ahead = DATE.test(date) ? Math.round((Date.parse(date) - now()) / 1000) : null;
    if (!(answer.status >= 200 && answer.status < 300) && answer.status !== 304) {
      refuse(answer);
    }
    const isJson = answer.bytes.length > 0 && typeOf(answer) !== BUCKET_TYPE;
    return { ...answer, json: isJson ? parsed(answer, JSON_TYPE) : undefined };
  }

  /** The JSON of an answer, of the form `shape` (see `understood`); throws as `call` does. */
  async function message(shape, method, path, options) {
    return understood(shape, (await call(method, path, options)).json);
  }

  /**
   * What `check` returns for the time that it is now, in Unix seconds. Throws as `check` does, but
   * Failure `wrong-clock {minutes}` if what is out of date by this device is not so by the server.
   */
  function dated(check) {
    const time = Math.floor(now() / 1000);
    try {
      return check(time);
    } catch (refused) {
      if (DATED.has(refused.code) && Math.abs(ahead) > SKEW && holds(() => check(time + ahead))) {
        fail("wrong-clock", { minutes: Math.round(-ahead / 60) });
      }
      throw refused;
    }
  }

  return { call, message, dated };
}

/**
 * `value`, if it has the form `shape`: "string", "boolean", "integer", a pattern for a string,
 * `[shape]` for a list, or a closed object of shapes. Throws Failure `no-instance`.
 */
export function understood(shape, value) {
  return isLike(value, shape) ? value : fail("no-instance");
}

function isLike(value, shape) {
  if (shape === "integer") return Number.isSafeInteger(value);
  if (typeof shape === "string") return typeof value === shape;
  if (shape instanceof RegExp) return typeof value === "string" && shape.test(value);
  if (Array.isArray(shape)) {
    return Array.isArray(value) && value.every((one) => isLike(one, shape[0]));
  }
  const names = Object.keys(shape);
  return (
    value instanceof Object &&
    Object.keys(value).length === names.length &&
    names.every((name) => isLike(value[name], shape[name]))
  );
}

/** The whole answer, unless it is too large, too slow, or none comes. */
async function bounded(fetch, url, request) {
  const stop = new AbortController();
  const end = () => stop.abort();
  const whole = setTimeout(end, MOST_TIME);
  let silence = setTimeout(end, MOST_SILENCE);
  try {
    const answer = await fetch(url, {
      ...request,
      signal: stop.signal,
      cache: "no-store", // not even a bucket may lie on the disk
      credentials: "omit",
      redirect: "manual", // never followed, and told from having no network
      referrerPolicy: "no-referrer",
    });
    const pieces = [];
    const reader = answer.body?.getReader();
    let length = 0;
    while (reader) {
      clearTimeout(silence);
      silence = setTimeout(end, MOST_SILENCE);
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      length += value.length;
      if (length > MOST_BYTES) fail("too-large");
    }
    return { status: answer.status, headers: answer.headers, bytes: concat(...pieces) };
  } catch (error) {
    // Anything else would quote the address.
    throw error instanceof Failure ? error : new Failure("offline");
  } finally {
    clearTimeout(whole);
    clearTimeout(silence);
    end(); // of what was refused, the rest need not come
  }
}

function refuse(answer) {
  const code = parsed(answer, PROBLEM_TYPE)?.code;
  if (typeof code !== "string" || !CODE.test(code)) fail("no-instance");
  if (code !== "rate-limited") fail(code);
  const wait = answer.headers.get("retry-after") ?? "";
  // A server that says "never" should not be believed to the year.
  const seconds = /^[0-9]{1,9}$/.test(wait) ? Math.min(Number(wait), MOST_WAIT) : null;
  fail(code, { seconds });
}

function parsed(answer, expected) {
  if (typeOf(answer) !== expected) fail("no-instance");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.bytes));
  } catch {
    return fail("no-instance");
  }
}

const typeOf = ({ headers }) =>
  (headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();

const query = (params) => (params ? `?${new URLSearchParams(params)}` : "");

function holds(check) {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
