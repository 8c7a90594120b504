/**
 * What page and worker say to each other. Page → worker `{id, method, params}`; worker → page
 * `{id, value}` or `{id, failure: {code, members}}`, and before these any number of `{id, progress}`.
 *
 * A method is `(params, context) → value`, in the `methods` of one of the modules below. Context is
 * `{session, environment, kept, progress, later}`: `session.client` is the Client signed in, or null;
 * `environment` what a Client needs, `{address, fetch, now, random}`; `kept` the records of kept.js;
 * `progress(members)` tells the page of a step; `later(work)` does something after the answer, and
 * passes over its failure.
 */
import { Failure, fail } from "../client/failures.js";
import { methods as member } from "./member.js";

// They neither use the client nor wait for it.
const AT_ONCE = new Set(["start", "state", "regions", "find", "desk.lock", "desk.kept"]);

/** A function that answers the page's messages with `post`. */
export function answering(environment, kept, post) {
  const session = { client: null };
  let queue = Promise.resolve();

  function queued(work) {
    queue = queue.then(work, work);
    return queue;
  }

  const later = (work) => void queued(work).catch(() => {});

  return async ({ id, method, params }) => {
    const progress = (members) => post({ id, progress: members });
    const context = { session, environment, kept, progress, later };
    const work = async () => (await methodNamed(method))(params, context);
    try {
      // One after the other: a client does one thing at a time.
      const value = await (AT_ONCE.has(method) ? work() : queued(work));
      post({ id, value: value ?? null });
    } catch (error) {
      const { code, members } = error instanceof Failure ? error : new Failure("internal");
      post({ id, failure: { code, members } });
    }
  };
}

/** The method named; what only some need is fetched when it is called first. */
async function methodNamed(name) {
  let methods = member;
  if (name === "report") {
    ({ methods } = await part(() => import("./reporting.js")));
  } else if (name.startsWith("desk.")) {
    ({ methods } = await part(() => import("./desk.js")));
  }
  return Object.hasOwn(methods, name) ? methods[name] : fail("internal");
}

const part = (load) => load().catch(() => fail("offline"));
