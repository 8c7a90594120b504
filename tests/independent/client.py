"""A second private look-up client for Parasol, written from docs/protocol.md alone.

It shares no code with the service: the group, the signatures and the proofs are done here with
Python's integers. That makes it slow and not constant-time. It exists to show that the protocol
can be followed from its text, and to disagree loudly where the service doesn't keep to it.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import sys
import time
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import pairwise
from typing import Any, NamedTuple, Self
from urllib import request
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

import phonenumbers
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from email_validator import EmailNotValidError, validate_email


class CouldNotCheck(Exception):  # noqa: N818 (the protocol's words)
    """No answer that may be relied on. Never to be shown as "no match"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StaleError(CouldNotCheck):
    """The epoch or the layout has changed: worth starting again, once."""


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise CouldNotCheck(reason)


class Counts(NamedTuple):
    danger: int
    risk: int
    nuisance: int
    collectives: int
    recent: int


# The curve: edwards25519 in extended coordinates (RFC 8032), ristretto255 on top (RFC 9496).

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578


class Point(NamedTuple):
    x: int
    y: int
    z: int
    t: int


def add(p: Point, q: Point) -> Point:
    """Add two points, equal or not."""
    a = (p.y - p.x) * (q.y - q.x) % P
    b = (p.y + p.x) * (q.y + q.x) % P
    c = 2 * p.t * q.t * D % P
    d = 2 * p.z * q.z % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar: int, point: Point) -> Point:
    """Add a point to itself, as often as the scalar says."""
    result = Point(0, 1, 1, 0)
    for bit in f"{scalar:b}":
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def _absolute(value: int) -> int:
    value %= P
    return P - value if value & 1 else value


def _square_root_of_ratio(u: int, v: int) -> tuple[bool, int]:
    """Return whether u/v is a square, and its even root (or that of i·u/v)."""
    root = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * root * root % P
    correct, flipped = check == u % P, check == -u % P
    if flipped or check == -u * SQRT_M1 % P:
        root = root * SQRT_M1 % P
    return correct or flipped, _absolute(root)


def edwards_decode(encoded: bytes) -> Point:
    """Read an Ed25519 key; anything but a canonical encoding is refused."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    is_square, x = _square_root_of_ratio(y * y - 1, D * y * y + 1)
    valid = len(encoded) == 32 and y < P and is_square and (x > 0 or not sign)
    _require(valid, "invalid-key")
    x = P - x if sign else x
    return Point(x, y, 1, x * y % P)


def edwards_encode(point: Point) -> bytes:
    """Write a point as Ed25519 does."""
    inverse = pow(point.z, -1, P)
    x, y = point.x * inverse % P, point.y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ristretto_decode(encoded: bytes) -> Point:
    """Read an element; anything but the canonical encoding of a non-identity one is refused."""
    s = int.from_bytes(encoded, "little")
    u1, u2 = 1 - s * s, 1 + s * s
    v = (-D * u1 * u1 - u2 * u2) % P
    is_square, inverse_root = _square_root_of_ratio(1, v * u2 * u2 % P)
    x = _absolute(2 * s * inverse_root * u2)
    y = u1 * inverse_root * inverse_root * u2 * v % P
    t = x * y % P
    canonical_form = len(encoded) == 32 and 0 < s < P and s % 2 == 0
    _require(canonical_form and is_square and t % 2 == 0 and y != 0, "invalid-element")
    return Point(x, y, 1, t)


def ristretto_encode(point: Point) -> bytes:
    """Write an element as its 32 canonical bytes."""
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % P, x * y % P
    _, inverse_root = _square_root_of_ratio(1, u1 * u2 * u2 % P)
    den1, den2 = inverse_root * u1 % P, inverse_root * u2 % P
    z_inverse = den1 * den2 * t % P
    if (t * z_inverse % P) & 1:
        x, y, den2 = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    if (x * z_inverse % P) & 1:
        y = -y
    return _absolute(den2 * (z - y)).to_bytes(32, "little")


def _map(encoded: bytes) -> Point:
    t = int.from_bytes(encoded, "little") & (2**255 - 1)
    r = SQRT_M1 * t * t % P
    u, v = (r + 1) * (1 - D * D) % P, (-1 - r * D) * (r + D) % P
    is_square, s = _square_root_of_ratio(u, v)
    c = -1
    if not is_square:
        s, c = -_absolute(s * t), r
    w0, w1 = 2 * s * v, (c * (r - 1) * (D - 1) ** 2 - v) * SQRT_AD_MINUS_ONE
    w2, w3 = 1 - s * s, 1 + s * s
    return Point(w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P)


BASE = edwards_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Verify strictly: canonical encodings only, no key of small order, no cofactor."""
    point = edwards_decode(key)
    s = int.from_bytes(signature[32:], "little")
    small_order = multiply(8, point).x == 0
    if len(signature) != 64 or s >= L or small_order:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    negated = Point(-point.x, point.y, 1, -point.t)
    expected = add(multiply(s, BASE), multiply(k, negated))
    return edwards_encode(expected) == signature[:32]


