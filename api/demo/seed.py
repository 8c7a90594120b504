"""Fills a running instance as people would: over HTTP, with real keys and signatures.

Only the server's clock is moved, so that each report is filed in its month, decided, and
published in its batch; what comes later comes at the real now.
"""

import os
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.client import Client, Profile, ReceiptAction, Report, ask_receipt, join
from api.client.reports import sealed_report
from api.crypto.bearers import Invitation, format_invitation
from api.crypto.words import fingerprint_words
from api.demo.warnings import SyntheticWarning, read_warnings
from api.keyring import read_key, write_secret
from api.moderating import Desk, ModeratorKeys
from api.parts import Parts, utc_now
from api.services.drafts import signed
from api.trust import root_fingerprint
from schemas.callers import Role
from schemas.moderation import QueueItem, RejectReason
from schemas.reports import Status

SEVERAL = frozenset({"northern-collective-demo", "river-collective-demo"})
"""The collectives with two moderators; the others have one."""

MIDDLE_OF_THE_MONTH = 15
UNTIL_PUBLISHED = timedelta(hours=49)


@dataclass
class DemoClock:
    """The server's clock while it is being filled: moved by hand, then let go."""

    moment: datetime | None = None

    def __call__(self) -> datetime:
        """Return the moment it was moved to, or the real now."""
        return utc_now() if self.moment is None else self.moment


@dataclass(frozen=True)
class Device:
    """A moderator's device: where her files lie."""

    name: str
    collective: str
    profile: Path
    keys: Path
    passphrase_file: Path
    passphrase: str = field(repr=False)
    desk: Desk = field(repr=False)


class Seed:
    """Founds collectives, lets everybody join, files and decides the warnings."""

    def __init__(self, parts: Parts, folder: Path, root: Path, clock: DemoClock) -> None:
        """Work on the running server of `parts`; put people's files into `folder`."""
        self._parts = parts
        self._folder = folder
        self._root = root
        self._clock = clock
        self._devices: dict[str, list[Device]] = defaultdict(list)
        self._members: dict[str, Client] = {}
        self._receipts: dict[str, str] = {}

    @property
    def devices(self) -> list[Device]:
        """Every moderator's device."""
        return [device for devices in self._devices.values() for device in devices]

    def run(self) -> None:
        """Do all of it; whatever goes wrong is raised, for nothing here may."""
        warnings = read_warnings(utc_now().date())
        self.gather({one.collective for one in warnings})
        # While the clock stands at the real now: a round that runs on from a later month would
        # forget an invitation of an earlier one.
        for warning in warnings:
            self._join(warning)
        # The newest first: no report meets its expiry before the real now.
        for month in sorted({one.month for one in warnings}, reverse=True):
            for warning in warnings:
                if warning.month == month:
                    self._tell(warning)
        self._clock.moment = None
        for warning in warnings:
            self._tell_later(warning)
        self._parts.round()

    def new_member(self, collective: str, name: str) -> Profile:
        """Let somebody join `collective`; her profile is the file `name`."""
        profile = join(self.invitation(collective, Role.MEMBER))
        profile.save(self._folder / f"{name}.json")
        return profile

    def invitation(self, collective: str, role: Role) -> str:
        """Return an unused invitation."""
        code = self._parts.callers.invite(collective, role, 1).invitations[0].code
        identity = self._parts.instance.identity
        address, root = identity.feed.removesuffix("/feed/v1/"), root_fingerprint(identity.root)
        return format_invitation(Invitation(address=address, code=code, root=root))

    def gather(self, collectives: set[str]) -> None:
        """Let collectives and moderators join, and sign the identity that announces them."""
        identities = self._parts.identities
        for collective in sorted(collectives):
            identities.add_collective(collective)
            for number in range(2 if collective in SEVERAL else 1):
                self._devices[collective].append(self._moderator(collective, number + 1))
        identities.accept(signed(identities.draft(), [read_key(self._root)]))
        self._parts.callers.forget_all()
        self._parts.round()

    def _moderator(self, collective: str, number: int) -> Device:
        name = f"{collective}-{number}"
        keys = ModeratorKeys.generate(os.urandom)
        profile = join(self.invitation(collective, Role.MODERATOR), keys.prove)
        device = Device(
            name=name,
            collective=collective,
            profile=self._folder / f"{name}.json",
            keys=self._folder / f"{name}.keys",
            passphrase_file=self._folder / f"{name}.passphrase",
            passphrase=fingerprint_words(secrets.token_bytes(16)).replace(" / ", " "),
            desk=Desk(Client(profile), keys, clock=self._clock),
        )
        profile.save(device.profile)
        write_secret(device.keys, keys.lock(device.passphrase, os.urandom).decode())
        write_secret(device.passphrase_file, device.passphrase + "\n")
        return device

    def _tell(self, warning: SyntheticWarning) -> None:
        """File a warning in its month, decide it, and let its batch come."""
        month = datetime.fromisoformat(f"{warning.month}-{MIDDLE_OF_THE_MONTH}").replace(tzinfo=UTC)
        filed = min(month, utc_now())
        self._clock.moment = filed
        client = self._members[warning.reporter]
        tokens = client.tokens(warning.identifiers)
        report = Report(
            identifiers=warning.identifiers,
            categories=warning.categories,
            severity=warning.severity,
            month=warning.month,
            consent=warning.consent,
            account=warning.account,
        )
        identity = client.identity()
        body = sealed_report(report, identity, warning.collective, tokens, os.urandom)
        self._receipts[warning.ref] = client.file(body)
        self._decide(warning, tokens)
        self._clock.moment = min(filed + UNTIL_PUBLISHED, utc_now())
        self._parts.round()

    def _join(self, warning: SyntheticWarning) -> None:
        """Let a reporter join, once: one bearer token stands for one of them."""
        if warning.reporter not in self._members:
            profile = self.new_member(warning.collective, warning.reporter)
            self._members[warning.reporter] = Client(profile)

    def _decide(self, warning: SyntheticWarning, tokens: list[bytes]) -> None:
        """Let the moderators read, compare and decide what was just filed."""
        first, *others = self._devices[warning.collective]
        item = self._item(first, tokens)
        if warning.status is Status.REJECTED:
            first.desk.reject(item.id, RejectReason.OUTSIDE_RULES)
        elif warning.status is Status.MERGED:
            first.desk.merge(item.id, item.same_reporter[0])
        elif warning.status is not Status.IN_REVIEW:
            answer = first.desk.approve(first.desk.open(item))
            for device in others[: answer.needed - answer.approvals]:
                device.desk.approve(device.desk.open(self._item(device, tokens)))

    def _item(self, device: Device, tokens: list[bytes]) -> QueueItem:
        """Return the open report about `tokens`, as a device is shown it."""
        return next(
            item
            for item in device.desk.queue()
            if [one.token for one in item.identifiers] == tokens
        )

    def _tell_later(self, warning: SyntheticWarning) -> None:
        """Let come at the real now what comes after publication; expiry comes with the round."""
        receipt = self._receipts[warning.ref]
        if warning.status is Status.DISPUTED:
            for device in self._devices[warning.collective]:
                (item,) = (
                    item
                    for identifier in warning.identifiers
                    for item in device.desk.find(identifier)
                )
                device.desk.dispute(item)
        elif warning.status is Status.WITHDRAWN:
            address = self._members[warning.reporter].profile.address
            ask_receipt(address, ReceiptAction.WITHDRAW, receipt)
