"""The queue and the decisions about it, over HTTP (PROTOCOL.md §6)."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from api.client import Client, CouldNotCheck, Refused
from api.crypto.bearers import Invitation, format_invitation
from api.crypto.envelopes import key_id
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from api.crypto.sealing import seal_box_key
from api.moderating.checks import (
    Mismatch,
    box_key,
    compare_request,
    compare_tokens,
    first_retracted,
    first_signed,
    identifiers,
    plaintext,
    published_entry,
    standing,
)
from api.moderating.keys import ModeratorKeys
from api.trust import active_moderators, latest_expiry
from schemas.base import Category, Message, Severity, encode_base64
from schemas.callers import InvitationAnswer, InvitationRequest
from schemas.canonical import Document
from schemas.documents import (
    Envelope,
    Identity,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
)
from schemas.reports import (
    Account,
    Approval,
    ApprovalAnswer,
    Dispute,
    Merge,
    QueueItem,
    QueuePage,
    Rejection,
    RejectReason,
    Reseal,
    Retraction,
    Status,
    StatusAnswer,
    Warn,
)

REPORTS: Final = "/v1/moderation/reports"
PAGE: Final = 100

_Answer = TypeVar("_Answer", bound=Message)


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A report whose account she has read, and which was compared with it; made by `Desk.open`."""

    item: QueueItem
    identifiers: tuple[Identifier, ...]
    account: Account


class Docket:
    """What a moderator does with her bearer token alone: nothing here is signed.

    Every method raises Refused or Unreachable as `Client.call` does, and CouldNotCheck for an
    answer that is none.
    """

    def __init__(self, client: Client) -> None:
        """Work through `client`, whose profile is a moderator's."""
        self._client = client

    def queue(
        self, status: Status | None = None, token: bytes | None = None
    ) -> Iterator[QueueItem]:
        """Give her collective's reports, danger first, oldest first.

        By default those that are open; with `token`, those that hold it, in any status.
        """
        wanted = {"limit": str(PAGE)}
        if status is not None:
            wanted["status"] = status
        if token is not None:
            wanted["token"] = encode_base64(token)
        while True:
            response = self._client.call("GET", REPORTS, params=wanted)
            page = _read(QueuePage, response.content)
            for item in page.items:
                if token is not None and all(one.token != token for one in item.identifiers):
                    raise Mismatch("the instance shows a report about another identifier")
                yield item
            if page.next is None:
                return
            wanted["after"] = page.next

    def find(self, identifier: Identifier) -> Iterator[QueueItem]:
        """Give her collective's reports about `identifier`, in any status."""
        (token,) = self._client.tokens([identifier])
        return self.queue(token=token)

    def reject(self, report: str, reason: RejectReason) -> StatusAnswer:
        """End a report unpublished."""
        return self._decide(StatusAnswer, report, "reject", Rejection(reason=reason))

    def merge(self, report: str, into: str) -> StatusAnswer:
        """End a report as part of the report `into`, about the same identifier."""
        return self._decide(StatusAnswer, report, "merge", Merge(into=into))

    def release(self, report: str) -> StatusAnswer:
        """Take back what is pending: a dispute, or a decision that still lacks a signature."""
        return self._decide(StatusAnswer, report, "release", None)

    def invite(self, count: int = 1) -> list[tuple[str, str]]:
        """Return invitations for members, each with the id by which it can be ended.

        The line is put together here: from the instance comes only the code, and the address
        and the root are those that she trusts herself.
        """
        request = InvitationRequest(count=count).model_dump(mode="json")
        response = self._client.call("POST", "/v1/moderation/invitations", json=request)
        profile = self._client.profile
        return [
            (
                one.id,
                format_invitation(
                    Invitation(address=profile.address, code=one.code, root=profile.root)
                ),
            )
            for one in _read(InvitationAnswer, response.content).invitations
        ]

    def end_member(self, member: str) -> None:
        """End a member's token, or an unused code, by the id that `invite` gave with it."""
        self._client.call("DELETE", f"/v1/moderation/members/{member}")

    def _decide(
        self, kind: type[_Answer], report: str, decision: str, body: Message | None
    ) -> _Answer:
        members = None if body is None else body.model_dump(mode="json", exclude_none=True)
        response = self._client.call("POST", f"{REPORTS}/{report}/{decision}", json=members)
        return _read(kind, response.content)


