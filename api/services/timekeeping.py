"""What time brings: publication in batches, expiry, sealing (PROTOCOL.md §§3, 6)."""

from collections.abc import Callable
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
from schemas.documents import Envelope
from schemas.reports import Status
from schemas.tables import ReportRow

LEASE = "time"
LEASE_LIFE = timedelta(seconds=60)
ACTOR = "system"
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
        ended = sum(_tried(self._expire, report_id, now) for report_id in expired)
        due = [report_id for report_id in due if report_id not in expired]
        published = sum(_tried(self._publish, report_id, now) for report_id in due)
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

    def _publish(self, report_id: str, now: datetime) -> bool:
        """Publish a report if its signers still suffice, else send it back to review."""
        with self._store.begin() as tx:
            report = tx.reports.find(report_id)
            if report is None or report.status != Status.APPROVED:
                return False
            enough = self._still_signed(tx, report)
            if enough:
                move(tx, now, report, ACTOR, Status.PUBLISHED)
                self._log.publish(tx, self._instance.refresh(tx), report)
            else:
                send_back(tx, now, report, ACTOR)
        return enough

    def _still_signed(self, tx: Transaction, report: ReportRow) -> bool:
        identity = self._instance.refresh(tx)
        assert report.envelope is not None
        envelope = Envelope.model_validate_json(report.envelope)
        grave = Severity.DANGER in (report.severity, report.published_severity)
        needed = signatures_needed(identity, report.collective, danger=grave)
        return len(standing_signers(envelope, identity, report.collective)) >= needed

    def _expire(self, report_id: str, now: datetime) -> bool:
        try:
            with self._store.begin() as tx:
                report = tx.reports.find(report_id)
                if report is None or (report.expires or "") >= f"{now:%Y-%m-%d}":
                    return False
                end(tx, now, report, ACTOR, Status.EXPIRED)
        except Conflict:
            return False
        return True


def _tried(work: Callable[[str, datetime], bool], report_id: str, now: datetime) -> bool:
    """Do `work` on one report; what is wrong with it must not keep the others from being listed."""
    try:
        return work(report_id, now)
    except Unavailable:
        raise
    except Exception as fault:  # noqa: BLE001  (whatever it is)
        log.critical("fault", kind=type(fault).__name__, work=work.__name__)
        return False
