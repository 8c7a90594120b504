"""What a moderator does with her keys (PROTOCOL.md §6)."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.client import Client, CouldNotCheck, Refused
from api.crypto.envelopes import entry_id, key_id
from api.crypto.identifiers import Identifier
from api.crypto.sealing import seal_box_key
from api.moderating.checks import (
    box_key,
    check_replaced,
    compare_request,
    compare_tokens,
    first_retracted,
    first_signed,
    identifiers,
    plaintext,
    published_report,
    standing,
)
from api.moderating.docket import Docket
from api.moderating.keys import ModeratorKeys
from api.trust import active_moderators, latest_expiry
from schemas.base import Category, Severity
from schemas.canonical import Document
from schemas.documents import (
    Envelope,
    Identity,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
)
from schemas.moderation import Approval, ApprovalAnswer, Dispute, QueueItem, Reseal, Retraction
from schemas.reports import Account, Status, StatusAnswer, Warn

OPEN: Final = frozenset({Status.SUBMITTED, Status.IN_REVIEW})

_OTHERWISE: Final = "A colleague has signed something else: agree, or release it and sign anew."
_KEY_CHANGED: Final = "The network's key has changed: open the report again."
_NOT_LISTED: Final = "Your keys are not among those the operator signed for your collective."


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A report whose account she has read, and which was compared with it; made by `Desk.open`."""

    item: QueueItem
    identifiers: tuple[Identifier, ...]
    account: Account


