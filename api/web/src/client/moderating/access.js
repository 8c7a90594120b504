/**
 * How a moderator gets to her desk, and what is kept of her on this device: records `{id, role, words,
 * keys, file, wrong}` of kept.js. `keys` is her key file as the command line has it, `file` her profile,
 * locked by her keys: so newer pins can be written without the passphrase. Until a code is redeemed
 * `file` is null. The arguments `environment` and `kept` are as in worker/answering.js.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { parseAccess, parseInvitation } from "../bearers.js";
import { concat, encodeBase64, equal, utf8 } from "../bytes.js";
import { Client } from "../client.js";
import { lock, unlock } from "../crypto/keyfiles.js";
import { Failure, fail } from "../failures.js";
import * as joining from "../joining.js";
import { generateKeys, lockKeys, prove, unlockKeys } from "./keys.js";

const ROLE = "moderator";
// What locks a profile is no passphrase but a secret, which nobody can guess.
const CHEAP = { m_kib: 8, t: 1 };

/**
 * Makes keys, redeems a moderator's invitation with them and keeps both; gives `{keys, profile}`.
 * Throws Failure `weak-passphrase`, `invalid-invitation`, `other-address {address}`,
 * `member-invitation`, `cannot-keep`, and as `redeem` does; then nothing is kept.
 */
export async function join({ invitation, passphrase }, { environment, kept }) {
  const { address, code, root } = parseInvitation(invitation);
  const { origin } = new URL(address);
  if (origin !== environment.address) fail("other-address", { address: origin });
  const keys = generateKeys(environment.random);
  const record = recordOf(keys, await lockKeys(keys, passphrase, environment.random));
  // First: a code is used once, and would be lost with keys that are not on the disk.
  await kept.put(record);
  let client = null;
  try {
    client = await joining.redeem({ code, root }, environment, prove(keys, code));
    await kept.put({ ...record, file: await lockProfile(client.profile, keys, environment) });
  } catch (refused) {
    await client?.call("DELETE", "/v1/tokens/current").catch(() => {});
    await kept.remove(keys.kid);
    throw refused.code === "invalid-request" ? new Failure("member-invitation") : refused;
  }
  return { keys, profile: client.profile };
}

/**
 * Keeps a key file of the command line with the access that belongs to it; gives the keys. Throws
 * Failure `wrong-passphrase`, `malformed`, `invalid-invitation`, `cannot-keep`, and as a Client does.
 */
export async function bring({ keys: text, access, passphrase }, { environment, kept }) {
  const parts = parseAccess(access);
  if (!parts.token.startsWith("psl_d_")) fail("invalid-invitation");
  const keys = await unlockKeys(text, passphrase);
  const { profile } = await joining.bring(parts, environment);
  const file = await lockProfile(profile, keys, environment);
  await kept.put({ ...recordOf(keys, text.trim()), file });
  return keys;
}

/**
 * Opens what is kept of `kid`; gives `{keys, profile}`. Throws Failure `wrong-passphrase`, and
 * `signed-out` where there is nothing to sign in with.
 */
export async function open({ kid, passphrase }, { kept }) {
  const record = await recordNamed(kid, kept);
  const keys = await unlockKeys(record.keys, passphrase);
  const file = record.file ?? fail("signed-out");
  return {
    keys,
    profile: JSON.parse(new TextDecoder().decode(await unlock(file, secretOf(keys)))),
  };
}

/**
 * A Client for `profile` with an identity fetched anew, and where that lists her: `{client, place}`,
 * `place` as `placeOf` has it. The client keeps newer pins, after its answers: `later(work)` does that.
 * Throws as a Client does.
 */
export async function connect({ profile, keys }, { environment, kept, later }) {
  const remember = (newer) => later(() => keep(newer, keys, { environment, kept }));
  const client = new Client(profile, { ...environment, remember });
  const place = placeOf(await client.identity(), keys);
  // The profile has it from an answer or a line, and nobody signed those.
  if (place.collective !== null) {
    client.profile = { ...client.profile, collective: place.collective };
  }
  return { client, place };
}

/**
 * Where the identity lists her keys: `{collective, moderator, state}`, the first two null and the last
 * "pending" where it does not; a moderator of an ended collective has ended too.
 */
function placeOf({ collectives }, { publicSign, publicBox }) {
  for (const { id, status, moderators } of collectives) {
    const mine = moderators.find((one) => equal(one.sign, publicSign));
    if (mine !== undefined) {
      if (!equal(mine.box, publicBox)) fail("not-listed");
      const state = status === "active" ? mine.status : status;
      return { collective: id, moderator: mine.id, state };
    }
  }
  return { collective: null, moderator: null, state: "pending" };
}

/** The moderators' records that are kept. */
export const records = async (kept) => (await kept.list()).filter(isModerator);

/** The record of `kid`. Throws Failure `signed-out` where there is none. */
export async function recordNamed(kid, kept) {
  const record = await kept.get(kid);
  return record !== null && isModerator(record) ? record : fail("signed-out");
}

async function keep(profile, keys, { environment, kept }) {
  const record = await recordNamed(keys.kid, kept);
  await kept.put({ ...record, file: await lockProfile(profile, keys, environment) });
}

function recordOf({ kid, words }, keys) {
  const first = words.split(" / ")[0];
  return { id: kid, role: ROLE, words: first, keys, file: null, wrong: 0 };
}

const lockProfile = (profile, keys, { random }) =>
  lock(utf8(JSON.stringify(profile)), secretOf(keys), random, CHEAP);

const secretOf = ({ sign, box }) =>
  encodeBase64(sha256(concat(utf8("parasol/v1\0kept profile\0"), sign, box)));

const isModerator = ({ role, keys }) => role === ROLE && keys !== undefined;
