/** The worker that holds all secrets and numbers; the page only shows. */
import { random } from "../client/bytes.js";
import { answering } from "./answering.js";
import { kept } from "./kept.js";

const environment = {
  address: self.location.origin,
  fetch: self.fetch,
  now: () => Date.now(),
  random,
};
const answer = answering(environment, kept, (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => answer(data));
self.postMessage({ ready: true });
