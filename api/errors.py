"""Refusals that a caller may see (PROTOCOL.md §10).

Refusal
├── InvalidRequest         422  invalid-request
│   └── Unreadable         400  invalid-request
├── InvalidIdentifier      422  invalid-identifier
├── InvalidElement         422  invalid-element
├── RefusedEntry           422  an entry code: malformed, bad-signature, too-few-signatures, …
├── Unauthenticated        401  unauthenticated
├── Forbidden              403  forbidden
├── PlainLookupsDisabled   403  plain-lookups-disabled
├── NotFound               404  not-found
├── TooSlow                408  too-slow
├── Conflict               409  conflict
├── StaleEpoch             409  stale-epoch
├── StaleLayout            409  stale-layout
├── TooLarge               413  too-large
├── UnsupportedMediaType   415  unsupported-media-type
├── RateLimited            429  rate-limited
├── HeaderTooLarge         431  header-too-large
├── Unavailable            503  unavailable
└── RefusedFeed            4xx  a feed code: not-a-partner, cursor-in-future, …
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

ENTRY_CODES = frozenset(
    {
        "bad-signature", "unknown-key", "too-few-signatures", "foreign-origin", "wrong-network",
        "wrong-epoch", "duplicate", "malformed", "not-yours", "future-dated", "expiry-too-long",
        "expired", "unsupported",
    }
)  # fmt: skip
"""Why a signed document is not taken."""


class Refusal(Exception):  # noqa: N818  (the field's word; most of these are nobody's error)
    """A refusal with a stable `code`. Neither it nor its members repeat what was sent."""

    status: int = 500
    code: str = "internal"
    title: ClassVar[str] = "Something went wrong here."

    def __init__(self, **members: str | int) -> None:
        """Add `members` to the problem document, beside type, title, status and code."""
        super().__init__(self.code)
        self.members = members


class InvalidRequest(Refusal):
    """The request is not of the form that the protocol asks for."""

    status = 422
    code = "invalid-request"
    title = "The request is not of the right form."


class Unreadable(InvalidRequest):
    """What came is not HTTP, or could be read in more than one way."""

    status = 400
    title = "The request could not be read."


class InvalidIdentifier(Refusal):
    """A phone number or e-mail address that has no canonical form."""

    status = 422
    code = "invalid-identifier"
    title = "This is not a phone number or e-mail address that can be checked."


class InvalidElement(Refusal):
    """Not the canonical encoding of a valid, non-identity group element."""

    status = 422
    code = "invalid-element"
    title = "An element is not a valid point."


class RefusedEntry(Refusal):
    """A signed document that does not hold; `code` is one of `ENTRY_CODES`."""

    status = 422
    title = "The signed document was refused."

    def __init__(self, code: str) -> None:
        """Refuse with the entry code `code`."""
        assert code in ENTRY_CODES
        self.code = code
        super().__init__()


class Unauthenticated(Refusal):
    """No bearer token, or none that is known."""

    status = 401
    code = "unauthenticated"
    title = "A valid token is needed."


class Forbidden(Refusal):
    """The token is known, but its role does not allow this."""

    status = 403
    code = "forbidden"
    title = "This token does not allow that."


class PlainLookupsDisabled(Refusal):
    """The operator has switched plain look-ups off."""

    status = 403
    code = "plain-lookups-disabled"
    title = "This instance answers private look-ups only."


class NotFound(Refusal):
    """There is no such thing, or none that this caller may know of."""

    status = 404
    code = "not-found"
    title = "There is nothing here."


class TooSlow(Refusal):
    """A request that did not come whole in time."""

    status = 408
    code = "too-slow"
    title = "The request did not come in time."


class Conflict(Refusal):
    """The thing is no longer, or not yet, in a state that allows this."""

    status = 409
    code = "conflict"
    title = "The state of this has changed."


class StaleEpoch(Refusal):
    """Asked for an epoch that is not the current one."""

    status = 409
    code = "stale-epoch"
    title = "The network has moved to another epoch."


class StaleLayout(Refusal):
    """Asked for a bucket of a layout that is not the current one."""

    status = 409
    code = "stale-layout"
    title = "The buckets have another layout now."


class TooLarge(Refusal):
    """A body of more bytes than any request needs."""

    status = 413
    code = "too-large"
    title = "The body is too large."


class UnsupportedMediaType(Refusal):
    """A body that is not said to be JSON."""

    status = 415
    code = "unsupported-media-type"
    title = "The body is of a kind that is not taken."


class RateLimited(Refusal):
    """Over a quota; `retry_after` says for how many seconds."""

    status = 429
    code = "rate-limited"
    title = "Too many requests for now."

    def __init__(self, retry_after: int) -> None:
        """Tell the caller to wait `retry_after` seconds."""
        super().__init__()
        self.retry_after = retry_after


class HeaderTooLarge(Refusal):
    """A head, which is address and header fields, longer than any request needs."""

    status = 431
    code = "header-too-large"
    title = "The address or the header fields are too large."


class Unavailable(Refusal):
    """Something this instance needs does not answer. Never to be read as *no match*."""

    status = 503
    code = "unavailable"
    title = "This cannot be answered now."


FEED_CODES: Mapping[str, int] = MappingProxyType(
    {
        "bad-signature": 401,
        "clock-skew": 401,
        "not-a-partner": 403,
        "partner-blocked": 403,
        "unknown-log": 404,
        "cursor-in-future": 409,
        "log-closed": 410,
        "limit-too-large": 400,
    }
)
"""Why a partner's request is not answered, and the status of each."""


class RefusedFeed(Refusal):
    """A partner's request that is not answered; `code` is one of `FEED_CODES`."""

    title = "The feed does not answer this request."

    def __init__(self, code: str) -> None:
        """Refuse with the feed code `code`."""
        self.code = code
        self.status = FEED_CODES[code]
        super().__init__()


class PartnerFailure(Exception):  # noqa: N818  (a partner's, mostly)
    """A partner could not be asked, or did not answer as it must. For our operator only.

    `code` is one of ours (`unreachable`, `too-large`, `bad-answer`, or `stopped` when it was us
    who gave up) or, of a problem that was answered, one of PROTOCOL.md §10; no other word of a
    partner is ever kept. `status` is the HTTP status if one came, and `retry_after` the seconds
    that we are asked to wait.
    """

    def __init__(
        self, code: str, *, retry_after: int | None = None, status: int | None = None
    ) -> None:
        """Remember what happened, in words of our own."""
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after
        self.status = status
