/**
 * An access that is kept under a PIN: a record `{id, role, key, file, wrong}` of kept.js. `file` is the
 * profile, locked by a secret, and `key` this secret, locked by the PIN: so a newer pin of the identity
 * can be written without it. `place` is `{id, kept, random}`.
 */
import { encodeBase64, utf8 } from "../client/bytes.js";
import { lock, unlock } from "../client/crypto/keyfiles.js";
import { fail } from "../client/failures.js";

const MOST_WRONG = 5;
// What locks a profile is no PIN but 32 bytes of chance, which nobody can guess.
const CHEAP = { m_kib: 8, t: 1 };

/** Keeps a profile under `pin`; gives `{key, secret}`, with which it can be kept anew. Throws Failure `cannot-keep`. */
export async function keep(profile, pin, { id, kept, random }) {
  const secret = encodeBase64(random(32));
  const [key, file] = [
    await lock(utf8(secret), pin, random),
    await lockProfile(profile, secret, random),
  ];
  await kept.put({ id, role: profile.role, key, file, wrong: 0 });
  return { key, secret };
}

/** Keeps `profile` in the place of an older one, unless another tab has kept something else since. */
export async function rekeep(profile, { key, secret }, { id, kept, random }) {
  const record = await kept.get(id);
  if (record?.key !== key) return;
  await kept.put({ ...record, file: await lockProfile(profile, secret, random) });
}

/**
 * What is kept, `{profile, secrets}`, with the `secrets` that `keep` gives. Throws Failure `wrong-pin {left}`, which the fifth time has
 * deleted it, and `signed-out` where nothing is.
 */
export async function open(pin, { id, kept }) {
  const record = (await kept.get(id)) ?? fail("signed-out");
  const left = MOST_WRONG - 1 - record.wrong;
  if (left >= 0) {
    // Counted before it is tried: closing the page must not take a wrong one back.
    await kept.put({ ...record, wrong: record.wrong + 1 });
    try {
      const secret = read(await unlock(record.key, pin));
      const profile = JSON.parse(read(await unlock(record.file, secret)));
      await kept.put({ ...record, wrong: 0 });
      return { profile, secrets: { key: record.key, secret } };
    } catch (refused) {
      if (refused.code !== "wrong-passphrase") {
        await kept.put(record); // the PIN is not to blame
        throw refused;
      }
    }
  }
  if (left <= 0) await kept.remove(id);
  return fail("wrong-pin", { left: Math.max(left, 0) });
}

const lockProfile = (profile, secret, random) =>
  lock(utf8(JSON.stringify(profile)), secret, random, CHEAP);

const read = (bytes) => new TextDecoder().decode(bytes);
