/**
 * What is kept on this device, in IndexedDB: records `{id, role, file, wrong}`, whose `file` is locked
 * with a PIN or a passphrase. Nothing lies there unless somebody asked for it: without a record
 * there is no database.
 */
import { fail } from "../client/failures.js";

const NAME = "notes";
const STORE = "kept";

export const kept = { list, get, put, remove };

/** All records; none where the browser keeps nothing. */
async function list() {
  return (await run("readonly", (store) => store.getAll())) ?? [];
}

/** The record of an id, or null. */
async function get(id) {
  return (await run("readonly", (store) => store.get(id))) ?? null;
}

/** Writes a record, which lies on the disk when this is done. Throws Failure `cannot-keep`. */
async function put(record) {
  const database = (await open(true)) ?? fail("cannot-keep");
  await transact(database, "readwrite", (store) => store.put(record)).catch(() =>
    fail("cannot-keep"),
  );
}

/** Deletes a record; with the last one, the whole database. */
async function remove(id) {
  await run("readwrite", (store) => store.delete(id));
  if ((await list()).length > 0) return;
  await new Promise((resolve) => {
    const request = globalThis.indexedDB?.deleteDatabase(NAME);
    if (request) request.onsuccess = request.onerror = request.onblocked = resolve;
    else resolve();
  });
}

async function run(mode, act) {
  const database = await open(false);
  return database === null ? undefined : transact(database, mode, act);
}

/** The database; null where there is none, and none is to be made or can be. */
const open = (create) =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      if (create) request.result.createObjectStore(STORE, { keyPath: "id" });
      else request.transaction.abort(); // to have looked must leave no trace
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = reject;
  }).catch(() => null);

const transact = (database, mode, act) =>
  new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const request = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  }).finally(() => database.close());
