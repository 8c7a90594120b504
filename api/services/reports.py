"""Filing a report, following it, withdrawing it (PROTOCOL.md §6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from api.crypto.buckets import bucket_word
from api.crypto.envelopes import key_id
from api.crypto.receipts import (
    body_digest,
    receipt,
    receipt_digest,
    receipt_secret,
    reporter_tag,
)
from api.crypto.ristretto import element
from api.crypto.sealing import seal_account
from api.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PlainLookupsDisabled,
    StaleEpoch,
    Unavailable,
)
from api.services.instance import Chance, Clock, Instance, hour_from, to_the_hour
from api.services.log import Log
from api.services.quotas import Quotas
from api.services.serving import Held
from api.services.stretching import Stretching, canonical
from api.services.transitions import end
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import active_moderators, latest_expiry, moderators_of
from schemas.base import Kind, Severity
from schemas.callers import Caller
from schemas.documents import EraseReason, Identity
from schemas.reports import (
    MOST_PLAINTEXT,
    PlainSubmission,
    ReceiptAnswer,
    ReceiptQuery,
    ReportRequest,
    SealedAccount,
    SealedPlaintext,
    SealedSubmission,
    Status,
    StatusAnswer,
    TokenIdentifier,
)
from schemas.tables import (
    AuditRow,
    IdentifierRow,
    ReportRow,
)

RANKS = {Severity.DANGER: 0, Severity.RISK: 1, Severity.NUISANCE: 2}
"""The order of the queue: danger first."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A submission with its tokens made, or checked, and its account sealed."""

    request: ReportRequest
    sealed: SealedAccount


