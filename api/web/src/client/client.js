import { random as chance } from "./bytes.js";
import { fetchIdentity, pinned, refuseSubstitutes } from "./identities.js";
import { deriveTokens, openBuckets } from "./lookup.js";
import { openSession } from "./session.js";
import { checkCurrent } from "./trust.js";

const STALE = new Set(["stale-epoch", "stale-layout"]);
const NETWORK = {
  network: "string",
  epoch: "integer",
  suite: "string",
  public_key: "string",
  log_public_key: "string",
  argon2id: { m_kib: "integer", t: "integer", p: "integer" },
  buckets: { bits: "integer", slots: "integer" },
  limits: { elements: "integer", identifiers: "integer", per_hour: "integer", per_day: "integer" },
  plain_lookups: "boolean",
  categories: [{ id: /^[a-z_]{1,40}$/, severity: /^(danger|risk|nuisance)$/, shared: "string" }],
};

/**
 * One caller at one instance (docs/protocol.md §§3, 6; port of `api/client/caller.py`). It does one
 * thing at a time: who calls it waits for each answer before the next question.
 * Whatever keeps it from an answer is a Failure: only null ever stands for *no match*.
 */
export class Client {
  #session;
  #buckets;
  #random;
  #remember;
  #identity = null;
  #network = null;

  /**
   * Acts as `profile`: `{address, token, root, collective, role, version, sha256}`, root and sha256
   * in hex, the last four possibly null. `fetch` is the network, `now()` the time in milliseconds,
   * `random(n)` n random bytes; `remember` is given each profile with a newer pin.
   */
  constructor(profile, options = {}) {
    const { fetch = globalThis.fetch, now = Date.now, random = chance } = options;
    this.profile = profile;
    this.now = now;
    this.#random = random;
    this.#remember = options.remember ?? (() => {});
    this.#session = openSession(profile.address, profile.token, { fetch, now });
    this.#buckets = openBuckets(this.#session);
  }

  /** Any request as the bearer: as `call` of a session (`{json, body, headers, params}`). */
  call(method, path, options) {
    return this.#session.call(method, path, options);
  }

  /** JSON of the form `shape`, answered to a request: as `message` of a session. */
  message(shape, method, path, options) {
    return this.#session.message(shape, method, path, options);
  }

  /** The instance's identity, fetched and verified once, and still in force. */
  async identity() {
    if (this.#identity !== null) {
      // A page may stay open for longer than an identity lasts.
      this.#session.dated((time) => checkCurrent(this.#identity, time));
      return this.#identity;
    }
    const fetched = await fetchIdentity(this.#session, this.profile);
    const profile = pinned(this.profile, fetched);
    if (profile.sha256 !== this.profile.sha256) this.#remember(profile);
    this.profile = profile;
    this.#identity = fetched;
    return fetched;
  }

  /** What `GET /v1/network` says, in agreement with the identity. Throws also `substituted`. */
  async network() {
    let identity = await this.identity();
    let info = this.#network ?? (await this.message(NETWORK, "GET", "/v1/network"));
    try {
      refuseSubstitutes(info, identity);
    } catch {
      // The operator may have signed a new identity since: once, look.
      this.forget();
      identity = await this.identity();
      info = await this.message(NETWORK, "GET", "/v1/network");
      refuseSubstitutes(info, identity);
    }
    this.#network = info;
    return info;
  }

  /** The token of each identifier (§3 steps 1 to 3); `onProgress` as for `check`. */
  tokens(identifiers, onProgress = () => {}) {
    return this.againIfStale(() => this.#tokens(identifiers, onProgress));
  }

  /**
   * What the list says about each identifier (§3): `{total, danger, risk, nuisance, collectives,
   * recent}`, or null where it says nothing. `onProgress` is told of `{stage}` "stretching" (with
   * `done` and `of`), "asking" and "reading".
   */
  check(identifiers, onProgress = () => {}) {
    return this.againIfStale(async () => {
      const { buckets } = await this.network();
      const identity = await this.identity();
      const tokens = await this.#tokens(identifiers, onProgress);
      onProgress({ stage: "reading" });
      return this.#buckets.find(identity, buckets.bits, tokens);
    });
  }

  /** What `work` returns; where epoch or layout have changed, it is done once more, anew. */
  async againIfStale(work) {
    try {
      return await work();
    } catch (refused) {
      if (!STALE.has(refused.code)) throw refused;
    }
    this.forget();
    return work();
  }

  async #tokens(identifiers, onProgress) {
    const identity = await this.identity();
    return deriveTokens(this.#session, identity, identifiers, this.#random, onProgress);
  }

  /** Asks for identity and network anew when they are needed next: they have changed. */
  forget() {
    this.#identity = null;
    this.#network = null;
    this.#buckets.forget();
  }
}
