"""Whether this process can answer, and what an operator should look at."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.errors import Unavailable
from api.services.instance import Clock, Instance
from api.services.positions import FOLLOWING, QUARANTINED, WAITING
from api.services.queue import is_overdue
from api.services.rosters import has_unannounced_ends
from api.services.timekeeping import LEASE, LEASE_LIFE
from api.services.transitions import OPEN
from api.store.engine import Store
from api.store.schema import HEAD
from api.store.transaction import Transaction
from schemas.base import Severity, as_time
from schemas.reports import Status

WARNED_FROM = timedelta(days=60)
SEALED_DAILY_HOURS = 24
SILENT = timedelta(days=1)


class OutdatedSchema(Exception):  # noqa: N818  (a state of things, not an error in them)
    """The database is not at the revision that this version was written for."""

    def __init__(self) -> None:
        """Say the command that mends it."""
        super().__init__("the database's schema is not this version's: run `parasol migrate`")


@dataclass(frozen=True, slots=True)
class Group:
    """The reports of one status and severity: how many, and the age of the oldest."""

    status: str
    severity: str
    number: int
    oldest_hours: int
    overdue: bool


@dataclass(frozen=True, slots=True)
class Federation:
    """What is to be looked at between this instance and its partners."""

    log: str
    """The state of our own log: `open`, `unverified`, `closed`."""
    partners: int
    quarantined: tuple[str, ...]
    """The origins of partners in quarantine."""
    silent: tuple[str, ...]
    """The origins of partners who should be followed, and were not reached for over a day."""
    held: int
    """How many reports of partners, or erasures of such, wait for a decision here."""
    entries: int
    """How long our own log is."""
    partners_entries: int
    """How much of their logs was verified, all together."""
    behind_hours: int | None
    """Since when the one of those to follow that was not reached for longest was not."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What needs somebody's attention, in sentences."""
        found = []
        if self.log == "unverified":
            found.append("The log was restored, and partners see nothing: `parasol feed heal`.")
        if self.log == "closed":
            found.append("The log is closed: `parasol feed succeed`.")
        if self.quarantined:
            found.append("Partners are in quarantine: `parasol partner list`.")
        if self.silent:
            found.append("Partners were not reached for a day, or never: `parasol partner list`.")
        if self.held:
            found.append("Partners' reports wait for a decision: `parasol partner held`.")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Overview:
    """What an operator should look at."""

    schema: str
    network: str
    epoch: int
    identity_version: int
    identity_days_left: int
    pending_moderators: int
    unannounced: bool
    """Whether a collective or moderator has ended who is active in the identity in force."""
    reports: tuple[Group, ...]
    bearers: dict[str, int]
    buckets: int
    sealed_hours_ago: int | None
    timekeeping_seconds_ago: int | None
    """When a process last said that it does the timed work: it does so twice a minute."""
    federation: Federation

    @property
    def warnings(self) -> tuple[str, ...]:
        """What needs somebody's attention, in sentences."""
        found = []
        if self.identity_days_left < 0:
            found.append("The identity has expired, and nobody can check: `parasol identity sign`.")
        elif self.identity_days_left <= WARNED_FROM.days:
            found.append("The identity expires soon: run `parasol identity sign`.")
        if self.pending_moderators:
            found.append("Moderators wait to be announced: run `parasol identity sign`.")
        if self.unannounced:
            found.append("An end or revocation is not announced: run `parasol identity sign`.")
        if any(group.overdue for group in self.reports):
            found.append("Reports have waited too long for a moderator.")
        if any(group.status == Status.DISPUTED for group in self.reports):
            found.append("Disputed reports are hidden until a moderator decides.")
        if self.sealed_hours_ago is None or self.sealed_hours_ago > SEALED_DAILY_HOURS:
            found.append("The buckets are old: is the server running?")
        return (*found, *self.federation.warnings)


@dataclass(frozen=True, slots=True)
class Served:
    """What one process serves."""

    identity_version: int
    epoch: int
    generation: int
    """Which sealing the list is of; 0 where there is none."""
    sealed_hours_ago: int | None


class Health:
    """Looks at the database and at what is served."""

    def __init__(self, store: Store, instance: Instance, clock: Clock) -> None:
        """Look at `store` and at what `instance` serves."""
        self._store = store
        self._instance = instance
        self._clock = clock

    def overview(self) -> Overview:
        """Return the state of the instance."""
        now = self._clock()
        moment = int(now.timestamp())
        hour = moment // 3600
        with self._store.read() as tx:
            identity = self._instance.refresh(tx)
            sealed = [hour - at for _, _, at, _ in tx.buckets.summaries()]
            until = tx.leases.until(LEASE)
            pending = [one for one in tx.collectives.moderators() if one.status == "pending"]
            return Overview(
                schema=tx.revision() or "none",
                network=identity.network,
                epoch=identity.epoch,
                identity_version=identity.version,
                identity_days_left=(as_time(identity.expires) - now).days,
                pending_moderators=len(pending),
                unannounced=has_unannounced_ends(tx, identity),
                reports=tuple(
                    Group(
                        status=status,
                        severity=severity,
                        number=number,
                        oldest_hours=hour - oldest // 3600,
                        overdue=status in OPEN and is_overdue(Severity(severity), oldest, now),
                    )
                    for status, severity, number, oldest in tx.reports.ages()
                ),
                bearers=tx.callers.counts(),
                buckets=len(sealed),
                sealed_hours_ago=max(sealed, default=None),
                timekeeping_seconds_ago=(
                    None if until is None else moment - until + int(LEASE_LIFE.total_seconds())
                ),
                federation=_federation(tx, now),
            )

    def served(self) -> Served:
        """Return what this process serves: so it shows whether all serve the same."""
        serving = self._instance.serving
        identity, sealed = serving.held.identity, serving.sealed
        hour = int(self._clock().timestamp()) // 3600
        return Served(
            identity_version=identity.version,
            epoch=identity.epoch,
            generation=0 if sealed is None else sealed.generation,
            sealed_hours_ago=None if sealed is None else hour - min(f.sealed for f in sealed.files),
        )

    def check(self) -> None:
        """Raise Unavailable unless the database answers and a fresh list is served."""
        self._instance.serving.fresh(self._clock())
        if self._store.glance(lambda tx: tx.revision()) != HEAD:
            raise Unavailable


def _federation(tx: Transaction, now: datetime) -> Federation:
    partners, log = tx.partners.all(), tx.log.current()
    day_ago = now.timestamp() - SILENT.total_seconds()
    followed = [one for one in partners if one.state in (WAITING, FOLLOWING)]
    reached = [one.synced_at for one in followed if one.synced_at is not None]
    return Federation(
        log="open" if log is None else log.state,
        partners=len(partners),
        quarantined=tuple(one.origin for one in partners if one.state == QUARANTINED),
        silent=tuple(one.origin for one in followed if (one.synced_at or 0) < day_ago),
        held=tx.foreign.waiting(f"{now:%Y-%m-%d}"),
        entries=0 if log is None else log.size,
        partners_entries=sum(one.size for one in partners),
        behind_hours=int(now.timestamp() - min(reached)) // 3600 if reached else None,
    )


def check_schema(store: Store) -> None:
    """Raise OutdatedSchema unless the database is at this version's revision."""
    with store.read() as tx:
        if tx.revision() != HEAD:
            raise OutdatedSchema