# The oblivious function: RFC 9497, mode 1 (VOPRF), ristretto255-SHA512.

CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"


def expand(message: bytes, domain: bytes) -> bytes:
    """Return 64 bytes of expand_message_xmd with SHA-512 (RFC 9380, 5.3.1)."""
    domain += bytes([len(domain)])
    first = hashlib.sha512(bytes(128) + message + struct.pack(">HB", 64, 0) + domain).digest()
    return hashlib.sha512(first + b"\x01" + domain).digest()


def _sized(part: bytes) -> bytes:
    return struct.pack(">H", len(part)) + part


def _hash_to_scalar(message: bytes) -> int:
    return int.from_bytes(expand(message, b"HashToScalar-" + CONTEXT), "little") % L


def _scalar(encoded: bytes, lowest: int = 0) -> int:
    number = int.from_bytes(encoded, "little")
    _require(len(encoded) == 32 and lowest <= number < L, "invalid-scalar")
    return number


def hash_to_group(x: bytes) -> bytes:
    """Return the element a byte string is hashed to."""
    uniform = expand(x, b"HashToGroup-" + CONTEXT)
    return ristretto_encode(add(_map(uniform[:32]), _map(uniform[32:])))


def blind(x: bytes, r: bytes) -> bytes:
    """Return r · HashToGroup(x)."""
    return ristretto_encode(multiply(_scalar(r, 1), ristretto_decode(hash_to_group(x))))


def unblind(evaluated: bytes, r: bytes) -> bytes:
    """Return the token: r⁻¹ · evaluated."""
    return ristretto_encode(multiply(pow(_scalar(r, 1), -1, L), ristretto_decode(evaluated)))


def composites(
    public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes]
) -> tuple[Point, Point]:
    """Fold a batch into the one pair of elements that its proof is about."""
    seed = hashlib.sha512(_sized(public_key) + _sized(b"Seed-" + CONTEXT)).digest()
    m = z = Point(0, 1, 1, 0)
    for i, (before, after) in enumerate(zip(blinded, evaluated, strict=True)):
        pair = struct.pack(">H", i) + _sized(before) + _sized(after)
        weight = _hash_to_scalar(_sized(seed) + pair + b"Composite")
        m = add(m, multiply(weight, ristretto_decode(before)))
        z = add(z, multiply(weight, ristretto_decode(after)))
    return m, z


def challenge(public_key: bytes, *points: Point) -> int:
    """Return the challenge over a key, both composites and both commitments."""
    encoded = b"".join(_sized(ristretto_encode(point)) for point in points)
    return _hash_to_scalar(_sized(public_key) + encoded + b"Challenge")


def verify_proof(
    public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes
) -> None:
    """Raise CouldNotCheck unless one key made each evaluated element from its blinded one."""
    _require(len(blinded) == len(evaluated) > 0 and len(proof) == 64, "bad-proof")
    c, s = _scalar(proof[:32]), _scalar(proof[32:])
    m, z = composites(public_key, blinded, evaluated)
    t2 = add(multiply(s, BASE), multiply(c, ristretto_decode(public_key)))
    t3 = add(multiply(s, m), multiply(c, z))
    _require(challenge(public_key, m, z, t2, t3) == c, "bad-proof")


