"""From what a worker types to one canonical spelling (PROTOCOL.md §1).

Two spellings of one number must give one token on every side, so this is normative to the letter;
whatever is doubtful is refused: a refusal is seen, a wrong token reads as "no warning".
"""

import contextlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

import phonenumbers
from email_validator import validate_email
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from api.crypto.failures import InvalidInput

Kind = Literal["phone", "email"]

MAX_CHARACTERS: Final = 320

# A round takes off a leading zero or folds: no number has digits for so many; it must only end.
_MAX_ROUNDS: Final = 32

_WHATSAPP: Final = re.compile(
    r"(?:https?://)?(?:www\.)?wa\.me/"
    r"|whatsapp://send\?phone="
    r"|https?://(?:www\.)?api\.whatsapp\.com/send\?phone=",
    re.ASCII | re.IGNORECASE,
)
_PHONE_SCHEME: Final = re.compile(r"\A(?:tel|sms|smsto):", re.ASCII | re.IGNORECASE)
_MAIL_SCHEME: Final = re.compile(r"\Amailto:", re.ASCII | re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"(?:;ext=|(?:extension|ext|x|#)\.?)\s*[0-9]{1,7}\s*\Z", re.IGNORECASE
)
# Argentina's mobile 9, Mexico's old mobile 1, Brazil's ninth digit.
_FOLDS: Final = (
    (re.compile(r"\+549([0-9]{10})"), r"+54\1"),
    (re.compile(r"\+521([0-9]{10})"), r"+52\1"),
    (re.compile(r"\+55([0-9]{2})([6-9][0-9]{7})"), r"+55\g<1>9\2"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Identifier:
    """A phone number or mail address in canonical form, which nothing prints by accident.

    Made by `parse_identifier` only; `canonical` is E.164 or a lower-case address.
    """

    kind: Kind
    canonical: str

    def __repr__(self) -> str:
        return f"Identifier({self.kind})"

    def encoded(self) -> bytes:
        """Return the bytes that are stretched (PROTOCOL.md §2, `identifier`)."""
        return b"\0".join((b"parasol/v1", self.kind.encode(), self.canonical.encode()))


def parse_identifier(kind: str, value: str, region: str | None) -> Identifier:
    """Bring `value` into canonical form (PROTOCOL.md §1).

    `kind` is `phone` or `email`; `region` is the upper-case ISO 3166 code in which a national
    number is to be read, or None; mail addresses ignore it. The canonical form, parsed again
    without a region, gives itself.

    Raises InvalidInput `invalid-identifier`, from which the value can't be recovered.
    """
    with contextlib.suppress(ValueError, NumberParseException):
        text = _plain(_bounded(value))
        if kind == "phone":
            return Identifier("phone", _phone(text, region))
        if kind == "email":
            return Identifier("email", _email(text))
    # Raised out here it has no context: a decoding error, for one, carries all that was decoded.
    raise InvalidInput("invalid-identifier")


def _bounded(value: str) -> str:
    if len(value) > MAX_CHARACTERS or "\0" in value:
        raise InvalidInput("invalid-identifier")
    value.encode()  # a lone surrogate ends here
    return value


def _plain(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text)
    return "".join(c for c in normal if unicodedata.category(c) != "Cf").strip()


def _settled(step: Callable[[str], str], text: str) -> str:
    for _ in range(_MAX_ROUNDS):
        before, text = text, step(text)
        if text == before:
            return text
    raise InvalidInput("invalid-identifier")


def _phone(text: str, region: str | None) -> str:
    # libphonenumber looks at the region only when it needs it: a bad one must not pass unseen.
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("invalid-identifier")
    link = _WHATSAPP.match(text)
    if link:
        linked = re.split("[?&/]", unquote(text[link.end() :]), maxsplit=1)[0]
        text, region = "+" + linked.removeprefix("+"), None
    else:
        text = _PHONE_SCHEME.sub("", text).partition("?")[0]
    if region is None and text.startswith("00"):
        text = "+" + text.removeprefix("00")
    text = _EXTENSION.sub("", text)
    # Vanity letters, `;phone-context=` and a number within a sentence would all be read.
    if any(c.isalpha() for c in text):
        raise InvalidInput("invalid-identifier")
    canonical = _settled(_written, _written(text, region))
    reason = phonenumbers.is_possible_number_with_reason(phonenumbers.parse(canonical))
    if reason != ValidationResult.IS_POSSIBLE:
        raise InvalidInput("invalid-identifier")
    return canonical


def _written(text: str, region: str | None = None) -> str:
    number = phonenumbers.parse(text, region)
    written: str = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    for pattern, folded in _FOLDS:
        match = pattern.fullmatch(written)
        if match:
            return match.expand(folded)
    return written


def _email(text: str) -> str:
    # Lower-casing can undo NFKC, and a dropped tag can leave what is no address ("a.+x@…").
    return _settled(_mailbox, _MAIL_SCHEME.sub("", text).partition("?")[0])


def _mailbox(text: str) -> str:
    address = validate_email(_plain(text), check_deliverability=False)
    local = address.local_part.lower().partition("+")[0]
    domain = address.ascii_domain.lower()
    if domain == "googlemail.com":
        domain = "gmail.com"
    if domain == "gmail.com":
        local = local.replace(".", "")
    return f"{local}@{domain}"
