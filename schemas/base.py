"""What every message shares: closed shapes, bytes as base64, and the words of PROTOCOL.md §11."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Message(BaseModel):
    """Base of everything that travels: no unknown members, unchangeable, silent about its input."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )


def decode_base64(text: str) -> bytes:
    """Return the bytes of `text`: standard alphabet, padded, canonical (RFC 4648 §§3.5, 4).

    Raises ValueError, without the text, for anything else.
    """
    try:
        data = a2b_base64(text, strict_mode=True)
    except ValueError:
        data = None
    # Several texts decode to the same bytes (unused bits, stray padding); only one is written.
    if data is None or encode_base64(data) != text:
        raise ValueError("not canonical base64")
    return data


def encode_base64(data: bytes) -> str:
    """Return `data` as padded standard base64."""
    return b2a_base64(data, newline=False).decode("ascii")


@dataclass(frozen=True, slots=True)
class Base64:
    """Marks `bytes` that are canonical base64 text in JSON: `shortest` to `longest` bytes."""

    shortest: int = 0
    longest: int | None = None

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Take text (decoded) or bytes (as they are); write text."""
        return core_schema.no_info_before_validator_function(
            lambda value: decode_base64(value) if isinstance(value, str) else value,
            core_schema.bytes_schema(
                strict=True, min_length=self.shortest, max_length=self.longest
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                encode_base64, when_used="json", return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text, not the bytes."""
        described: JsonSchemaValue = {
            "type": "string",
            "contentEncoding": "base64",
            "pattern": "^[A-Za-z0-9+/]*={0,2}$",
            "minLength": _text_length(self.shortest),
        }
        if self.longest is not None:
            described["maxLength"] = _text_length(self.longest)
        return described


def _text_length(length: int) -> int:
    return (length + 2) // 3 * 4


Key32 = Annotated[bytes, Base64(32, 32)]
"""A public key or group element."""
Digest32 = Annotated[bytes, Base64(32, 32)]
"""A SHA-256 value: an entry id, a Merkle root, the hash of a payload."""
Signature64 = Annotated[bytes, Base64(64, 64)]
"""An Ed25519 signature, or a DLEQ proof."""
Nonce24 = Annotated[bytes, Base64(24, 24)]
"""An XSalsa20 nonce."""


# Documents name the same days over and over.
@lru_cache(maxsize=4096)
def _of_the_calendar(text: str) -> str:
    """Accept a day, a month or a time, whose shape is checked already, if there is such a day."""
    try:
        date.fromisoformat(f"{text}-01"[:10])
    except ValueError:  # whose own message repeats the text
        raise ValueError("no such day") from None
    return text


def as_time(text: str) -> datetime:
    """Return the moment a `Time` names, in UTC."""
    return datetime.fromisoformat(text)


