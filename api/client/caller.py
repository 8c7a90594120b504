"""The client: looking up without telling whom, and reporting (PROTOCOL.md §§3, 6)."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

import httpx2

from api.client.clocks import Clock, utc_now
from api.client.failures import (
    NO_INSTANCE,
    CouldNotCheck,
    Refused,
    Unreachable,
    or_could_not_check,
)
from api.client.identities import fetch_identity, pinned, refuse_substitutes
from api.client.lookup import Buckets, Chance, derive_tokens, look_up_plainly
from api.client.profile import Profile
from api.client.reports import Report, check_month, sealed_report
from api.client.session import Session, understood
from api.crypto.buckets import Counts
from api.crypto.identifiers import Identifier
from api.trust import check_current
from schemas.documents import Identity
from schemas.lookups import NetworkInfo
from schemas.reports import ReceiptAnswer

_STALE = frozenset({"stale-epoch", "stale-layout"})
_RECEIPT_DIGITS = 16

T = TypeVar("T")


class Client:
    """One caller at one instance; to be closed, best by `with`. Not for several threads at once.

    The methods of a look-up raise CouldNotCheck and nothing else for what others do.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Clock = utc_now,
        chance: Chance = os.urandom,
        transport: httpx2.BaseTransport | None = None,
        remember: Callable[[Profile], None] | None = None,
    ) -> None:
        """Act as `profile`; `remember` is given each profile with a newer pin, to be saved.

        `clock()` is an aware datetime, `chance(n)` n random bytes; `transport` stands in for the
        network. Raises Unreachable where the environment names a proxy that can't be used.
        """
        self.profile = profile
        self._chance = chance
        self._clock = clock
        self._remember = remember
        self._session = Session(profile.address, profile.token, clock, transport)
        self._buckets = Buckets(self._session)
        self._identity: Identity | None = None
        self._network: NetworkInfo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx2.Response:
        """Send any request as the bearer; return an answer of status 2xx or 304.

        Raises Refused and Unreachable.
        """
        return self._session.call(
            method, path, json=json, content=content, headers=headers, params=params
        )

    @or_could_not_check()
    def identity(self) -> Identity:
        """Return the instance's identity, fetched and verified once, and still in force.

        Raises CouldNotCheck.
        """
        return self._current_identity()

    @or_could_not_check()
    def tokens(self, identifiers: Sequence[Identifier]) -> list[bytes]:
        """Return the token of each identifier (§3 steps 1 to 3); raises CouldNotCheck."""
        return self._again_if_stale(lambda: self._tokens(identifiers))

    @or_could_not_check()
    def check(self, identifiers: Sequence[Identifier]) -> list[Counts | None]:
        """Return what the list says about each identifier, None where it says nothing (§3).

        Raises CouldNotCheck.
        """
        return self._again_if_stale(lambda: self._check(identifiers))

    @or_could_not_check()
    def check_plainly(self, identifiers: Sequence[Identifier]) -> list[Counts | None]:
        """Ask the same in clear (§4): the instance sees the identifiers. Raises CouldNotCheck."""
        return look_up_plainly(self._session, identifiers)

    def report(self, report: Report, *, again: Callable[[], bool] = lambda: False) -> str:
        """Seal and send a report; return its receipt, 16 digits.

        Raises as `prepare` and `file` do.
        """
        return self._again_if_stale(lambda: self.file(self.prepare(report), again=again))

    def prepare(self, report: Report) -> bytes:
        """Return the body of a report, for `file`.

        Raises CouldNotCheck, InvalidInput `future-dated`, `expired` or `account-too-long`;
        ValueError for a report that breaks a rule of its form.
        """
        check_month(report.month, report.severity, self._clock().date())
        tokens = self.tokens(report.identifiers)
        collective = self.profile.collective or ""
        return sealed_report(report, self.identity(), collective, tokens, self._chance)

    def file(self, body: bytes, *, again: Callable[[], bool] = lambda: False) -> str:
        """Send a prepared report; return its receipt.

        Where no answer comes the same bytes are sent once more, and then for as long as `again()`
        says so: the instance keeps one report, and gives the same receipt.
        Raises Refused and Unreachable.
        """
        with contextlib.suppress(Unreachable):
            return self._file(body)
        while True:
            try:
                return self._file(body)
            except Unreachable:
                if not again():
                    raise

    def _file(self, body: bytes) -> str:
        answer = understood(ReceiptAnswer, self.call("POST", "/v1/reports", content=body))
        if len(answer.receipt) != _RECEIPT_DIGITS or not answer.receipt.isdecimal():
            raise Unreachable(NO_INSTANCE)
        return answer.receipt

    def _current_identity(self) -> Identity:
        identity = self._identity
        if identity is not None:
            # A program may hold a client for longer than an identity lasts.
            self._session.dated(lambda now: check_current(identity, now))
            return identity
        fetched = fetch_identity(self._session, self.profile)
        profile = pinned(self.profile, fetched)
        if profile != self.profile and self._remember is not None:
            self._remember(profile)
        self.profile = profile
        self._identity = fetched
        return fetched

    def _current_network(self) -> tuple[Identity, NetworkInfo]:
        """Return the identity, and a description of the network that agrees with it."""
        identity, info = self._current_identity(), self._network
        if info is None:
            info = self._session.message(NetworkInfo, "GET", "/v1/network")
        try:
            refuse_substitutes(info, identity)
        except CouldNotCheck:
            # The operator may have signed a new identity since: once, look.
            self.forget()
            identity = self._current_identity()
            info = self._session.message(NetworkInfo, "GET", "/v1/network")
            refuse_substitutes(info, identity)
        self._network = info
        return identity, info

    def _tokens(self, identifiers: Sequence[Identifier]) -> list[bytes]:
        identity = self._current_identity()
        return list(derive_tokens(self._session, identity, identifiers, self._chance))

    def _check(self, identifiers: Sequence[Identifier]) -> list[Counts | None]:
        identity, info = self._current_network()
        tokens = self._tokens(identifiers)
        return self._buckets.find(identity, info.buckets.bits, tokens)

    def _again_if_stale(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Refused as refused:
            if refused.code not in _STALE:
                raise
        self.forget()
        return work()

    def forget(self) -> None:
        """Ask for identity and network anew when they are needed next: they have changed."""
        self._identity = self._network = None
        self._buckets.forget()
