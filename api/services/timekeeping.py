"""What time brings: publication in batches, expiry, sealing (PROTOCOL.md §§3, 6)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from api.errors import Conflict, Unavailable
from api.services.instance import Clock, Instance
from api.services.log import Log
from api.services.sealing import Sealer
from api.services.transitions import end, move, send_back
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import signatures_needed, standing_signers
from schemas.base import Severity
from schemas.documents import Envelope, Identity
from schemas.reports import Status
from schemas.tables import ReportRow

LEASE = "time"
LEASE_LIFE = timedelta(seconds=60)
ACTOR = "system"
A_TRANSACTION = 50
"""Reports that are published, or end, at once."""
AT_ONCE = 500
"""Of partners' reports whole days may expire at once: they go a few a round."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """How many reports one round published, sent back and expired, and buckets it sealed."""

    published: int = 0
    sent_back: int = 0
    expired: int = 0
    sealed: int = 0

    def counts(self) -> dict[str, int]:
        """Return the numbers by name."""
        return asdict(self)

    def __bool__(self) -> bool:
        """Tell whether anything was done."""
        return any(self.counts().values())


class Timekeeper:
    """Does the timed work, in the one process that holds the lease."""

    def __init__(
        self, store: Store, instance: Instance, log: Log, sealer: Sealer, clock: Clock, holder: str
    ) -> None:
        """`holder` names this process among those that share the database."""
        self._store = store
        self._instance = instance
        self._log = log
        self._sealer = sealer
        self._clock = clock
        self._holder = holder

    def run_once(self) -> Done | None:
        """Do what is due now; return None where another process does it."""
        now = self._clock()
        with self._store.begin() as tx:
            if not self._take_lease(tx, now):
                return None
            signing = self._log.may_append(tx, self._instance.refresh(tx))
            moment = int(now.timestamp())
            expired = [report.id for report in tx.reports.expired(f"{now:%Y-%m-%d}")]
            due = [report.id for report in tx.reports.due(moment)] if signing else []
            self._forget(tx, now)
        # First: what expired while nothing ran must not be published for a moment.
        ended = sum(_tried(self._expire, some, now) for some in _batches(expired))
        due = [report_id for report_id in due if report_id not in expired]
        published = sum(_tried(self._publish, some, now) for some in _batches(due))
        self._keep_log()
        with self._store.begin() as tx:
            # Renewing locks the lease's row, so two processes never seal at once.
            sealed = self._sealer.run(tx, now) if self._take_lease(tx, now) else 0
        return Done(published, len(due) - published, ended, sealed)

    def stop(self) -> None:
        """Give the lease back."""
        with self._store.begin() as tx:
            tx.leases.release(LEASE, self._holder)

    def _keep_log(self) -> None:
        """Erase what has expired, and sign the newest checkpoint at least daily."""
        with suppress(Unavailable), self._store.begin() as tx:
            identity = self._instance.refresh(tx)
            self._log.erase_expired(tx, identity)
            self._log.renew(tx, identity)

    def _take_lease(self, tx: Transaction, now: datetime) -> bool:
        until = int((now + LEASE_LIFE).timestamp())
        return tx.leases.take(LEASE, self._holder, int(now.timestamp()), until)

    def _forget(self, tx: Transaction, now: datetime) -> None:
        tx.receipts.forget(f"{now:%Y-%m-%d}")
        tx.reports.forget_recorded(f"{now:%Y-%m-%d}")
        tx.callers.forget_expired(int(now.timestamp()))
        tx.foreign.erase_expired(f"{now:%Y-%m-%d}", AT_ONCE)

    def _publish(self, report_ids: Sequence[str], now: datetime) -> int:
        """Publish the reports whose signers still suffice, send back the others; count the first.

        All come into the log together: in one transaction there is much that is done once.
        """
        published = []
        with self._store.begin() as tx:
            reports = tx.reports.locked(report_ids)
            # Only now: a revocation waits for those who may be about to be published.
            identity = self._instance.refresh(tx)
            for report in reports:
                if report.status != Status.APPROVED:
                    continue
                if _still_signed(report, identity):
                    move(tx, now, report, ACTOR, Status.PUBLISHED)
                    published.append(report)
                else:
                    send_back(tx, now, report, ACTOR)
            self._log.publish(tx, identity, published)
        return len(published)

    def _expire(self, report_ids: Sequence[str], now: datetime) -> int:
        ended = 0
        with self._store.begin() as tx:
            for report in tx.reports.locked(report_ids):
                if (report.expires or "") < f"{now:%Y-%m-%d}":
                    end(tx, now, report, ACTOR, Status.EXPIRED)
                    ended += 1
        return ended


def _batches(report_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(report_ids), A_TRANSACTION):
        yield report_ids[start : start + A_TRANSACTION]


def _tried(
    work: Callable[[Sequence[str], datetime], int], report_ids: Sequence[str], now: datetime
) -> int:
    """Do `work` on reports; what is wrong with one must not keep the others from being listed."""
    try:
        return work(report_ids, now)
    except Unavailable:
        raise
    except Exception as fault:  # noqa: BLE001  (whatever it is)
        if len(report_ids) > 1:  # then each by itself
            return sum(_tried(work, [one], now) for one in report_ids)
        if not isinstance(fault, Conflict):  # somebody was quicker
            log.critical("fault", kind=type(fault).__name__, work=work.__name__)
        return 0


def _still_signed(report: ReportRow, identity: Identity) -> bool:
    assert report.envelope is not None
    envelope = Envelope.model_validate_json(report.envelope)
    grave = Severity.DANGER in (report.severity, report.published_severity)
    needed = signatures_needed(identity, report.collective, danger=grave)
    return len(standing_signers(envelope, identity, report.collective)) >= needed