# In pydantic's engine (Rust) `$` is the end of the text only, never before a last newline; and
# unlike `\z` JSON Schema knows it.
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_PATTERN = rf"^{_LABEL}(\.{_LABEL})*$"
_MONTH = "[0-9]{4}-[0-9]{2}"
_DAY = f"{_MONTH}-[0-9]{{2}}"

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
"""The opaque id of a collective or a moderator."""
NetworkId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,40}$")]
"""The id of a network."""
HostName = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=253)]
"""An origin: a lower-case host name, in A-label form, without a port."""
LogId = Annotated[
    str,
    StringConstraints(pattern=HOST_PATTERN.removesuffix("$") + ":[1-9][0-9]{0,8}$", max_length=263),
]
"""A log: `origin:number`."""
Url = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://[a-z0-9.\[\]:-]{1,260}(/[A-Za-z0-9._~-]+)*/?$", max_length=500
    ),
]
"""The address of a feed: no user, query or fragment."""
Rid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""Sixteen random bytes as lower-case hex."""
# 43 digits of base64 are 258 bits: the last two are unused, and zero in the one text that counts.
KeyId = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""Base64 of the SHA-256 of a raw public key (PROTOCOL.md §7)."""
Day = Annotated[str, StringConstraints(pattern=rf"^{_DAY}$"), AfterValidator(_of_the_calendar)]
"""`YYYY-MM-DD`, a day of the calendar; text, so that it is written as it was read."""
Month = Annotated[str, StringConstraints(pattern=rf"^{_MONTH}$"), AfterValidator(_of_the_calendar)]
"""`YYYY-MM`."""
Time = Annotated[
    str,
    StringConstraints(pattern=rf"^{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"),
    AfterValidator(_of_the_calendar),
]
"""`YYYY-MM-DDTHH:MM:SSZ`, UTC."""
Count = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""A JSON integer that every language reads alike."""
Ordinal = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
"""A `Count` that begins at 1: a version, an epoch."""


class Kind(StrEnum):
    """What an identifier is (PROTOCOL.md §1)."""

    PHONE = "phone"
    EMAIL = "email"


class Severity(StrEnum):
    """How grave a warning is: do not meet, take care, or a nuisance."""

    DANGER = "danger"
    RISK = "risk"
    NUISANCE = "nuisance"


class Sharing(StrEnum):
    """Whether reports of a category leave the instance."""

    YES = "yes"
    OPT_IN = "opt-in"
    NEVER = "never"


class Category(StrEnum):
    """What happened, in the closed vocabulary of PROTOCOL.md §11."""

    SEXUAL_VIOLENCE = "sexual_violence"
    PHYSICAL_VIOLENCE = "physical_violence"
    CONFINEMENT = "confinement"
    DRUGGING = "drugging"
    ROBBERY = "robbery"
    BLACKMAIL_OUTING = "blackmail_outing"
    STALKING = "stalking"
    CONDOM_VIOLATION = "condom_violation"
    AUTHORITY_ABUSE = "authority_abuse"
    THREATS = "threats"
    BOUNDARY_VIOLATION = "boundary_violation"
    COVERT_RECORDING = "covert_recording"
    THEFT = "theft"
    HARASSMENT = "harassment"
    NON_PAYMENT = "non_payment"
    SCAM = "scam"
    TIME_WASTING = "time_wasting"
    OTHER = "other"


class CategoryRule(NamedTuple):
    """The severity first offered for a category, and whether it is shared."""

    severity: Severity
    shared: Sharing


CATEGORIES: Mapping[Category, CategoryRule] = MappingProxyType(
    {
        Category.SEXUAL_VIOLENCE: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.PHYSICAL_VIOLENCE: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.CONFINEMENT: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.DRUGGING: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.ROBBERY: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.BLACKMAIL_OUTING: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.STALKING: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.CONDOM_VIOLATION: CategoryRule(Severity.DANGER, Sharing.YES),
        Category.AUTHORITY_ABUSE: CategoryRule(Severity.DANGER, Sharing.OPT_IN),
        Category.THREATS: CategoryRule(Severity.RISK, Sharing.YES),
        Category.BOUNDARY_VIOLATION: CategoryRule(Severity.RISK, Sharing.YES),
        Category.COVERT_RECORDING: CategoryRule(Severity.RISK, Sharing.YES),
        Category.THEFT: CategoryRule(Severity.RISK, Sharing.YES),
        Category.HARASSMENT: CategoryRule(Severity.RISK, Sharing.OPT_IN),
        Category.NON_PAYMENT: CategoryRule(Severity.RISK, Sharing.OPT_IN),
        Category.SCAM: CategoryRule(Severity.RISK, Sharing.OPT_IN),
        Category.TIME_WASTING: CategoryRule(Severity.NUISANCE, Sharing.NEVER),
        # Never published as it is: a moderator chooses another category first.
        Category.OTHER: CategoryRule(Severity.RISK, Sharing.NEVER),
    }
)
"""Default severity and sharing of every category (PROTOCOL.md §11)."""
