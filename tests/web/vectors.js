// The golden vectors, checked by the pages' own code; runs wherever the pages do.
import { decodeBase64, fromHex, toHex, utf8 } from "../../api/web/src/client/bytes.js";
import { bucketIndex, findEntry, openBucket } from "../../api/web/src/client/crypto/buckets.js";
import {
  entryId,
  keyId,
  pae,
  publicKey,
  readEnvelope,
  sign,
  verify,
  writeEnvelope,
} from "../../api/web/src/client/crypto/envelopes.js";
import {
  blind,
  element,
  scalarFromUniform,
  unblind,
  verifyProof,
} from "../../api/web/src/client/crypto/oprf.js";
import {
  boxPublic,
  openBox,
  openBoxKey,
  sealAccount,
} from "../../api/web/src/client/crypto/sealing.js";
import {
  encodeIdentifier,
  networkSalt,
  stretch,
} from "../../api/web/src/client/crypto/stretching.js";
import { decode, encode, payloadType } from "../../api/web/src/client/documents.js";
import { parseIdentifier } from "../../api/web/src/client/identifiers.js";
import {
  openReport,
  openRetract,
  signaturesNeeded,
  signers,
} from "../../api/web/src/client/trust-reports.js";
import { activeModerators, openIdentity, rootFingerprint } from "../../api/web/src/client/trust.js";

const TODAY = "2026-11-22";
const VERIFIABLE = 1;
const HEADER = 44;

/**
 * Checks all vectors, given as the files in tests/vectors are parsed. Resolves to the number of
 * checks; throws an Error that names the first difference.
 */
export async function runVectors({ lookup, documents, rfc9497, identifiers }) {
  const run = counting();
  identifiersAre(run, identifiers.cases);
  await functionIs(
    run,
    rfc9497.find((suite) => suite.mode === VERIFIABLE),
  );
  for (const item of lookup.items) {
    await tokenIs(run, lookup, item);
  }
  bucketIs(run, lookup);
  keysAre(run, documents);
  identityIs(run, documents);
  for (const signed of [documents.identity, ...documents.entries, documents.checkpoint]) {
    await documentIs(run, documents, signed);
  }
  entriesAre(run, documents);
  accountIs(run, documents);
  return run.checks;
}

function counting() {
  const run = { checks: 0 };
  const text = (value) => (value instanceof Uint8Array ? toHex(value) : JSON.stringify(value));
  run.same = (name, actual, expected) => {
    run.checks += 1;
    if (text(actual) !== text(expected)) {
      throw new Error(`${name} differs`);
    }
  };
  run.refused = (name, code, action) => {
    run.checks += 1;
    try {
      action();
    } catch (failure) {
      if (failure.code === code) {
        return;
      }
    }
    throw new Error(`${name} is not refused as ${code}`);
  };
  return run;
}

function identifiersAre(run, cases) {
  cases.forEach(({ kind, value, region, canonical }, i) => {
    const parse = () => parseIdentifier(kind, value, region);
    if (canonical === null) {
      run.refused(`identifier ${i}`, "invalid-identifier", parse);
    } else {
      run.same(`identifier ${i}`, parse().canonical, canonical);
    }
  });
}

/** RFC 9497, appendix A.1.2; its `Finalize` is what we leave out. */
async function functionIs(run, suite) {
  for (const vector of suite.vectors) {
    const [inputs, blinds, blinded, evaluated, outputs] = [
      vector.Input,
      vector.Blind,
      vector.BlindedElement,
      vector.EvaluationElement,
      vector.Output,
    ].map((text) => text.split(",").map(fromHex));
    verifyProof(fromHex(suite.pkSm), blinded, evaluated, fromHex(vector.Proof.proof));
    for (const [i, input] of inputs.entries()) {
      const r = scalar(blinds[i]);
      run.same("RFC 9497 blinded element", blind(input, r), blinded[i]);
      const token = unblind(evaluated[i], r);
      const parts = [0, input.length, ...input, 0, token.length, ...token, ...utf8("Finalize")];
      run.same("RFC 9497 output", await digest("SHA-512", Uint8Array.from(parts)), outputs[i]);
    }
  }
}

async function tokenIs(run, { network, epoch, argon2id, public_key, bits }, item) {
  const { canonical } = item;
  const identifier = parseIdentifier(item.kind, item.value, item.region);
  run.same("canonical", identifier, { kind: item.kind, canonical });
  run.same("identifier", encodeIdentifier(identifier), fromHex(item.identifier));
  run.same("salt", networkSalt(network), fromHex(argon2id.salt));
  const stretched = await stretch(identifier, network, argon2id);
  run.same("stretched", stretched, fromHex(item.stretched));
  const [blinded, evaluated, token] = [item.blinded, item.evaluated, item.token].map(fromHex);
  run.same("blinded", blind(stretched, scalar(fromHex(item.blind))), blinded);
  verifyProof(fromHex(public_key), [blinded], [evaluated], fromHex(item.proof));
  run.same("token", unblind(evaluated, scalar(fromHex(item.blind))), token);
  run.same("bucket", bucketIndex(token, network, epoch, bits), item.bucket_index);
  for (let few = 0; few <= 8; few++) {
    const index = Math.floor(item.bucket_word / 2 ** (32 - few));
    run.same("bucket of other layouts", bucketIndex(token, network, epoch, few), index);
  }
}