# Identifiers and their stretching (sections 1 and 2).

_LINK = re.compile(
    r"(?:(?:https?://)?(?:www\.)?wa\.me/"
    r"|whatsapp://send\?phone="
    r"|https?://(?:www\.)?api\.whatsapp\.com/send\?phone=)(.*)",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"(?:tel|sms|smsto):", re.IGNORECASE)
_EXTENSION = re.compile(r"(?:;ext=|extension|ext|x|#)[.:\s]*\d{1,7}\s*\Z", re.IGNORECASE)
_FOLDS = (
    (re.compile(r"\+549(\d{10})"), r"+54\1"),
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
    (re.compile(r"\+55(\d{2})([6-9]\d{7})"), r"+55\g<1>9\2"),
)


def _fold(number: str) -> str:
    for pattern, replacement in _FOLDS:
        if match := pattern.fullmatch(number):
            return match.expand(replacement)
    return number


def _canonical_phone(text: str, region: str | None) -> str | None:
    if link := _LINK.fullmatch(text):
        text, region = re.split(r"[?&/]", unquote(link[1]))[0], None
        text = text if text.startswith("+") else "+" + text
    else:
        text = _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text
        text = text.split("?")[0]
        if region is None and text.startswith("00"):
            text = "+" + text[2:]
    text = _EXTENSION.sub("", text)
    if any(map(str.isalpha, text)) or not (region is None or re.fullmatch("[A-Z]{2}", region)):
        return None
    before = None
    while text != before:
        before = text
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return None
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        text, region = _fold(e164), None
    reason = phonenumbers.is_possible_number_with_reason(number)
    return text if reason == phonenumbers.ValidationResult.IS_POSSIBLE else None


def _canonical_email(text: str) -> str | None:
    text = re.sub("^mailto:", "", text, flags=re.IGNORECASE).split("?")[0]
    try:
        address = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return None
    local = address.local_part.lower().split("+")[0]
    domain = (address.ascii_domain or "").lower()
    domain = "gmail.com" if domain == "googlemail.com" else domain
    local = local.replace(".", "") if domain == "gmail.com" else local
    return f"{local}@{domain}" if local and domain else None


def canonical(kind: str, value: str, region: str | None) -> str | None:
    """Write an identifier in the one form every side writes it in; None if it has none."""
    value = unicodedata.normalize("NFKC", value)
    value = "".join(c for c in value if unicodedata.category(c) != "Cf").strip()
    if kind == "phone":
        return _canonical_phone(value, region)
    return _canonical_email(value) if kind == "email" else None


def labelled(*parts: bytes | str) -> bytes:
    """Join parts as the protocol does, after its own name."""
    encoded = (part.encode() if isinstance(part, str) else part for part in parts)
    return b"\0".join((b"parasol/v1", *encoded))


def stretch(kind: str, canonical_form: str, network: str, m_kib: int, t: int) -> bytes:
    """Make an identifier slow to guess, before anything else is done with it."""
    salt = hashlib.sha256(b"parasol/v1 argon2 salt\0" + network.encode()).digest()[:16]
    secret = labelled(kind, canonical_form)
    try:
        return hash_secret_raw(secret, salt, t, m_kib, 1, 32, Type.ID)
    except HashingError:
        raise CouldNotCheck("stretching-failed") from None


# Buckets (section 3).


class Bucket(NamedTuple):
    epoch: int
    salt: bytes
    entries: bytes


def bucket_index(token: bytes, network: str, epoch: int, bits: int) -> int:
    """Return which bucket would hold a token."""
    message = labelled("bucket", network, struct.pack(">I", epoch))
    word = int.from_bytes(hmac.digest(token, message, "sha512")[:4])
    return word >> (32 - bits)