class Desk(Docket):
    """What a moderator does with her keys: she reads, compares and signs.

    Beside what `Docket` raises, every method raises CouldNotCheck; that is a Mismatch, and no
    decision was sent, where the instance shows anything else than what the reporter sealed or a
    colleague signed.
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
        self._clock = clock
        self._chance = chance

    @property
    def collective(self) -> str:
        """The id of her collective. Raises CouldNotCheck for a profile without one."""
        if self.client.profile.collective is None:
            raise CouldNotCheck("Your profile names no collective: join again.")
        return self.client.profile.collective

    def open(self, item: QueueItem) -> Opened:
        """Read a report's account, and compare all that the instance shows with it."""
        key = box_key(item, self._keys)
        sealed = plaintext(item, key)
        found = identifiers(sealed)
        tokens = self.client.tokens(found)
        # Asked for after the tokens, it is the identity under which they were made.
        identity = self._identity(item)
        if item.epoch < identity.epoch:
            raise CouldNotCheck(_KEY_CHANGED)
        compare_request(item, sealed.request, identity)
        compare_tokens(item, found, tokens)
        return Opened(item=item, identifiers=found, account=sealed.account)

    def excluded(self, item: QueueItem) -> tuple[Moderator, ...]:
        """Return the active colleagues who cannot read a report: they joined after it came."""
        readers = {one.kid for one in item.sealed.keys}
        listed = active_moderators(self._identity(), self.collective)
        return tuple(one for one in listed if key_id(one.sign) not in readers)

    def reseal(self, item: QueueItem, colleague: Moderator) -> bool:
        """Let a colleague read a report too; tell whether she could not yet.

        Only for whoever is known to be one, by her keys' words: the operator alone says who is
        listed. Raises Mismatch where this moderator cannot read it herself.
        """
        key = box_key(item, self._keys)
        sealed = Reseal(kid=key_id(colleague.sign), sealed=seal_box_key(key, colleague.box))
        try:
            self.decide(StatusAnswer, item.id, "reseal", sealed)
        except Refused as refusal:
            # Somebody else was faster, or the report has ended meanwhile.
            if refusal.code != "conflict":
                raise
            return False
        return True

    def signed(self, opened: Opened) -> ReportDocument | None:
        """Return what a colleague has signed of a report, alone or with others, if one has."""
        item = opened.item
        identity = self._identity(item)
        if item.status in OPEN:
            return first_signed(item, identity, self.collective, self._clock().date())
        return published_report(item, item.envelope, identity, self.collective)

    def approve(
        self,
        opened: Opened,
        categories: Sequence[Category] | None = None,
        severity: Severity | None = None,
        month: str | None = None,
    ) -> ApprovalAnswer:
        """Sign a report, or add her signature to exactly what a colleague has signed.

        What is not given is taken from there. A report whose reporter wants no warning is
        recorded, without a signature. Where the network's key has changed since she read it, the
        same is compared and signed once more. Raises CouldNotCheck where nothing is left to
        publish, or a colleague has signed something else, or she has signed already.
        """
        item = opened.item
        if item.consent.warn in {Warn.STATISTICS, Warn.NONE}:
            return self.decide(ApprovalAnswer, item.id, "approve", Approval())
        identity = self._identity(item)
        first = None
        if item.epoch == identity.epoch:
            check_replaced(item, identity, self.collective)
            first = first_signed(item, identity, self.collective, self._clock().date())
            try:
                return self._approve(item, identity, first, categories, severity, month)
            except Refused as refusal:
                if refusal.code != "wrong-epoch":
                    raise
        item = self._reopened(opened).item
        identity = self._identity(item)
        if first is not None:
            categories, severity, month = first.categories, first.severity, first.month
        check_replaced(item, identity, self.collective)
        first = first_signed(item, identity, self.collective, self._clock().date())
        return self._approve(item, identity, first, categories, severity, month)

    def _approve(
        self,
        item: QueueItem,
        identity: Identity,
        first: ReportDocument | None,
        categories: Sequence[Category] | None,
        severity: Severity | None,
        month: str | None,
    ) -> ApprovalAnswer:
        if first is None:
            document = self._document(item, identity, categories, severity, month)
            envelope = Envelope.around(document, [self._keys.signature(document)])
        else:
            assert item.envelope is not None
            wanted = categories and _publishable(categories)
            signed = ((wanted, first.categories), (severity, first.severity), (month, first.month))
            if any(one and one != other for one, other in signed):
                raise CouldNotCheck(_OTHERWISE)
            envelope = self._joined(item, item.envelope, first, identity)
        return self.decide(ApprovalAnswer, item.id, "approve", Approval(envelope=envelope))

    def dispute(self, item: QueueItem) -> ApprovalAnswer:
        """Hide an approved report while it is reviewed; for danger with two moderators."""
        envelope = self._retraction(item, RetractReason.DISPUTED)
        return self.decide(ApprovalAnswer, item.id, "dispute", Dispute(envelope=envelope))

    def retract(self, item: QueueItem, reason: RetractReason) -> ApprovalAnswer:
        """Take an approved report away for good; for danger with two moderators."""
        envelope = self._retraction(item, reason)
        return self.decide(ApprovalAnswer, item.id, "retract", Retraction(envelope=envelope))

    def _reopened(self, opened: Opened) -> Opened:
        """Return a report that she has read as it is under the network's new key.

        Raises CouldNotCheck unless it is the very same.
        """
        self.client.forget()
        for item in self.queue():
            if item.id == opened.item.id and item.sealed.box == opened.item.sealed.box:
                return self.open(item)
        raise CouldNotCheck(_KEY_CHANGED)

    def _identity(self, shown: QueueItem | None = None) -> Identity:
        """Return the identity in force, once she is sure to be in it.

        Where `shown` is of a later epoch, the one that was fetched before is no longer.
        """
        identity = self.client.identity()
        if shown is not None and shown.epoch > identity.epoch:
            self.client.forget()
            identity = self.client.identity()
        mine = (self._keys.public_sign, self._keys.public_box)
        listed = active_moderators(identity, self.collective)
        if mine not in {(one.sign, one.box) for one in listed}:
            raise CouldNotCheck(_NOT_LISTED)
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
            issued=f"{self._clock().date()}",
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
        identity = self._identity(item)
        report = published_report(item, item.envelope, identity, self.collective)
        target = entry_id(report.payload_type, report.encode())
        first = first_retracted(
            item, (target, reason), identity, self.collective, self._clock().date()
        )
        if first is not None:
            assert item.retraction is not None
            return self._joined(item, item.retraction, first, identity)
        document = Retract(
            origin=identity.origin,
            collective=self.collective,
            rid=self._chance(16).hex(),
            target=target,
            reason=reason,
            issued=f"{self._clock().date()}",
        )
        return Envelope.around(document, [self._keys.signature(document)])

    def _joined(
        self, item: QueueItem, envelope: Envelope, document: Document, identity: Identity
    ) -> Envelope:
        """Return what is signed already with this moderator's signature added."""
        before = standing(envelope, identity, self.collective)
        others = [one for one in before if one.keyid != self._keys.kid]
        # Her own may have become enough since: a colleague has ended.
        if len(others) < len(before) < item.needed:
            raise CouldNotCheck("You have signed this already: a colleague must, too.")
        return Envelope.around(document, [*others, self._keys.signature(document)])


def _publishable(categories: Sequence[Category]) -> tuple[Category, ...]:
    chosen = tuple(sorted(set(categories) - {Category.OTHER}))
    if not chosen:
        raise CouldNotCheck("“other” is never published: choose a category.")
    return chosen