class Reports:
    """Each public method is one transaction. No method keeps a bearer or a receipt."""

    def __init__(
        self, store: Store, instance: Instance, log: Log, quotas: Quotas, stretching: Stretching,
        clock: Clock, chance: Chance, *, plain: bool,
    ) -> None:  # fmt: skip
        """Take reports in clear only where `plain` says so."""
        self._store = store
        self._instance = instance
        self._log = log
        self._quotas = quotas
        self._stretching = stretching
        self._clock = clock
        self._chance = chance
        self._plain = plain

    def submit(
        self, submission: SealedSubmission | PlainSubmission, body: bytes, caller: Caller
    ) -> ReceiptAnswer:
        """Keep a report for the moderators of the caller's collective; return its receipt.

        `body` is the request as it came: the same again gives the same receipt and stores
        nothing, another one under the same `request_id` raises Conflict.
        """
        bearer = caller.bearer.get_secret_value()
        rk = receipt_secret(bearer)
        digits = receipt(self._instance.receipt_key, rk, bytes.fromhex(submission.request_id))
        digest = receipt_digest(self._instance.receipt_key, digits)
        with self._store.read() as tx:
            held = self._instance.held(tx)
            known = self._is_known(tx, digest, body_digest(rk, body))
        if not known:
            self._check(submission, held.identity)
            draft = self._draft(submission, held, caller)
            with self._store.begin() as tx:
                self._keep(tx, draft, caller, digest, body_digest(rk, body))
        return ReceiptAnswer(receipt=digits)

    def status(self, query: ReceiptQuery) -> StatusAnswer:
        """Tell where the report of a receipt stands; raise NotFound for any other receipt."""
        digest = self._digest(query)
        with self._store.read() as tx:
            status = tx.receipts.status(digest)
        if status is None:
            raise self._wrong()
        return StatusAnswer(status=Status(status))

    def withdraw(self, query: ReceiptQuery) -> StatusAnswer:
        """Take a report back, at any time; raise Conflict where it has ended otherwise."""
        digest = self._digest(query)
        now = self._clock()
        with self._store.begin() as tx:
            row = tx.receipts.find(digest)
            report = tx.reports.find(row.report) if row and row.report else None
            if report is not None:
                identity = self._instance.refresh(tx)
                end(tx, now, report, "reporter", Status.WITHDRAWN)
                self._log.erase(tx, identity, report.id, EraseReason.REPORTER_REQUEST)
                return StatusAnswer(status=Status.WITHDRAWN)
            # Read again: it may have ended while we waited for its row.
            row = tx.receipts.find(digest)
            if row is None:
                raise self._wrong()
            if row.report and row.forget_after and tx.reports.unrecord(row.report):
                tx.receipts.close(row.report, Status.WITHDRAWN, row.forget_after, linked=False)
            elif not tx.receipts.is_closed(digest, Status.WITHDRAWN):
                raise Conflict
        return StatusAnswer(status=Status.WITHDRAWN)

    def _is_known(self, tx: Transaction, digest: bytes, body: bytes) -> bool:
        row = tx.receipts.find(digest)
        if row is not None and row.body not in (None, body):
            raise Conflict
        return row is not None

    def _check(self, submission: SealedSubmission | PlainSubmission, identity: Identity) -> None:
        today = self._clock().date()
        if submission.epoch != identity.epoch:
            raise StaleEpoch(epoch=identity.epoch)
        if submission.month > f"{today:%Y-%m}":
            raise InvalidRequest
        if latest_expiry(submission.month, submission.severity) < today:
            raise InvalidRequest

    def _draft(
        self, submission: SealedSubmission | PlainSubmission, held: Held, caller: Caller
    ) -> _Draft:
        if isinstance(submission, PlainSubmission):
            return self._translated(submission, held, caller)
        identity = held.identity
        for identifier in submission.identifiers:
            element(identifier.token)
        theirs = {key_id(one.sign) for one in moderators_of(identity, caller.collective)}
        readers = {key_id(one.sign) for one in active_moderators(identity, caller.collective)}
        kids = {key.kid for key in submission.sealed.keys}
        if not kids <= theirs or kids.isdisjoint(readers):
            raise Conflict
        self._quotas.file(caller)
        fields = submission.model_dump(exclude={"sealed"})
        return _Draft(ReportRequest.model_validate(fields), submission.sealed)

    def _translated(self, submission: PlainSubmission, held: Held, caller: Caller) -> _Draft:
        """Do for a caller without cryptography what a client does for itself."""
        if not self._plain:
            raise PlainLookupsDisabled
        readers = active_moderators(held.identity, caller.collective)
        if not readers:
            raise Unavailable
        identifiers = list(dict.fromkeys(canonical(given) for given in submission.identifiers))
        with self._stretching.places(len(identifiers)):
            self._quotas.file(caller, len(identifiers))
            tokens = self._stretching.tokens(identifiers, held.identity, held.evaluator)
        fields = submission.model_dump(exclude={"identifiers", "account"})
        request = ReportRequest(
            identifiers=[
                TokenIdentifier(kind=Kind(one.kind), token=token)
                for one, token in zip(identifiers, tokens, strict=True)
            ],
            **fields,
        )
        plaintext = SealedPlaintext(
            request=request,
            canonical=[SecretStr(one.canonical) for one in identifiers],
            account=submission.account,
        ).encode()
        if len(plaintext) > MOST_PLAINTEXT:
            raise InvalidRequest
        boxes = {key_id(one.sign): one.box for one in readers}
        parts = seal_account(plaintext, boxes, self._chance)
        return _Draft(request, SealedAccount.of(parts.nonce, parts.box, parts.keys))

    def _keep(
        self, tx: Transaction, draft: _Draft, caller: Caller, digest: bytes, body: bytes
    ) -> None:
        # Held: the key must not change between here and what is stored under it.
        tx.collectives.hold_identity()
        request, identity, now = draft.request, self._instance.refresh(tx), self._clock()
        if request.epoch != identity.epoch:
            raise StaleEpoch(epoch=identity.epoch)
        report_id = self._chance(16).hex()
        if not tx.receipts.add(digest, report_id, body):
            # Another request of the same caller came first; it is that one, or a conflict.
            self._is_known(tx, digest, body)
            return
        bearer = caller.bearer.get_secret_value()
        report = ReportRow(
            id=report_id,
            collective=caller.collective,
            status=Status.SUBMITTED,
            categories=",".join(request.categories),
            severity=request.severity,
            rank=RANKS[request.severity],
            month=request.month,
            warn=request.consent.warn,
            police=request.consent.police,
            research=request.consent.research,
            wait_days=request.wait_days,
            request_id=request.request_id,
            sealed=draft.sealed.model_dump_json(),
            submitted_at=to_the_hour(now),
            not_before=_not_before(now, request.wait_days),
            expires=f"{latest_expiry(request.month, request.severity)}",
        )
        tx.reports.add(
            report,
            [
                IdentifierRow(
                    report=0,
                    position=position,
                    kind=one.kind,
                    token=one.token,
                    word=bucket_word(one.token, identity.network, identity.epoch),
                    tag=reporter_tag(bearer, one.token),
                )
                for position, one in enumerate(request.identifiers)
            ],
        )
        tx.audit.add(
            AuditRow(
                at=to_the_hour(now), collective=caller.collective, subject=report_id,
                actor="reporter", after=Status.SUBMITTED,
            )
        )  # fmt: skip

    def _digest(self, query: ReceiptQuery) -> bytes:
        return receipt_digest(self._instance.receipt_key, query.receipt.get_secret_value())

    def _wrong(self) -> NotFound:
        self._quotas.guess()
        return NotFound()


def _not_before(now: datetime, wait_days: int) -> int:
    # Without waiting days it would be the time of submission: that is kept to the hour only.
    return hour_from(now + timedelta(days=wait_days)) if wait_days else to_the_hour(now)
