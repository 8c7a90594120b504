// The syntax of mail addresses and IDNA 2008 as Python's email-validator and idna have them, without
// their tables: what these pages cannot decide alike, they refuse.
import { fail } from "./failures.js";
import { fromPunycode, toPunycode } from "./punycode.js";

const MOST_BYTES = 254;
const DOMAIN_LENGTH = 253;
const LABEL_LENGTH = 63;

const ATOM = "[\\w!#$%&'*+\\-/=?^`{|}~\\x80-\\uffff]+";
const LOCAL = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`);
const SAFE = /^[\p{L}\p{N}\p{P}\p{S}][\p{L}\p{N}\p{P}\p{S}\p{M}]*$/u;
// Of what is newer than Unicode 14 or beyond the first plane, but for mathematical letters, not all
// sides know the same: looked at before anything is normalised.
const UNSURE =
  /[\u0897\u0cf3\u0ece\u1acf-\u1aff\u05c8\u05c9\u088f\u0b53\u0b54\u0c5c\u0cdc\u1b4e\u1b4f\u1b7f\u1c89-\u1c8f\u208f\u20c1-\u20cf\u2427-\u242f\u2b96\u2ffc-\u2fff\u31e4-\u31ef\ua7cb-\ua7cf\ua7d2\ua7d4\ua7da-\ua7f1\ufbc3-\ufbd2\ufd90\ufd91\ufdc8-\ufdce]|(?![\u{1d400}-\u{1d7ff}])[^\0-\uffff]/u;

const HOST = /^[a-z0-9\-.\x80-\uffff]+$/;
const RESERVED = /^(?!xn)..--/; // RFC 5890 §2.3.1
const PUBLIC = /\..*[a-z]$/;
const SPECIAL = /(?:^|\.)(?:arpa|invalid|local|localhost|onion|test)$/; // RFC 6761 §6 and its kin

// RFC 5892: its exceptions, then by category, without what folding changes and old Hangul.
const VALID =
  /^(?!\p{M})(?:[-ßς\u06fd\u06fe\u0f0b\u3007\u00b7\u0375\u05f3\u05f4\u30fb]|(?![\p{CWKCF}\u302e\u302f\u20d0-\u20ff\u0640\u07fa\u3031-\u3035\u303b\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff])[\p{Ll}\p{Lu}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}])+$/u;
const OUT_OF_CONTEXT =
  /(?:^|[^l])\u00b7|\u00b7(?!l)|\u0375(?!\p{sc=Grek})|(?:^|[^\p{sc=Hebr}])[\u05f3\u05f4]|^[^\p{sc=Hira}\p{sc=Kana}\p{sc=Han}]*\u30fb[^\p{sc=Hira}\p{sc=Kana}\p{sc=Han}]*$|[\u0660-\u0669].*[\u06f0-\u06f9]|[\u06f0-\u06f9].*[\u0660-\u0669]/u;

const FOLDED = /(?![ßς])\p{CWKCF}/u; // these two UTS #46 keeps

// RFC 5893. A label of a domain with right-to-left characters is wholly so, or has none of them, and
// no characters without a direction.
const RIGHT_TO_LEFT = /(?![\p{Mn}\u06f0-\u06f9])[\u0590-\u08ff\ufe73]/u;
const BIDI =
  /^(?![0-9\u0660-\u0669\u06f0-\u06f9]|.*-\p{Mn}*$|.*[0-9\u06f0-\u06f9].*[\u0660-\u0669]|.*[\u0660-\u0669].*[0-9])(?:[\u0590-\u08ff\ufe730-9-]+|[^\u0590-\u08ff\ufe73\u00b7\u02b9\u02ba\u02c6-\u02cf\u02ec\u0375\u2e2f\u30fb\ua67f\ua717-\ua71f\ua788]+)$/u;

/** Whether all sides know all characters of `text`. */
export const isKnown = (text) => !UNSURE.test(text);

/**
 * Splits a mail address, in NFKC and without format characters, into its local part and the domain
 * in A-label form (RFC 5321, 6531, 5891). Throws Failure `invalid-identifier`.
 */
export function readAddress(text) {
  const at = text.indexOf("@");
  const local = text.slice(0, Math.max(at, 0));
  const domain = text.slice(at + 1);
  const isSound = SAFE.test(local) && SAFE.test(domain) && domain.length <= DOMAIN_LENGTH;
  if (!isSound || !LOCAL.test(local)) {
    fail("invalid-identifier");
  }
  const labels = readDomain(domain);
  const [ascii, unicode] = [0, 1].map((form) => labels.map((label) => label[form]).join("."));
  if (
    ascii.length > DOMAIN_LENGTH ||
    !PUBLIC.test(ascii) ||
    SPECIAL.test(ascii) ||
    [domain, ascii, unicode].some((form) => byteLength(`${local}@${form}`) > MOST_BYTES)
  ) {
    fail("invalid-identifier");
  }
  return { local, domain: ascii };
}

/** The labels of a domain, each as A-label and as U-label. */
function readDomain(domain) {
  const mapped = Array.from(domain, fold).join("").normalize("NFKC");
  const labels = mapped.split(".").map(readLabel);
  const isBidi = labels.some(([, unicode]) => RIGHT_TO_LEFT.test(unicode));
  if (!HOST.test(mapped) || (isBidi && !labels.every(([, unicode]) => BIDI.test(unicode)))) {
    fail("invalid-identifier");
  }
  return labels;
}

/** What UTS #46 maps a character to that NFKC has left as it is. */
function fold(character) {
  if (character === "\u3002") {
    return "."; // the ideographic full stop
  }
  if (!FOLDED.test(character)) {
    return character;
  }
  if (/\p{DI}/u.test(character)) {
    return "";
  }
  // Case folding is lower-casing but for what has several lower forms, and for Cherokee.
  const lower = character.toLowerCase();
  const upper = character.toUpperCase();
  return [lower, upper].find((form) => !FOLDED.test(form)) ?? upper.toLowerCase();
}

function readLabel(label) {
  const isEncoded = /^xn--[a-z0-9-]*$/.test(label);
  const unicode = isEncoded ? fromPunycode(label.slice(4)) : label;
  const ascii = /[^\0-\x7f]/.test(unicode) ? `xn--${toPunycode(unicode)}` : unicode;
  if (
    (isEncoded && ascii !== label) ||
    ascii.length > LABEL_LENGTH ||
    RESERVED.test(label) ||
    /^-|^..--|-$/.test(unicode) ||
    !isKnown(unicode) ||
    unicode.normalize("NFC") !== unicode ||
    !VALID.test(unicode) ||
    OUT_OF_CONTEXT.test(unicode)
  ) {
    fail("invalid-identifier");
  }
  return [ascii, unicode];
}

const byteLength = (text) => new TextEncoder().encode(text).length;
