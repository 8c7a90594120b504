"""The one place where the services are put together: for the server, the commands and the demo."""

import contextlib
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from api.crypto.buckets import DEFAULT_LIMIT
from api.crypto.failures import InvalidInput
from api.errors import PartnerFailure, Refusal
from api.keyring import Keyring, Keys
from api.partners import Remote
from api.services.callers import Callers
from api.services.feed import Feed
from api.services.following import Following
from api.services.healing import Healing
from api.services.health import Health, check_schema
from api.services.held import Held
from api.services.identities import Identities
from api.services.inspection import Inspection
from api.services.instance import Clock, Instance
from api.services.log import Log
from api.services.lookups import Lookups
from api.services.moderation import Moderation
from api.services.partners import Partners
from api.services.positions import Positions
from api.services.queue import Queue
from api.services.quotas import Limits, Quotas
from api.services.renewal import Renewal
from api.services.replaying import Replay
from api.services.reports import Reports
from api.services.rotation import Rotation
from api.services.sealing import Sealer
from api.services.sharing import Sharing
from api.services.stretching import Stretching
from api.services.timekeeping import Timekeeper
from api.services.witnessing import Witnessing
from api.settings import Settings
from api.store.engine import Store, open_engine
from api.store.replica import Replica

if TYPE_CHECKING:
    from api.store.counts import SharedCounts

HEALING_SECONDS = 60.0
"""How often a process tries again to make a restored log whole."""
SHORTEST_DELAY, LONGEST_DELAY = 3_600, 47 * 3_600
"""Seconds from the next full hour after approval to publication, of what is no danger (§6)."""

log = structlog.get_logger()


def utc_now() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


def publication_delay() -> int:
    """Return how many seconds a report that is no danger waits, by chance."""
    return SHORTEST_DELAY + secrets.randbelow(LONGEST_DELAY - SHORTEST_DELAY)


class UnsafeSetting(ValueError):  # noqa: N818  (a state of things, not an error in them)
    """A bucket limit at which lists would be cut into files so small that clients refuse them."""


class Parts:
    """The services of one process over one database, for the server, the commands and the demo."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        """Open the database and the keys.

        Raises OutdatedSchema, NotFounded or KeyFileError where they are not fit to be used, and
        UnsafeSetting.
        """
        engine, copy = open_engine(settings.url), settings.replica_url
        self.replica = Replica(engine, copy.get_secret_value()) if copy else None
        self.store = Store(engine, self.replica)
        try:
            check_schema(self.store)
            load = partial(Keyring.load, settings.keys)
            keys = Keys(load)
            self.instance = Instance(self.store, keys, os.urandom)
        except BaseException:
            self.store.close()
            raise
        if settings.bucket_limit < DEFAULT_LIMIT and not self.instance.is_test:
            self.store.close()
            raise UnsafeSetting
        limits = Limits(
            per_hour=settings.per_hour,
            per_day=settings.per_day,
            collective_per_day=settings.collective_per_day,
            moderator_per_hour=settings.moderator_per_hour,
            reports_per_day=settings.reports_per_day,
        )
        store, instance, plain = self.store, self.instance, settings.plain_lookups
        self.counts = _shared_counts(settings, keys.receipt)
        self.quotas = Quotas(limits, self.counts)
        self.stretching = Stretching(settings.stretching_threads, settings.stretching_queue)
        self.callers = Callers(store, instance, self.quotas, clock, os.urandom)
        self.log = Log(keys.log_seed, clock, os.urandom)
        self.identities = Identities(store, clock, self.log, load)
        self.renewal = Renewal(self.identities, settings.keys)
        self.sharing = Sharing(store, load)
        self.feed = Feed(store, instance, clock)
        self.health = Health(store, instance, clock)
        self.inspection = Inspection(store, instance, clock)
        self.held = Held(store, instance, clock)
        self.lookups = Lookups(instance, self.quotas, limits, self.stretching, clock, plain=plain)
        self.moderation = Moderation(store, instance, self.log, clock, publication_delay)
        self.queue = Queue(store, instance, clock)
        self.reports = Reports(
            store, instance, self.log, self.quotas, self.stretching, clock, os.urandom, plain=plain
        )
        sealer = Sealer(instance, settings.bucket_limit, os.urandom)
        self.rotation = Rotation(store, self.identities, sealer, settings.keys, clock, os.urandom)
        self._holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.timekeeper = Timekeeper(store, instance, self.log, sealer, clock, self._holder)

        self.remote = Remote(
            lambda: self.instance.http_seed(self.instance.identity),
            is_test=self.instance.is_test,
            clock=clock,
            chance=os.urandom,
        )
        every = timedelta(seconds=settings.poll_seconds)
        self.positions = Positions(store, clock, os.urandom, every)
        self.following = Following(store, instance, self.positions, self.remote, clock)
        self.witnessing = Witnessing(store, self.positions, self.remote)
        self.partners = Partners(store, instance, self.remote, clock)
        replay = Replay(instance, clock, os.urandom)
        self.healing = Healing(
            store, instance, self.log, self.positions, self.witnessing, self.remote, replay, clock
        )
        self._healed_at = -HEALING_SECONDS

    def follow(self) -> None:
        """Ask the partners whose turn it is, if this process is the one that does.

        Before anything else, and after a restore: what they have seen of our own log.
        """
        self._heal()
        for synced in self.following.round(self._holder):
            if synced.entries:
                # Whoever shows us another log than others should be found out soon.
                self.witnessing.compare(synced.origin)

    def _heal(self) -> None:
        now = time.monotonic()
        if now - self._healed_at < HEALING_SECONDS:
            return
        is_first, self._healed_at = self._healed_at < 0, now
        if self.healing.is_needed() or (is_first and self.healing.suspect()):
            try:
                log.warning("log healed", entries=self.healing.heal())
            except (Refusal, PartnerFailure, InvalidInput) as failed:
                log.warning("log not healed", code=failed.code)

    def look(self) -> None:
        """Find out whether what some have besides their database answers, and how far it is."""
        if self.counts:
            self.counts.look()
        if self.replica:
            self.replica.look()

    def round(self) -> None:
        """Do the timed work if it is this process's turn; fetch what was sealed."""
        try:
            done = self.timekeeper.run_once()
            if done:
                log.debug("round", **done.counts())
        finally:
            self.instance.serve()
            self.store.tidy()

    def close(self) -> None:
        """Give back the lease, the pool and the connections."""
        try:
            with contextlib.suppress(Refusal):
                self.timekeeper.stop()
        finally:
            self.remote.close()
            self.stretching.close()
            if self.counts:
                self.counts.close()
            self.store.close()


def _shared_counts(settings: Settings, key: bytes) -> "SharedCounts | None":
    if settings.valkey_url is None:
        return None
    from api.store.counts import SharedCounts  # noqa: PLC0415  (few need what it loads)

    return SharedCounts(settings.valkey_url.get_secret_value(), key)
