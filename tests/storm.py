"""People at work at an instance that comes and goes, and what must hold whenever it is back."""

import itertools
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2

from api.errors import Unavailable
from api.keyring import read_key
from api.services.drafts import signed
from schemas.documents import Envelope, ReportDocument
from schemas.lookups import PlainIdentifier
from schemas.moderation import Approval, QueueItem, QueuePage
from tests.crashing import DEADLINE, Command, in_database, is_whole, until
from tests.e2e.conftest import bearer_of, this_month
from tests.factories import Moderator, World, submission

PROGRESS = ("submitted", "in_review", "approved", "published", "withdrawn")
FOR_NOW = {None, "unreachable", "bad-answer", "unavailable", "wrong-epoch", "identity-refresh"}
"""Why a partner may get nothing while we, or our database, are away, or in another epoch.

An answer in whose middle we die is a bad one.
"""
REPORTERS = 3
AT_ONCE = 10


@dataclass
class Filed:
    """What a reporter and her moderators were told of a report."""

    about: int
    request_id: str
    receipt: str = ""
    status: str = "submitted"
    """It was said to be at least so far."""


class Storm:
    """Each asks again until there is an answer, which is held against all that was said before."""

    def __init__(self, world: World, partner: World, seed: int, pause: float) -> None:
        """Let everybody pause for about so many seconds after each thing that is done."""
        self.world, self.partner, self.seed, self.pause = world, partner, seed, pause
        self.moderators = world.collective("rose")
        self.reporters = [bearer_of(world.member("rose")) for _ in range(REPORTERS)]
        self.member = bearer_of(world.member("rose"))
        self.colleagues = partner.collective("lily", 1)
        self.colleague = partner.member("lily")
        self.filed: dict[str, Filed] = {}
        self.floor = Counter[int]()
        """How many warnings of a person were given at most; fewer must not be given after that."""
        self.taken_back = set[int]()
        """Persons for whom there may be fewer."""
        self.elsewhere = 0
        """The partner warns of the persons below this number."""
        self.heard = Counter[str]()
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.partners_turn = threading.Lock()
        """Nobody of the partner reports while it changes its key: she would have to begin anew."""

    # Asking.

    def asked(self, http: httpx2.Client, path: str, bearer: str, body: Any = None) -> Any:
        """Ask once; None where nobody answers, or says that it cannot for now."""
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        try:
            answer = http.request(method, path, headers=headers, json=body)
        except httpx2.TransportError:
            self.heard["nothing"] += 1
            return None
        self.heard[str(answer.status_code)] += 1
        if answer.status_code == 503:
            assert answer.json()["code"] == "unavailable"
            return None
        assert answer.status_code in (200, 201, 409, 422), (path, answer.status_code, answer.text)
        return answer

    def insist(self, http: httpx2.Client, path: str, bearer: str, body: Any = None) -> Any:
        """Ask until there is an answer."""
        end = time.monotonic() + DEADLINE
        while (answer := self.asked(http, path, bearer, body)) is None:
            assert time.monotonic() < end, f"{path} was not answered"
            time.sleep(0.1)
        return answer

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.world.address, trust_env=False, timeout=30)

    # What people do.

    def report(self, http: httpx2.Client, bearer: str, about: int) -> Filed:
        """File a report, the same again until it is acknowledged."""
        one, epoch = Filed(about, secrets.token_hex(16)), 1
        self.filed[one.request_id] = one
        while not one.receipt:
            body = self._body(one, epoch)
            answer = self.insist(http, "/v1/reports", bearer, body)
            if answer.status_code == 201:
                one.receipt = answer.json()["receipt"]
            else:
                assert answer.json()["code"] == "stale-epoch", answer.text
                epoch = answer.json()["epoch"]
        return one

    def withdraw(self, http: httpx2.Client, one: Filed) -> None:
        self.taken_back.add(one.about)
        answer = self.insist(http, "/v1/receipts/withdraw", "", {"receipt": one.receipt})
        assert (answer.status_code, answer.json()) == (200, {"status": "withdrawn"})
        self._is_at_least(one, "withdrawn")

    def moderate(self, http: httpx2.Client) -> int:
        """Sign whatever waits for a signature; tell how much that was."""
        first, second = self.moderators
        page = self.insist(http, "/v1/moderation/reports", first.bearer)
        items = QueuePage.model_validate_json(page.text).items
        for item in items:
            if item.envelope is None:
                document = self.world.document(item, "rose")
                self._sign(http, item, self.world.envelope(document, first), first)
            else:
                document = ReportDocument.decode(item.envelope.payload)
                both = (*item.envelope.signatures, second.signature(document))
                self._sign(http, item, Envelope.around(document, both), second)
        return len(items)

    def look_up(self, http: httpx2.Client, persons: list[int]) -> list[int] | None:
        """Tell of how many warnings each has; whoever had some has not fewer."""
        before = {about: self.floor[about] for about in persons}
        query = {"identifiers": [_email(about) for about in persons]}
        answer = self.asked(http, "/v1/lookups", self.member, query)
        if answer is None:
            return None
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        counts = [one["reports"]["total"] if one["match"] else 0 for one in results]
        for about, count in zip(persons, counts, strict=True):
            assert count >= before[about] or about in self.taken_back, (about, count, before)
            with self.lock:
                self.floor[about] = max(self.floor[about], count)
        return counts

    def follow(self, http: httpx2.Client, one: Filed) -> str | None:
        """Tell where a report stands: it never goes back."""
        least = one.status
        answer = self.asked(http, "/v1/receipts/status", "", {"receipt": one.receipt})
        if answer is None:
            return None
        assert answer.status_code == 200, (one, answer.text)
        status: str = answer.json()["status"]
        assert PROGRESS.index(status) >= PROGRESS.index(least), (one, least, status)
        self._is_at_least(one, status)
        return status

    def warn_elsewhere(self) -> None:
        """Let the partner warn of the next person."""
        partner = self.partner
        partner.clock.now = datetime.now(UTC)
        about = PlainIdentifier.model_validate(_email(self.elsewhere))
        fields = {"identifiers": [about], "month": this_month(partner)}
        report = submission(epoch=partner.identity.epoch, **fields)
        partner.parts.reports.submit(report, b"", self.colleague)
        partner.approve(partner.queue(self.colleagues[0])[-1], *self.colleagues)
        self.elsewhere += 1

    def watch(self) -> str | None:
        """Let the partner read our log: what it saw once can never be otherwise."""
        self.partner.clock.now = datetime.now(UTC)
        code = self.partner.parts.following.sync(self.world.origin).code
        self.heard[f"partner: {code}"] += 1
        assert code in FOR_NOW, code
        return code

    # All of them together.

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], None]]:
        """Let all do this while the block lasts; give what raises when one could not go on."""
        acts = [self._reporting(bearer) for bearer in self.reporters]
        acts += [self._moderating, self._asking, self._partner_at_work]
        with ThreadPoolExecutor(len(acts)) as pool:
            working = [pool.submit(act) for act in acts]

            def all_well() -> None:
                for one in working:
                    if one.done():
                        one.result()

            try:
                yield all_well
            finally:
                self.ending.set()
            for one in working:
                one.result()

    def _reporting(self, bearer: str) -> Callable[[], None]:
        def act() -> None:
            chance, mine = random.Random(f"{self.seed} {bearer}"), list[Filed]()
            with self.client() as http:
                for about in itertools.count():
                    mine.append(self.report(http, bearer, about))
                    if chance.random() < 0.2:
                        self.withdraw(http, mine.pop(chance.randrange(len(mine))))
                    if self.ending.wait(chance.uniform(0, 2 * self.pause)):
                        return

        return act

    def _moderating(self) -> None:
        with self.client() as http:
            while not self.ending.wait(self.pause / 4):
                self.moderate(http)

    def _asking(self) -> None:
        chance = random.Random(self.seed)
        with self.client() as http:
            while not self.ending.wait(self.pause / 10):
                persons = range(max(AT_ONCE, len(self.floor) + 1))
                self.look_up(http, chance.sample(persons, AT_ONCE))
                acknowledged = [one for one in list(self.filed.values()) if one.receipt]
                if acknowledged:
                    self.follow(http, chance.choice(acknowledged))

    def _partner_at_work(self) -> None:
        while not self.ending.wait(self.pause):
            self.watch()
            with self.partners_turn:
                self.warn_elsewhere()

    # The next key.

    def rotate(self, command: Command, chance: random.Random) -> None:
        """Change the network key by the operator's command, until it has come to its end."""
        before = self._epoch()
        while self._epoch() == before:
            change = command.run("network", "rotate", "--root", str(self.world.root), "--yes")
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0.4, 1.5))
                change.kill()
            change.wait(DEADLINE)
        assert self._epoch() == before + 1

    def pass_on(self) -> None:
        """Give the partner what leads to the next key."""
        rotation = self.partner.parts.rotation
        with self.partners_turn:
            delta = rotation.take(self.world.shared())
            rotation.convert(delta, lambda _done, _total: None)
            rotation.switch(signed(rotation.draft(delta), [read_key(self.partner.root)]), delta)
            self.partner.parts.instance.serve()  # as its server would, every few seconds

    def _epoch(self) -> int:
        while True:
            try:
                return self.world.identity.epoch
            except Unavailable:
                time.sleep(0.05)

    # What must hold.

    def holds(self) -> None:
        """Hold what is stored against itself, in the middle of everything."""
        is_whole(self.world)

    def came_through(self) -> None:
        """Hold all that is there in the end against what was acknowledged, one by one."""
        filed = list(self.filed.values())
        live = Counter(one.about for one in filed if one.status != "withdrawn")
        for here, there in ((self.world, self.partner), (self.partner, self.world)):
            here.clock.now = datetime.now(UTC)
            # As if hours had passed: who was killed again and again asks ever more seldom.
            here.parts.positions.refresh_from(there.origin, 0)
            in_database(here, "UPDATE partner SET retry_at = 0, failures = 0")
        with self.client() as http:
            until(lambda: self.moderate(http) == 0, "all is signed")
            for one in filed:
                until(partial(self._has_ended, http, one), one)
            for first in range(0, max(*live, self.elsewhere) + 1, AT_ONCE):
                persons = list(range(first, first + AT_ONCE))
                counts = [live[about] + (about < self.elsewhere) for about in persons]
                until(partial(self._are_given, http, persons, counts), (persons, counts))
        assert self.watch() is None
        (line,) = self.partner.parts.partners.all()
        assert (line.counted, line.refused, line.state) == (live.total(), {}, "following")
        (line,) = self.world.parts.partners.all()
        assert (line.counted, line.refused, line.state) == (self.elsewhere, {}, "following")
        assert len({one.receipt for one in filed}) == len(filed) == self._stored("receipt")
        assert live.total() == self._stored("report")
        self.holds()

    def _has_ended(self, http: httpx2.Client, one: Filed) -> bool:
        return self.follow(http, one) == ("withdrawn" if one.status == "withdrawn" else "published")

    def _are_given(self, http: httpx2.Client, persons: list[int], counts: list[int]) -> bool:
        return self.look_up(http, persons) == counts

    def _stored(self, table: str) -> int:
        return len(self.world.rows(table))

    def _body(self, one: Filed, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "identifiers": [_email(one.about)],
            "categories": ["robbery"],
            "severity": "danger",
            "month": this_month(self.world),
            "consent": {"warn": "network", "police": "never", "research": False},
            "wait_days": 0,
            "request_id": one.request_id,
            "account": {"text": "Synthetic account, for tests."},
        }

    def _sign(
        self, http: httpx2.Client, item: QueueItem, envelope: Envelope, by: Moderator
    ) -> None:
        path = f"/v1/moderation/reports/{item.id}/approve"
        body = Approval(envelope=envelope).model_dump(mode="json")
        answer = self.insist(http, path, by.bearer, body)
        if answer.status_code == 200:
            self._is_at_least(self.filed[item.request_id], answer.json()["status"])
        else:
            # It was done, unheard, or taken back meanwhile, or the key has changed.
            assert answer.json()["code"] in ("conflict", "wrong-epoch"), answer.text

    def _is_at_least(self, one: Filed, status: str) -> None:
        with self.lock:
            if PROGRESS.index(status) > PROGRESS.index(one.status):
                one.status = status


def _email(about: int) -> dict[str, Any]:
    return {"kind": "email", "value": f"nobody{about}@example.org"}
