// Bearer tokens, invitations and access lines: one form each, and no doubtful address.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatAccess,
  formatInvitation,
  isBearer,
  parseAccess,
  parseInvitation,
} from "../../api/web/src/client/bearers.js";
import { refused } from "./refusals.js";

const CODE = `_-${"A".repeat(41)}`;
const ROOT = "0f".repeat(32);
const LINE = `https://alpha.example/join#${CODE}.${ROOT}`;
const TOKEN = `psl_m_${CODE}`;

test("a bearer is recognised by its exact form", () => {
  assert.ok(isBearer(TOKEN) && isBearer(TOKEN.replace("_m_", "_d_")));
  for (const text of [
    "",
    TOKEN.slice(1),
    `${TOKEN}A`,
    TOKEN.replace("_m_", "_x_"),
    TOKEN.replace("psl", "PSL"),
    `${TOKEN.slice(1)}+`,
    `${TOKEN}\n`,
    ` ${TOKEN}`,
    `${TOKEN.slice(0, -1)}é`,
  ]) {
    assert.ok(!isBearer(text));
  }
});

test("an invitation is read and written", () => {
  for (const address of [
    "https://alpha.example",
    "https://alpha.example:8443",
    "https://192.0.2.1",
    "https://[2001:db8::1]:8443",
    "http://localhost:8000",
    "http://127.0.0.1:8000",
    "http://127.9.9.9",
    "http://[::1]:8000",
    "http://[0:0:0:0:0:0:0:1]",
    "http://abcdefghijklmnop.onion",
  ]) {
    const line = `${address}/join#${CODE}.${ROOT}`;
    const invitation = parseInvitation(` \t${line}\r\n`);
    assert.deepEqual(invitation, { address, code: CODE, root: ROOT });
    assert.equal(formatInvitation(invitation), line);
  }
  const capital = parseInvitation(LINE.replace("https", "Https"));
  assert.equal(capital.address, "https://alpha.example");
});

test("an invitation to a doubtful address is refused", () => {
  for (const address of [
    "http://alpha.example",
    "http://127.0.0.1.example",
    "http://127.0.0.256",
    "http://127.0.0.01",
    "http://127.1",
    "http://localhost.example",
    "http://onion",
    "http://10.0.0.1",
    "http://[::2]",
    "http://[zz]",
    "http://[127.0.0.1",
    "ftp://alpha.example",
    "alpha.example",
    "//alpha.example",
    "https://",
    "https://alpha.example/",
    "https://alpha.example/path",
    "https://alpha.example?query",
    "https://user@alpha.example",
    "https://localhost@alpha.example",
    "https://alpha.example:",
    "https://alpha.example:0",
    "https://alpha.example:65536",
    "https://alpha.example:8o",
    "https://alpha example",
    "https://alpha..example",
    "https://älpha.example",
    "https://alpha.example#",
    "https://alpha.example\n",
    `https://${"a".repeat(400)}`,
  ]) {
    refused("invalid-invitation", () => parseInvitation(`${address}/join#${CODE}.${ROOT}`));
  }
});

test("an incomplete invitation is refused", () => {
  for (const line of [
    "",
    LINE.slice(0, -1),
    `${LINE}0`,
    LINE.toUpperCase(),
    LINE.replace(ROOT, ROOT.toUpperCase()),
    LINE.replace("/join", "/Join"),
    LINE.replace("#", "?"),
    LINE.replace(".0f", "0f"),
    LINE.replace(CODE, CODE.slice(1)),
    LINE.replace(CODE, `${CODE.slice(1)}=`),
    LINE.replace("#", "#\n"),
  ]) {
    refused("invalid-invitation", () => parseInvitation(line));
  }
});

test("an access line is read and written", () => {
  const parts = { token: TOKEN, collective: "rose-2", root: ROOT };
  const line = formatAccess(parts);
  assert.equal(line, `${TOKEN}.rose-2.${ROOT}`);
  assert.deepEqual(parseAccess(` ${line}\n`), parts);
});

test("an incomplete access line is refused", () => {
  for (const line of [
    "",
    TOKEN,
    `.rose.${ROOT}`,
    `${TOKEN}.${ROOT}`,
    `${TOKEN}..${ROOT}`,
    `${TOKEN}.Rose.${ROOT}`,
    `${TOKEN}.rose.`,
    `${TOKEN}.rose.${ROOT}.`,
    `${TOKEN}.rose.${ROOT.toUpperCase()}`,
    `${TOKEN}.rose.${ROOT.slice(1)}`,
    `${CODE}.rose.${ROOT}`,
    LINE,
  ]) {
    refused("invalid-invitation", () => parseAccess(line));
  }
});
