"""The network's key changes while people are at work: nobody is told anything wrong, or stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.client import Client, Profile, Report
from api.crypto.identifiers import Identifier, parse_identifier
from api.keyring import read_key
from api.moderating import Desk, ModeratorKeys
from api.services.drafts import signed
from api.trust import root_fingerprint
from schemas.base import Category, Severity
from schemas.documents import Identity
from schemas.moderation import ApprovalAnswer
from schemas.reports import Account, Consent, Police, Status, Warn
from tests.e2e.conftest import (
    LISTED,
    UNLISTED,
    Cast,
    Server,
    eventually,
    people,
    serving,
    this_month,
)
from tests.e2e.test_web_client import Device, Driver
from tests.e2e.test_web_desk import InBrowser, in_hand
from tests.factories import Moderator, World


def rotate(world: World) -> Identity:
    """Change the network key from another process than the server's, as the operator does."""
    rotation = world.parts.rotation
    delta = rotation.choose()
    rotation.convert(delta, lambda _done, _total: None)
    return rotation.switch(signed(rotation.draft(delta), [read_key(world.root)]), delta)


def number(last: int) -> Identifier:
    return parse_identifier("phone", f"+44 7700 900{last:03}", None)


class Interrupting(httpx2.HTTPTransport):
    """Does something once, before the first request to a path, as if it happened meanwhile."""

    def __init__(self, path: str, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._path = path
        self._meanwhile: Callable[[], object] | None = meanwhile
        self.asked: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith(self._path) and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        self.asked.append(request.url.path)
        return super().handle_request(request)


@pytest.fixture
def stage(own_world: World, tmp_path: Path) -> Iterator[tuple[Server, Cast]]:
    cast = people(own_world)
    with serving(own_world, tmp_path) as server:
        yield server, cast


def served_epoch(server: Server) -> int:
    epoch: int = server.ask("GET", "/v1/network").json()["epoch"]
    return epoch


def goes_over(server: Server) -> None:
    """Change the key, and wait until the server has noticed."""
    epoch = rotate(server.world).epoch
    eventually(lambda: served_epoch(server) == epoch)


@contextmanager
def client_of(
    server: Server, bearer: str, transport: httpx2.BaseTransport | None = None
) -> Iterator[Client]:
    root = root_fingerprint(server.world.identity.root)
    profile = Profile(server.address, bearer, root, collective="rose")
    with Client(profile, transport=transport) as client:
        yield client


def report_of(world: World) -> Report:
    return Report(
        identifiers=[number(7)],
        categories=[Category.ROBBERY],
        severity=Severity.DANGER,
        month=this_month(world),
        consent=Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False),
        wait_days=0,
        account=Account(text=SecretStr("Synthetic account.")),
    )


@pytest.mark.parametrize("path", ["/v1/network", "/v1/evaluations", "/v1/buckets"])
def test_a_look_up_in_the_middle_of_it_is_right(stage: tuple[Server, Cast], path: str) -> None:
    server, cast = stage
    transport = Interrupting(path, lambda: goes_over(server))
    with client_of(server, cast.member, transport) as client:
        listed, unlisted = client.check([number(LISTED), number(UNLISTED)])
        assert client.identity().epoch == 2
    assert listed is not None
    assert (listed.danger, unlisted) == (1, None)


def test_plain_look_ups_never_stop_answering(stage: tuple[Server, Cast]) -> None:
    server, cast = stage
    asked = {
        "identifiers": [
            {"kind": "phone", "value": f"+44 7700 900{one:03}"} for one in (LISTED, UNLISTED)
        ]
    }

    def answer() -> list[bool]:
        response = server.ask("POST", "/v1/lookups", cast.member, json=asked)
        return [one["match"] for one in response.json()["results"]]

    before = answer()
    rotate(server.world)
    answers = [answer()]

    def is_over() -> bool:
        answers.append(answer())
        return served_epoch(server) == 2

    eventually(is_over)
    answers.append(answer())
    assert before == [True, False]
    assert answers == [before] * len(answers)


