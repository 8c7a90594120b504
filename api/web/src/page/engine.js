import { whenLeaving } from "./chrome.js";
import { config } from "./config.js";

const GONE = { code: "no-worker", members: {} };
const waiting = new Map();
let worker = null;
let last = 0;

/** Resolves when the worker runs; rejects with `{code: "no-worker"}` where it can't. */
export const ready = new Promise((resolve, reject) => {
  const failed = () => {
    stop();
    reject(GONE);
    for (const call of waiting.values()) call.reject(GONE);
    waiting.clear();
  };
  try {
    worker = new Worker(permitted(), { type: "module" });
  } catch {
    failed();
    return;
  }
  worker.addEventListener("message", ({ data }) => (data.ready ? resolve() : receive(data)));
  worker.addEventListener("error", (event) => {
    event.preventDefault(); // its text could hold what was typed
    failed();
  });
});
ready.catch(() => {}); // who awaits it is told all the same
whenLeaving(stop);

/**
 * Calls a method of the worker. Resolves to its value, rejects with `{code, members}`;
 * `onProgress` is told of each step.
 */
export async function call(method, params = {}, onProgress = () => {}) {
  await ready;
  return new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject, onProgress });
    if (worker) worker.postMessage({ id: last, method, params });
    else reject(GONE);
  });
}

/** Ends the worker at once, and with it all that it knew. */
export function stop() {
  worker?.terminate();
  worker = null;
}

function receive({ id, value, failure, progress }) {
  const call = waiting.get(id);
  if (!call) return;
  if (progress) {
    call.onProgress(progress);
    return;
  }
  waiting.delete(id);
  if (failure) call.reject(failure);
  else call.resolve(value);
}

function permitted() {
  const policy = globalThis.trustedTypes?.createPolicy("parasol", {
    createScriptURL(url) {
      if (url !== config.worker) throw new TypeError("not our worker");
      return url;
    },
  });
  return policy ? policy.createScriptURL(config.worker) : config.worker;
}
