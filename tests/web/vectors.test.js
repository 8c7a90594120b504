// Node runs the golden vectors of the protocol.
import assert from "node:assert/strict";
import { test } from "node:test";
import { vectors } from "./files.js";
import { runVectors } from "./vectors.js";

const files = {
  lookup: vectors("lookup-v1"),
  documents: vectors("documents-v1"),
  rfc9497: vectors("rfc9497-ristretto255-sha512"),
  identifiers: vectors("identifiers"),
};

test("every golden vector is met", async () => {
  assert.ok((await runVectors(files)) > 250);
});

test("a vector that differs is noticed", async () => {
  const changed = structuredClone(files);
  changed.lookup.items[0].token = changed.lookup.items[1].token;
  await assert.rejects(runVectors(changed), /token differs/);
});