def test_a_report_in_the_middle_of_it_arrives(stage: tuple[Server, Cast]) -> None:
    """The server learns of the change by the very report that it refuses."""
    server, cast = stage
    transport = Interrupting("/v1/reports", lambda: rotate(server.world))
    with client_of(server, cast.member, transport) as client:
        receipt = client.report(report_of(server.world))
    assert transport.asked.count("/v1/reports") == 2
    assert server.world.status(receipt) is Status.SUBMITTED
    item = server.world.queue(cast.rose[0])[-1]
    assert (item.epoch, item.identifiers[0].token) == (2, server.world.token(7))


@contextmanager
def desk_of(
    server: Server, moderator: Moderator, transport: httpx2.BaseTransport | None = None
) -> Iterator[Desk]:
    keys = ModeratorKeys(sign=moderator.seed, box=bytes(moderator.box))
    with client_of(server, moderator.bearer, transport) as client:
        yield Desk(client, keys)


def test_an_approval_in_the_middle_of_it_is_signed_anew(stage: tuple[Server, Cast]) -> None:
    server, cast = stage
    with client_of(server, cast.member) as client:
        receipt = client.report(report_of(server.world))
    one, other = cast.rose
    with desk_of(server, one) as desk:
        (item,) = desk.queue()
        assert desk.approve(desk.open(item)).approvals == 1

    def decided(answer: ApprovalAnswer) -> Any:
        return answer.status, answer.approvals

    approve = f"/v1/moderation/reports/{item.id}/approve"
    transport = Interrupting(approve, lambda: rotate(server.world))
    with desk_of(server, other, transport) as desk:
        (item,) = desk.queue()
        # The first signature was of the former epoch: hers is now the first.
        assert decided(desk.approve(desk.open(item))) == (Status.IN_REVIEW, 1)
    assert transport.asked.count(approve) == 2
    with desk_of(server, one) as desk:
        (item,) = desk.queue()
        assert decided(desk.approve(desk.open(item))) == (Status.APPROVED, 2)
    eventually(lambda: server.world.status(receipt) is Status.PUBLISHED)
    with client_of(server, cast.member) as client:
        eventually(lambda: client.check([number(7)])[0] is not None)


def test_a_desk_that_stayed_open_goes_on(stage: tuple[Server, Cast]) -> None:
    server, cast = stage
    with client_of(server, cast.member) as client:
        receipt = client.report(report_of(server.world))
    with desk_of(server, cast.rose[0]) as one, desk_of(server, cast.rose[1]) as other:
        (item,) = one.queue()
        one.open(item)
        goes_over(server)
        (item,) = one.queue()
        assert one.approve(one.open(item)).approvals == 1
        (item,) = other.queue()
        assert other.approve(other.open(item)).status is Status.APPROVED
        goes_over(server)
        eventually(lambda: server.world.status(receipt) is Status.PUBLISHED)
        (item,) = (
            i
            for i in one.queue(Status.PUBLISHED)
            if i.identifiers[0].token == server.world.token(7)
        )
        assert item.epoch == 3
        assert len(list(one.find(number(7)))) == 1


# ---- The pages ----


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


def test_a_page_that_stayed_open_looks_up_again_by_itself(
    stage: tuple[Server, Cast], driver: Driver
) -> None:
    server, _ = stage
    device = Device(driver, server.address)
    device("signIn", line=server.invitation("rose"))
    before = device.check(number(LISTED), number(UNLISTED))
    goes_over(server)
    assert device.check(number(LISTED), number(UNLISTED)) == before
    assert (before[0]["danger"], before[1]) == (1, None)


def test_a_desk_in_the_page_signs_what_was_read_before(
    stage: tuple[Server, Cast], driver: Driver
) -> None:
    server, cast = stage
    with client_of(server, cast.member) as client:
        client.report(report_of(server.world))
    desk = InBrowser(Device(driver, server.address))
    desk.kid = desk("bring", **in_hand(cast.rose[0], server))["kid"]
    desk.unlock()
    (row,) = desk("queue", status=None)
    desk("open", id=row["id"])
    rotate(server.world)
    signed_now = desk("approve", id=row["id"])
    assert (signed_now["status"], signed_now["approvals"]) == ("in_review", 1)
    item = server.world.item(cast.rose[1])
    assert (item.epoch, item.approvals) == (2, 1)
    # What was listed before the change is found under the new token.
    goes_over(server)
    assert desk("open", id=row["id"])["row"]["approvals"] == 0