function bucketIs(run, lookup) {
  const { items, bucket, network, epoch, bits, bucket_salt } = lookup;
  const ofAll = (name) => items.map((item) => fromHex(item[name]));
  const proof = fromHex(lookup.batch.proof);
  verifyProof(fromHex(lookup.public_key), ofAll("blinded"), ofAll("evaluated"), proof);
  for (const { token, entry, counts_bytes } of items) {
    const single = { network, epoch, salt: fromHex(bucket_salt), entries: fromHex(entry) };
    run.same("entry", countsOf(findEntry(single, fromHex(token))), fromHex(counts_bytes));
  }
  const held = items.find((item) => item.canonical === bucket.holds);
  const file = fromHex(bucket.bytes);
  const opened = openBucket(file, {
    network,
    epoch,
    bits,
    index: held.bucket_index,
    logKey: fromHex(bucket.log_public_key),
    now: bucket.sealed * 3600,
    small: true,
  });
  run.same("slots", opened.slots, bucket.slots);
  run.same("entries", opened.entries, file.subarray(HEADER, -64));
  for (const item of items) {
    const found = findEntry(opened, fromHex(item.token));
    run.same(
      "what is held",
      found && countsOf(found),
      item === held ? countsOf(held.counts) : null,
    );
  }
}

function keysAre(run, { keys, box_keys }) {
  for (const { seed, public: expected, keyid } of Object.values(keys)) {
    const made = publicKey(fromHex(seed));
    run.same("public key", made, decodeBase64(expected));
    run.same("key id", keyId(made), keyid);
  }
  for (const { secret, public: expected } of Object.values(box_keys)) {
    run.same("box key", boxPublic(fromHex(secret)), decodeBase64(expected));
  }
}

function identityIs(run, { identity, root_sha256 }) {
  const opened = openIdentity(readEnvelope(identity.envelope), fromHex(root_sha256));
  run.same("root fingerprint", rootFingerprint(opened.root), fromHex(root_sha256));
  const ids = activeModerators(opened, "rose").map((one) => one.id);
  run.same("moderators", ids, ["rose-a", "rose-b"]);
  element(opened.public_key);
}

async function documentIs(run, { keys }, { type, payload_text, pae_sha256, leaf, ...signed }) {
  const payload = utf8(payload_text);
  const kind = kindOf(type);
  run.same("payload type", payloadType(kind), type);
  run.same(`${kind} again`, encode(kind, decode(kind, payload)), payload);
  run.same("encoding", await digest("SHA-256", pae(type, payload)), fromHex(pae_sha256));
  run.same("entry id", entryId(type, payload), decodeBase64(leaf));
  const envelope = readEnvelope(signed.envelope);
  run.same("payload", envelope.payload, payload);
  run.same("envelope again", writeEnvelope(envelope), signed.envelope);
  envelope.signatures.forEach(({ keyid, sig }, i) => {
    const key = keys[signed.signers[i]];
    run.same("signer", keyid, key.keyid);
    run.same("signature", sign(fromHex(key.seed), type, payload), sig);
    verify(decodeBase64(key.public), type, payload, sig);
  });
}

function entriesAre(run, { identity, entries, malformed_payloads }) {
  const known = decode("identity", utf8(identity.payload_text));
  for (const entry of entries.slice(1)) {
    const isRetract = kindOf(entry.type) === "retract";
    const envelope = readEnvelope(entry.envelope);
    const opened = (isRetract ? openRetract : openReport)(envelope, known, TODAY);
    const needed = signaturesNeeded(known, opened.collective, opened.severity === "danger");
    const signedBy = signers(envelope, known, opened.collective);
    run.same("signers", signedBy.sort(), [...entry.signers].sort());
    run.same("signatures", signedBy.length, isRetract ? 1 : needed);
  }
  for (const [name, text] of Object.entries(malformed_payloads)) {
    for (const kind of ["identity", "report", "retract", "erase", "keys", "close", "checkpoint"]) {
      run.refused(`${name} as ${kind}`, "malformed", () => decode(kind, utf8(text)));
    }
  }
}

function accountIs(run, { sealed, keys, box_keys }) {
  const [key, nonce] = [fromHex(sealed.box_key), decodeBase64(sealed.value.nonce)];
  const box = decodeBase64(sealed.value.box);
  const names = ["rose-a", "rose-b"];
  const readers = names.map((name) => ({
    kid: keys[name].keyid,
    box: decodeBase64(box_keys[name].public),
  }));
  // The vectors' key and nonce, then any: the sealing of the key is itself random.
  const chances = [key, nonce, new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const made = sealAccount(utf8(sealed.plaintext), readers, () => chances.shift());
  run.same("nonce", made.nonce, nonce);
  run.same("box", made.box, box);
  run.same("padding", box.length - 16, sealed.padded_length);
  names.forEach((name, i) => {
    for (const theirs of [decodeBase64(sealed.value.keys[i].sealed), made.keys[i].sealed]) {
      const opened = openBoxKey(theirs, fromHex(box_keys[name].secret));
      run.same("box key", opened, key);
      run.same("account", openBox(nonce, box, opened), utf8(sealed.plaintext));
    }
  });
}

const kindOf = (type) => /parasol\.([a-z]+)\.v1/.exec(type)[1];

const countsOf = ({ danger, risk, nuisance, collectives, recent }) =>
  Uint8Array.of(danger, risk, nuisance, collectives, recent);

/** The vectors have scalars as 32 bytes, below the order. */
const scalar = (bytes) => {
  const uniform = new Uint8Array(64);
  uniform.set(bytes);
  return scalarFromUniform(uniform);
};

const digest = async (name, bytes) => new Uint8Array(await crypto.subtle.digest(name, bytes));
