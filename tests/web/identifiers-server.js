// Answers identifiers for the tests in Python: a line of JSON each, `[kind, value, region]` in,
// `[canonical, display]` or null out.
import { createInterface } from "node:readline";

import { Failure } from "../../api/web/src/client/failures.js";
import { display, parseIdentifier } from "../../api/web/src/client/identifiers.js";

function answer(line) {
  try {
    const identifier = parseIdentifier(...JSON.parse(line));
    return [identifier.canonical, display(identifier)];
  } catch (error) {
    if (error instanceof Failure && error.code === "invalid-identifier") {
      return null;
    }
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(line))}\n`);
}