class Desk(Docket):
    """What a moderator does with her keys: she reads, compares and signs.

    Beside what `Docket` raises, every method raises Mismatch, and then nothing was sent, where
    the instance shows anything else than what the reporter sealed or a colleague signed.
    """

    def __init__(
        self,
        client: Client,
        keys: ModeratorKeys,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Sign with `keys`; `clock()` gives the time (UTC), `chance(n)` n random bytes."""
        super().__init__(client)
        self._keys = keys
        self._today = lambda: clock().date()
        self._chance = chance

    @property
    def collective(self) -> str:
        """The id of her collective."""
        return self._client.profile.collective

    def open(self, item: QueueItem) -> Opened:
        """Read a report's account, and compare all that the instance shows with it.

        Colleagues who joined after the report came are then enabled to read it too.
        """
        identity = self._identity()
        key = box_key(item, self._keys)
        sealed = plaintext(item, key)
        compare_request(item, sealed.request, identity)
        found = identifiers(sealed)
        compare_tokens(item, found, self._client.tokens(found))
        self._reseal(item, key, identity)
        return Opened(item=item, identifiers=found, account=sealed.account)

    def proposed(self, opened: Opened) -> ReportDocument | None:
        """Return what a colleague has signed, and still lacks a second signature."""
        return first_signed(opened.item, self._identity(), self.collective, self._today())

    def approve(
        self,
        opened: Opened,
        categories: Sequence[Category] | None = None,
        severity: Severity | None = None,
        month: str | None = None,
    ) -> ApprovalAnswer:
        """Sign a report, or add her signature to exactly what a colleague has signed.

        What is not given is taken from there. A report whose reporter wants no warning is
        recorded, without a signature. Raises CouldNotCheck where nothing is left to publish, or
        a colleague has signed something else, or she has signed already.
        """
        item = opened.item
        if item.consent.warn in {Warn.STATISTICS, Warn.NONE}:
            return self._decide(ApprovalAnswer, item.id, "approve", Approval())
        identity = self._identity()
        first = first_signed(item, identity, self.collective, self._today())
        if first is None:
            document = self._document(item, identity, categories, severity, month)
            envelope = Envelope.around(document, [self._keys.signature(document)])
        else:
            assert item.envelope is not None
            asked = (_publishable(categories or first.categories), severity, month)
            if asked != (first.categories, severity and first.severity, month and first.month):
                raise CouldNotCheck("a colleague has signed otherwise: release it and sign anew")
            envelope = self._joined(item.envelope, first, identity)
        return self._decide(ApprovalAnswer, item.id, "approve", Approval(envelope=envelope))

    def dispute(self, item: QueueItem) -> ApprovalAnswer:
        """Hide an approved report while it is reviewed; for danger with two moderators."""
        envelope = self._retraction(item, RetractReason.DISPUTED)
        return self._decide(ApprovalAnswer, item.id, "dispute", Dispute(envelope=envelope))

    def retract(self, item: QueueItem, reason: RetractReason) -> ApprovalAnswer:
        """Take an approved report away for good; for danger with two moderators."""
        envelope = self._retraction(item, reason)
        return self._decide(ApprovalAnswer, item.id, "retract", Retraction(envelope=envelope))

    def _identity(self) -> Identity:
        """Return the identity in force, once she is sure to be in it."""
        identity = self._client.identity()
        mine = (self._keys.public_sign, self._keys.public_box)
        listed = active_moderators(identity, self.collective)
        if mine not in {(one.sign, one.box) for one in listed}:
            raise CouldNotCheck("your keys are not among the moderators that the operator signed")
        return identity

    def _document(
        self,
        item: QueueItem,
        identity: Identity,
        categories: Sequence[Category] | None,
        severity: Severity | None,
        month: str | None,
    ) -> ReportDocument:
        severity, month = severity or item.severity, month or item.month
        return ReportDocument(
            origin=identity.origin,
            collective=self.collective,
            rid=self._chance(16).hex(),
            issued=f"{self._today()}",
            expires=f"{latest_expiry(month, severity)}",
            categories=_publishable(categories or item.categories),
            severity=severity,
            month=month,
            network=identity.network,
            epoch=identity.epoch,
            identifiers=tuple(
                ReportedIdentifier(kind=one.kind, token=one.token) for one in item.identifiers
            ),
            replaces=item.replaces,
        )

    def _retraction(self, item: QueueItem, reason: RetractReason) -> Envelope:
        identity = self._identity()
        target = published_entry(item, identity, self.collective)
        first = first_retracted(item, (target, reason), identity, self.collective, self._today())
        if first is not None:
            assert item.retraction is not None
            return self._joined(item.retraction, first, identity)
        document = Retract(
            origin=identity.origin,
            collective=self.collective,
            rid=self._chance(16).hex(),
            target=target,
            reason=reason,
            issued=f"{self._today()}",
        )
        return Envelope.around(document, [self._keys.signature(document)])

    def _joined(self, envelope: Envelope, document: Document, identity: Identity) -> Envelope:
        """Return a colleague's envelope with this moderator's signature added."""
        before = standing(envelope, identity, self.collective)
        if any(one.keyid == self._keys.kid for one in before):
            raise CouldNotCheck("you have signed this already: it needs a colleague")
        return Envelope.around(document, [*before, self._keys.signature(document)])

    def _reseal(self, item: QueueItem, key: bytes, identity: Identity) -> None:
        readers = {one.kid for one in item.sealed.keys}
        for colleague in active_moderators(identity, self.collective):
            kid = key_id(colleague.sign)
            if kid in readers:
                continue
            try:
                reseal = Reseal(kid=kid, sealed=seal_box_key(key, colleague.box))
                self._decide(StatusAnswer, item.id, "reseal", reseal)
            except InvalidInput:
                continue  # her key is none: that must not keep the others from reading
            except Refused as refusal:
                # Somebody else was faster, or the report has ended meanwhile.
                if refusal.code != "conflict":
                    raise


def _publishable(categories: Sequence[Category]) -> tuple[Category, ...]:
    chosen = tuple(sorted(set(categories) - {Category.OTHER}))
    if not chosen:
        raise CouldNotCheck("“other” is not published: choose a category")
    return chosen


def _read(kind: type[_Answer], content: bytes) -> _Answer:
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise CouldNotCheck("the instance's answer is none") from None
