"""What keeps a client from its answer, and the one plain sentence that says so to a person.

Every text is ours: nothing that an instance sent is ever repeated on a screen.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from api.crypto.failures import InvalidInput
from api.keyring import KeyFileError

OFFLINE = "No answer came from the instance: is this device online?"
NO_INSTANCE = "What answered is not a Parasol instance: does this network ask you to sign in first?"
TOO_LARGE = "What answered sent more than a Parasol instance would."

_HOUR = timedelta(hours=1)
_FINE_CUT = "The list is cut so finely that reading it would show who is asked about."
_NOT_THIS_IDENTITY = "This instance's identity is not signed by the keys you were given."
_INVALID: Mapping[str, str] = MappingProxyType(
    {
        "identity-refused": _NOT_THIS_IDENTITY,
        "identity-expired": "This instance's identity has expired: its operator must renew it.",
        "identity-older": "This instance shows an older identity than it did before.",
        "identity-changed": "This instance shows another identity than it did before.",
        "clock-skew": "This instance's identity is dated in the future.",
        "bad-proof": "The instance did not prove that it answered with the network's key.",
        "bucket-malformed": "The list that was sent is damaged.",
        "bucket-signature": "The list that was sent is not signed by this instance.",
        "bucket-other": "Another part of the list was sent than the one asked for.",
        "bucket-bits": _FINE_CUT,
        "bucket-small": _FINE_CUT,
        "bucket-stale": "The list that was sent is out of date.",
        "bucket-future": "The list that was sent is dated in the future.",
        "invalid-identifier": "This is not a phone number or e-mail address that can be checked.",
        "region-missing": "Add the country of this number, as in --region GB, or write it with +.",
        "invalid-region": "A region is a country's two letters, as in --region GB.",
        "invalid-invitation": "This is not an invitation: it is one line, ADDRESS/join#CODE.ROOT.",
        "invalid-receipt": "A receipt has 16 digits.",
        "wrong-passphrase": "The passphrase is wrong, or the file was altered.",
        "sealed-unreadable": "The account is not sealed to this key, or not intact.",
        "account-too-long": "The account is too long to be sent: shorten it.",
        "future-dated": "The month lies in the future.",
        "expired": "This happened too long ago to be kept as a warning of this severity.",
        "unauthenticated": "The token is not one of Parasol's.",
    }
)
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "unauthenticated": "Your access has ended: ask your collective for a new invitation.",
        "forbidden": "Your token does not allow this.",
        "plain-lookups-disabled": "This instance answers private look-ups only.",
        "not-found": "The instance knows nothing of the kind.",
        "conflict": "This has changed in the meantime: look at it again.",
        "stale-epoch": "The list changed while it was read: try again.",
        "stale-layout": "The list changed while it was read: try again.",
        "invalid-identifier": _INVALID["invalid-identifier"],
        "invalid-request": "The instance did not understand this: is this program up to date?",
        "too-large": "This is more than the instance takes.",
        "too-slow": "The connection is too slow: try again.",
        "unavailable": "The instance cannot answer now: try again later.",
        "internal": "The instance cannot answer now: try again later.",
    }
)


class Refused(Exception):  # noqa: N818  (the field's word)
    """An answer that refuses, as problem+json (PROTOCOL.md §10)."""

    def __init__(
        self, code: str, status: int, members: dict[str, Any], retry_after: int | None
    ) -> None:
        """Keep the stable `code`, the HTTP status, further members, and the seconds to wait."""
        super().__init__(code)
        self.code = code
        self.status = status
        self.members = members
        self.retry_after = retry_after


class Unreachable(Exception):  # noqa: N818  (likewise)
    """No answer: offline, too late, or from something that is no instance."""

    def __init__(self, reason: str = OFFLINE) -> None:
        """Keep `reason`, a sentence for a person."""
        super().__init__(reason)
        self.reason = reason


class CouldNotCheck(Exception):  # noqa: N818  (the protocol's words)
    """There is no answer that may be relied on. Never to be shown as *no match*."""

    def __init__(self, reason: str) -> None:
        """Keep `reason`, one plain sentence for a person."""
        super().__init__(reason)
        self.reason = reason


def explain(error: Refused | Unreachable | CouldNotCheck | InvalidInput | KeyFileError) -> str:
    """Return one plain sentence for a person; it holds nothing that was received."""
    if isinstance(error, Unreachable | CouldNotCheck):
        return error.reason
    if isinstance(error, InvalidInput):
        return _INVALID.get(error.code, f"Something here is not valid ({error.code}).")
    if isinstance(error, KeyFileError):
        return str(error)
    if error.code == "rate-limited":
        return f"Too many requests for now. Try again {_later(error.retry_after)}."
    return _REFUSED.get(error.code, f"The instance refused this ({error.code}).")


@contextmanager
def or_could_not_check() -> Iterator[None]:
    """Turn whatever is refused or unreachable within into CouldNotCheck; usable on a function."""
    try:
        yield
    except (Refused, Unreachable, InvalidInput) as error:
        # Without its origin: the request, and with it the token, hang on that.
        raise CouldNotCheck(explain(error)) from None


def wrong_clock(ahead: timedelta) -> CouldNotCheck:
    """Name this device's clock as the cause; the server's is `ahead` of it, or behind."""
    hours = round(abs(ahead) / _HOUR)
    unit = "hour" if hours == 1 else "hours"
    return CouldNotCheck(
        f"This device's clock is wrong: it differs from the server's by about {hours} {unit}."
    )


def _later(seconds: int | None) -> str:
    if seconds is None:
        return "later"
    if seconds <= 60:  # noqa: PLR2004
        return "in a minute"
    minutes = -(-seconds // 60)
    if minutes <= 90:  # noqa: PLR2004
        return f"in {minutes} minutes"
    return f"in {-(-minutes // 60)} hours"