def open_bucket(
    file: bytes, *, log_key: bytes, network: str, epoch: int, bits: int, index: int, now: float
) -> Bucket:
    """Check a bucket file against what was asked for; refuse it whole if anything is off."""
    _require(len(file) >= 44 + 64, "bucket-length")
    message = labelled("bucket file", network, file[:-64])
    _require(ed25519_verify(log_key, message, file[-64:]), "bucket-signature")
    *asked, slots, sealed, salt = struct.unpack(">8sIB3sIII16s", file[:44])
    _require(asked == [b"PARASOL1", epoch, bits, bytes(3), index], "bucket-header")
    _require(len(file) == 44 + slots * 12 + 64, "bucket-length")
    _require(now - 48 * 3600 <= sealed * 3600 <= now + 3600, "bucket-age")
    large_enough = bits == 0 or len(file) > 48 * 1024 or network.startswith("test-")
    _require(bits <= 8 and large_enough, "bucket-layout")
    return Bucket(epoch, salt, file[44:-64])


def find(bucket: Bucket, network: str, token: bytes) -> Counts | None:
    """Return the counts of a token's entry; None if there is none."""
    message = labelled("entry", network, struct.pack(">I", bucket.epoch), bucket.salt)
    h = hmac.digest(token, message, "sha512")
    for entry in (bucket.entries[i : i + 12] for i in range(0, len(bucket.entries), 12)):
        if entry[:7] == h[:7]:
            return Counts(*(a ^ b for a, b in zip(entry[7:], h[7:12], strict=True)))
    return None


# The signed identity (section 7). In a shape, a string is a pattern for strings, a list holds what
# its items look like, and members whose name ends in "?" may be left out.

_KEY = "[A-Za-z0-9+/]{43}="
_ID, _STATUS, _HOST = "[a-z0-9-]{1,40}", "active|ended|revoked", "[a-z0-9.-]{1,253}"
_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_TYPE = "application/vnd.parasol.identity.v1+json"
_MODERATOR = {"id": _ID, "sign": _KEY, "box": _KEY, "status": _STATUS}
_IDENTITY = {
    "version": int,
    "origin": _HOST,
    "log": _HOST + ":(0|[1-9][0-9]{0,14})",
    "issued": _TIME,
    "expires": _TIME,
    "root": {"keys": [_KEY], "threshold": int},
    "log_key": _KEY,
    "http_keys": [_KEY],
    "network": "[a-z0-9-]{3,40}",
    "epoch": int,
    "public_key": _KEY,
    "argon2id": {"m_kib": int, "t": int},
    "collectives": [{"id": _ID, "status": _STATUS, "moderators": [_MODERATOR]}],
    "feed": ".+",
    "previous?": _KEY,
}
_SIGNATURE = {"keyid": _KEY, "sig": "[A-Za-z0-9+/]{86}=="}
_ENVELOPE = {"payload": ".+", "payloadType": re.escape(_TYPE), "signatures": [_SIGNATURE]}


class Identity(NamedTuple):
    payload: bytes
    signatures: dict[str, bytes]
    fields: dict[str, Any]


def _take(value: Any, shape: Any) -> Any:
    """Return what a shape describes of a value, without any other members."""
    if isinstance(shape, dict) and isinstance(value, dict):
        names = {name.rstrip("?"): name for name in shape if name[-1] != "?" or name[:-1] in value}
        return {name: _take(value.get(name), shape[key]) for name, key in names.items()}
    if isinstance(shape, list) and isinstance(value, list):
        distinct = {json.dumps(item, sort_keys=True) for item in value}
        _require(len(distinct) == len(value), "malformed")
        return [_take(item, shape[0]) for item in value]
    if isinstance(shape, str) and isinstance(value, str):
        _require(re.fullmatch(shape, value), "malformed")
    else:
        _require(shape is int and type(value) is int and 0 <= value < 2**53, "malformed")
    return value


def _json(body: bytes, shape: Any) -> Any:
    try:
        return _take(json.loads(body), shape)
    except (ValueError, RecursionError):
        raise CouldNotCheck("malformed") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise CouldNotCheck("malformed") from None
    _require(_base64(raw) == text, "malformed")
    return raw


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise CouldNotCheck("malformed") from None


