/** A new moderator's proof that she holds the signing key she announces (docs/protocol.md §5). */
import { concat, utf8 } from "../bytes.js";
import { publicKey, signBytes } from "./envelopes.js";

/** The 64-byte proof over `code` and both public keys, by the `sign` key of `seed`. */
export const proveJoin = (seed, code, boxPublic) =>
  signBytes(seed, concat(utf8(`parasol/v1\0join\0${code}\0`), publicKey(seed), boxPublic));
