"""Two instances of one network on this machine, which follow each other; one of them cheats.

Both are real: they are served, and people join, report and sign over HTTP with keys of their own.
Only the comparing of words, which people do, is left out.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn
from pydantic import SecretStr

from api.app import create_app
from api.client import Client, Profile, Report
from api.crypto.identifiers import Identifier, parse_identifier
from api.demo.seed import SEVERAL, DemoClock, Device, Seed
from api.errors import Conflict
from api.keyring import read_key
from api.parts import Parts, utc_now
from api.server import server_of
from api.services.drafts import signed
from api.services.partners import PartnerLine
from api.settings import Settings
from api.trust import root_fingerprint
from schemas.base import Category, Severity
from schemas.callers import Role
from schemas.documents import RetractReason
from schemas.feed import Policy
from schemas.reports import Account, Actor, Consent, Police, Warn

NUMBER, REGION = "07700 900113", "GB"
PATIENCE = 60.0
LOOKING = 0.2
SHORT_ID = 8
DAY = timedelta(days=1)


class NeverHappened(Exception):  # noqa: N818  (a state of things)
    """What was to be shown did not come true in time; the text says what."""


@dataclass
class Place:
    """An instance, its server, a collective with two moderators, and a member."""

    origin: str
    collective: str
    settings: Settings
    root: Path
    people: Path
    devices: list[Device] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin without a server."""
        assert self.collective in SEVERAL
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread()
        self._parts: Parts | None = None

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"http://{self.settings.host}:{self.settings.port}"

    @property
    def profile(self) -> Path:
        """The profile of its member."""
        return self.people / "member.json"

    @property
    def parts(self) -> Parts:
        """The services of its running server."""
        assert self._parts is not None
        return self._parts

    def start(self) -> None:
        """Serve in a thread of its own, until `stop`."""
        app = create_app(self.settings)
        self._parts, self._server = app.state.parts, server_of(app, self.settings)
        self._thread = threading.Thread(target=self._server.run, name=self.origin)
        self._thread.start()
        server = self._server
        eventually("a server that answers", lambda: server.started)

    def stop(self) -> None:
        """End the server, if it runs."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._parts = None

    def gather(self) -> None:
        """Let moderators and a member join, with profiles and keys in files."""
        self.people.mkdir(mode=0o700)
        seed = self._seed()
        seed.gather({self.collective})
        seed.new_member(self.collective, self.profile.stem)
        self.devices = seed.devices

    def invitation(self) -> str:
        """Return an unused invitation for a member."""
        return self._seed().invitation(self.collective, Role.MEMBER)

    def _seed(self) -> Seed:
        return Seed(self.parts, self.people, self.root, DemoClock())

    def befriend(self, other: "Place") -> None:
        """Add the other as partner whose warnings count at once."""
        known = self.parts.partners.meet(other.address)
        # What two operators do by voice.
        if known.root_sha256 != root_fingerprint(other.parts.instance.identity.root).hex():
            raise Conflict
        self.parts.partners.add(known, Policy.AUTO)

    def line_of(self, other: "Place") -> PartnerLine:
        """Return what is known here of the other."""
        return next(one for one in self.parts.partners.all() if one.origin == other.origin)

    def warns(self) -> bool:
        """Tell what the member is answered about the number."""
        with Client(Profile.load(self.profile)) as client:
            return client.check([number()])[0] is not None

    def report(self) -> None:
        """Let the member report the number as danger, and both moderators approve it."""
        written = Report(
            identifiers=(number(),),
            categories=(Category.ROBBERY,),
            severity=Severity.DANGER,
            month=f"{utc_now() - DAY:%Y-%m}",
            consent=Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False),
            account=Account(text=SecretStr("Invented."), flags=(), actor=Actor.CLIENT),
        )
        with Client(Profile.load(self.profile)) as client:
            client.report(written)
        for device in self.devices:
            (item,) = device.desk.queue()
            device.desk.approve(device.desk.open(item))

    def listed(self) -> str:
        """Return how moderators name the report that was published."""
        (item,) = self.devices[0].desk.find(number())
        return item.id[:SHORT_ID]

    def retract(self) -> None:
        """Let both moderators take the warning away."""
        for device in self.devices:
            (item,) = device.desk.find(number())
            device.desk.retract(item, RetractReason.ERROR)


class Pair:
    """Two places, and what can be shown with them; each step raises NeverHappened."""

    def __init__(self, one: Place, other: Place) -> None:
        """`one` reports, and cheats in the end; `other` finds it out."""
        self.one = one
        self.other = other

    def meet(self) -> None:
        """Start both, let people join, and let each add the other; nothing is known yet."""
        for place in (self.one, self.other):
            place.start()
            place.gather()
        self.one.befriend(self.other)
        self.other.befriend(self.one)
        eventually(
            "each following the other",
            lambda: self.one.line_of(self.other).entries and self.other.line_of(self.one).entries,
        )

    def tell(self) -> float:
        """Publish a warning at one; return after how many seconds the other gives it."""
        if self.other.warns():
            raise NeverHappened("a number of which nobody knows")
        self.one.report()
        return eventually("the warning at the other instance", self.other.warns)

    def take_back(self) -> float:
        """Retract it; return after how many seconds the other no longer gives it."""
        self.one.retract()
        return eventually("the end of the warning there", lambda: not self.other.warns())

    def cheat(self, before: Path) -> str:
        """Let one go back to its database of `before`, and sign other entries from there on.

        Returns the code with which the other puts it into quarantine.
        """
        seen = self.other.line_of(self.one).entries
        self.one.stop()
        put_back(before, self.one.settings)
        with closing(Parts(self.one.settings)) as parts:
            while parts.inspection.head().size < seen:
                draft = parts.identities.draft()
                parts.identities.accept(signed(draft, [read_key(self.one.root)]))
        self.one.start()
        eventually("a quarantine", lambda: self.other.line_of(self.one).state == "quarantined")
        return self.other.line_of(self.one).code or ""

    def stop(self) -> None:
        """End both servers."""
        self.one.stop()
        self.other.stop()


def number() -> Identifier:
    """Return the reserved number that is reported."""
    return parse_identifier("phone", NUMBER, REGION)


def eventually(what: str, condition: Callable[[], object]) -> float:
    """Wait until the condition holds; return for how many seconds. Raises NeverHappened."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE:
            raise NeverHappened(what)
        time.sleep(LOOKING)
    return time.monotonic() - began


def keep(settings: Settings, copy: Path) -> None:
    """Copy the database of a running instance, which is SQLite in its own folder."""
    with (
        closing(sqlite3.connect(_file(settings))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


def put_back(copy: Path, settings: Settings) -> None:
    """Put a copy where the database of a stopped instance is."""
    file = _file(settings)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)
    file.write_bytes(copy.read_bytes())


def _file(settings: Settings) -> Path:
    return settings.data / "parasol.db"