def _moderators(fields: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    return {(c["id"], m["id"]): m for c in fields["collectives"] for m in c["moderators"]}


def _require_rules(fields: dict[str, Any]) -> None:
    """Hold an identity to what its shape can't tell."""
    roots, http_keys = fields["root"]["keys"], fields["http_keys"]
    for keys in (roots, http_keys):
        _require(keys == sorted(keys, key=_bytes), "malformed")
    collectives = [collective["id"] for collective in fields["collectives"]]
    entries = [moderator for c in fields["collectives"] for moderator in c["moderators"]]
    signs, boxes = ([_bytes(entry[name]) for entry in entries] for name in ("sign", "box"))
    for names in (collectives, signs, boxes):
        _require(len(set(names)) == len(names), "malformed")
    _require(len(_moderators(fields)) == len(entries), "malformed")
    _require(1 <= fields["root"]["threshold"] <= min(len(roots), 255), "malformed")
    _require(fields["version"] >= 1 and 1 <= fields["epoch"] < 2**32, "malformed")
    _require(fields["log"].rpartition(":")[0] == fields["origin"], "malformed")
    for name in ("issued", "expires"):
        _instant(fields[name])
    for name in {"log_key", "previous"} & set(fields):
        _bytes(fields[name])
    ristretto_decode(_bytes(fields["public_key"]))
    m_kib, t = fields["argon2id"]["m_kib"], fields["argon2id"]["t"]
    _require(8 <= m_kib < 2**32 and 1 <= t < 2**32, "malformed")
    strong = (m_kib >= 19456 and t >= 2) or fields["network"].startswith("test-")
    _require(strong, "identity-refused")


def read_identity(body: bytes) -> Identity:
    """Read an envelope strictly, and verify that the root keys it names have signed it."""
    envelope = _json(body, _ENVELOPE)
    payload = _bytes(envelope["payload"])
    _require(len(payload) <= 256 * 1024, "malformed")
    _require(re.fullmatch(rb"[ -\[\]-~]+", payload), "malformed")
    fields = _json(payload, _IDENTITY)
    again = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    _require(again.encode() == payload, "malformed")
    _require_rules(fields)
    signatures = {item["keyid"]: _bytes(item["sig"]) for item in envelope["signatures"]}
    identity = Identity(payload, signatures, fields)
    _require_signatures(identity, identity)
    return identity


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what a DSSE signature is over."""
    return f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload


def _require_signatures(identity: Identity, holder: Identity) -> None:
    """Count the distinct root keys of the holder that signed an identity."""
    message, signed = pae(_TYPE, identity.payload), 0
    for key in map(_bytes, holder.fields["root"]["keys"]):
        signature = identity.signatures.get(_base64(hashlib.sha256(key).digest()))
        signed += signature is not None and ed25519_verify(key, message, signature)
    _require(signed >= holder.fields["root"]["threshold"], "identity-signature")


def root_fingerprint(identity: Identity) -> bytes:
    """Return root_sha256: what an invitation holds."""
    root = identity.fields["root"]
    return hashlib.sha256(bytes([root["threshold"], *b"".join(map(_bytes, root["keys"]))])).digest()


def require_successor(old: Identity, new: Identity) -> None:
    """Raise CouldNotCheck unless the new identity may follow the old one."""
    was, now = old.fields, new.fields
    _require_signatures(new, old)
    _require(now["version"] == was["version"] + 1, "identity-refused")
    digest = _base64(hashlib.sha256(old.payload).digest())
    _require(now.get("previous") == digest, "identity-refused")
    for name in ("origin", "network", "argon2id"):
        _require(now[name] == was[name], "identity-refused")
    step = int(now["log"].rpartition(":")[2]) - int(was["log"].rpartition(":")[2])
    _require(step == (now["log_key"] != was["log_key"]), "identity-refused")
    later = _moderators(now)
    for place, moderator in _moderators(was).items():
        status = later.get(place, {}).get("status", "")
        _require(later.get(place) == moderator | {"status": status}, "identity-refused")
        _require(moderator["status"] in {"active", status}, "identity-refused")


# The client.

_INVITATION = re.compile(r"(https?://[^\s#]+)/join#([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")
_LONGEST_ANSWER = 16 * 1024 * 1024
_LONGEST_CHAIN = 1000
_JOINED = {"token": "psl_[a-z]_[A-Za-z0-9_-]{43}"}
_REFUSED = {"code": "[a-z-]{1,40}"}
_EVALUATED = {
    "epoch": int,
    "parts": [{"share": int, "elements": [_KEY], "proof": _SIGNATURE["sig"]}],
}
_LAYOUT = {
    "network": ".+",
    "epoch": int,
    "suite": ".+",
    "public_key": _KEY,
    "log_public_key": _KEY,
    "argon2id": {"m_kib": int, "t": int, "p": int},
    "buckets": {"bits": int},
}


def _opener(address: str) -> request.OpenerDirector:
    """Open http and https only, follow no redirection, use no proxy towards this machine."""
    opener = request.OpenerDirector()
    local = urlsplit(address).hostname in {"localhost", "127.0.0.1", "::1"}
    opener.add_handler(request.ProxyHandler({} if local else None))
    opener.add_handler(request.HTTPHandler())
    opener.add_handler(request.HTTPSHandler())
    opener.add_handler(request.UnknownHandler())
    opener.add_handler(request.HTTPDefaultErrorHandler())
    opener.add_handler(request.HTTPErrorProcessor())
    return opener


def _refusal(error: HTTPError) -> CouldNotCheck:
    with error:
        try:
            code = _json(error.read(_LONGEST_ANSWER), _REFUSED)["code"]
        except (CouldNotCheck, OSError, HTTPException):
            code = f"http-{error.code}"
    stale = error.code == 409 and code in {"stale-epoch", "stale-layout"}
    return StaleError(code) if stale else CouldNotCheck(code)


def _send(address: str, path: str, bearer: str | None, message: Any = None) -> bytes:
    headers = {"Content-Type": "application/json"} if message else {}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    data = json.dumps(message).encode() if message else None
    try:
        asked = request.Request(address.rstrip("/") + path, data, headers)
        with _opener(address).open(asked, timeout=30) as response:
            body: bytes = response.read(_LONGEST_ANSWER + 1)
    except HTTPError as error:
        raise _refusal(error) from None
    except (OSError, HTTPException, ValueError):
        raise CouldNotCheck("unreachable") from None
    _require(len(body) <= _LONGEST_ANSWER, "too-large")
    return body


class IndependentClient:
    """Look people up at one instance without telling it whom."""

    def __init__(self, address: str, bearer: str, root: bytes) -> None:
        self.address = address
        self.bearer = bearer
        self.root = root
        self._pinned: Identity | None = None

    @classmethod
    def join(cls, invitation: str) -> Self:
        """Exchange an invitation's single-use code for a bearer token."""
        match = _INVITATION.fullmatch(invitation.strip())
        if not match:
            raise CouldNotCheck("invalid-invitation")
        address, code, root = match.groups()
        answer = _json(_send(address, "/v1/tokens", None, {"code": code}), _JOINED)
        return cls(address, answer["token"], bytes.fromhex(root))

    def check(self, items: Sequence[tuple[str, str, str | None]]) -> list[Counts | None]:
        """Look up one to ten identifiers (kind, value, region); None stands for no match."""
        _require(1 <= len(items) <= 10, "one-to-ten-identifiers")
        forms: list[tuple[str, str]] = []
        for kind, value, region in items:
            form = canonical(kind, value, region)
            if form is None:
                raise CouldNotCheck("invalid-identifier")
            forms.append((kind, form))
        try:
            return self._look_up(forms)
        except StaleError:
            return self._look_up(forms)

    def _look_up(self, forms: list[tuple[str, str]]) -> list[Counts | None]:
        identity = self._current_identity()
        fields, bits = identity.fields, self._bits(identity)
        network, epoch = fields["network"], fields["epoch"]
        inputs = [stretch(kind, form, network, **fields["argon2id"]) for kind, form in forms]
        blinds = [(secrets.randbelow(L - 1) + 1).to_bytes(32, "little") for _ in forms]
        blinded = [blind(x, r) for x, r in zip(inputs, blinds, strict=True)]
        evaluated = self._evaluate(identity, blinded)
        tokens = [unblind(element, r) for element, r in zip(evaluated, blinds, strict=True)]
        indices = [bucket_index(token, network, epoch, bits) for token in tokens]
        buckets = {index: self._bucket(identity, bits, index) for index in sorted(set(indices))}
        found = [find(buckets[i], network, token) for i, token in zip(indices, tokens, strict=True)]
        if any(counts and not counts.danger + counts.risk + counts.nuisance for counts in found):
            raise CouldNotCheck("malformed")
        return found

    def _current_identity(self) -> Identity:
        """Fetch the newest identity and follow the signatures to it from one that is trusted."""
        chain = [self._identity("")]
        while not self._is_anchor(chain[-1]):
            version = chain[-1].fields["version"] - 1
            _require(version >= 1 and len(chain) < _LONGEST_CHAIN, "identity-refused")
            chain.append(self._identity(f"?version={version}"))
            _require(chain[-1].fields["version"] == version, "identity-refused")
        for new, old in pairwise(chain):
            require_successor(old, new)
        _require(_instant(chain[0].fields["expires"]) > datetime.now(UTC), "identity-expired")
        self._pinned = chain[0]
        return chain[0]

    def _is_anchor(self, identity: Identity) -> bool:
        if self._pinned is None:
            return root_fingerprint(identity) == self.root
        _require(identity.fields["version"] >= self._pinned.fields["version"], "identity-refused")
        return identity.payload == self._pinned.payload

    def _identity(self, query: str) -> Identity:
        return read_identity(_send(self.address, "/v1/identity" + query, self.bearer))

    def _bits(self, identity: Identity) -> int:
        """Ask for the current layout, and hold the rest of that answer against the identity."""
        answer = _json(_send(self.address, "/v1/network", None), _LAYOUT)
        bits: int = answer.pop("buckets")["bits"]
        expected = {name: identity.fields[name] for name in ("network", "epoch", "public_key")}
        expected["suite"] = "ristretto255-SHA512"
        expected["log_public_key"] = identity.fields["log_key"]
        expected["argon2id"] = identity.fields["argon2id"] | {"p": 1}
        _require(answer == expected, "network-differs")
        _require(bits <= 8, "bucket-layout")
        return bits

    def _evaluate(self, identity: Identity, blinded: list[bytes]) -> list[bytes]:
        epoch = identity.fields["epoch"]
        message = {"epoch": epoch, "elements": [_base64(element) for element in blinded]}
        answer = _json(_send(self.address, "/v1/evaluations", self.bearer, message), _EVALUATED)
        parts = answer["parts"]
        one_key = len(parts) == 1 and parts[0]["share"] == 0
        _require(one_key and answer["epoch"] == epoch, "malformed")
        evaluated = [_bytes(element) for element in parts[0]["elements"]]
        proof = _bytes(parts[0]["proof"])
        verify_proof(_bytes(identity.fields["public_key"]), blinded, evaluated, proof)
        return evaluated

    def _bucket(self, identity: Identity, bits: int, index: int) -> Bucket:
        network, epoch = identity.fields["network"], identity.fields["epoch"]
        file = _send(self.address, f"/v1/buckets/{epoch}/{bits}/{index}", self.bearer)
        key, now = _bytes(identity.fields["log_key"]), time.time()
        return open_bucket(
            file, log_key=key, network=network, epoch=epoch, bits=bits, index=index, now=now
        )


def main(arguments: Sequence[str]) -> int:
    """Look one identifier up, and print its counts, "no match" or "could not check: reason"."""
    try:
        if "#" in arguments[0]:
            client, rest = IndependentClient.join(arguments[0]), arguments[1:]
        else:
            address, bearer, root = arguments[:3]
            client, rest = IndependentClient(address, bearer, bytes.fromhex(root)), arguments[3:]
        region = rest[2] if len(rest) > 2 else None
        (counts,) = client.check([(rest[0], rest[1], region or None)])
    except CouldNotCheck as error:
        sys.stdout.write(f"could not check: {error.reason}\n")
        return 1
    words = [f"{name} {count}" for name, count in counts._asdict().items()] if counts else []
    sys.stdout.write((", ".join(words) or "no match") + "\n")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("client.py (INVITATION | ADDRESS BEARER ROOTHEX) KIND VALUE [REGION]")
    sys.exit(main(sys.argv[1:]))
