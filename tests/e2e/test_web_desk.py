"""The pages' desk, run in Node against a real server, beside a moderator at the command line."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from api.client import (
    Client,
    Profile,
    ReceiptAction,
    Refused,
    Report,
    ask_receipt,
    join,
)
from api.crypto.bearers import format_access, parse_invitation
from api.crypto.envelopes import entry_id, key_id
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.keyfiles import lock
from api.crypto.words import key_words
from api.moderating import Desk, ModeratorKeys
from api.trust import moderators_of, root_fingerprint
from schemas.base import Category, Severity, encode_base64
from schemas.callers import Role
from schemas.documents import RetractReason
from schemas.moderation import QueueItem
from schemas.reports import Account, Actor, Consent, Flag, Police, Status, Warn
from tests.e2e.conftest import LISTED, Server, eventually, this_month
from tests.e2e.test_web_client import Device, Driver, Failed
from tests.factories import Moderator, World

COLLECTIVE = "lily"
PASSPHRASE = "six words are a good one"
REPORTS = "/v1/moderation/reports"
ACCOUNT = Account(
    text=SecretStr("Synthetic account: Zoë said “wait”. 👩\nNothing of it is true."),
    flags=(Flag.WEAPON, Flag.REPEAT),
    actor=Actor.POSING_AS_CLIENT,
    area=SecretStr("GB-LND"),
)
OPENED = {
    "text": ACCOUNT.text.get_secret_value(),
    "flags": ["weapon", "repeat"],
    "actor": "posing_as_client",
    "area": "GB-LND",
}

_numbers = iter(range(400, 700))


def new_number() -> Identifier:
    """A reserved number that no other test uses."""
    return parse_identifier("phone", f"+44 7700 900{next(_numbers)}", None)


class Decides(Protocol):
    """What moderators do, wherever their desk is."""

    def approve(self, identifier: Identifier) -> tuple[str, int]: ...
    def dispute(self, identifier: Identifier) -> tuple[str, int]: ...
    def retract(self, identifier: Identifier, reason: str) -> tuple[str, int]: ...
    def release(self, identifier: Identifier) -> str: ...


class InBrowser:
    """A moderator whose desk is the page's."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.kid = ""

    def __call__(self, method: str, **params: Any) -> Any:
        return self.device(f"desk.{method}", **params)

    def join(self, invitation: str) -> Any:
        """Make keys and redeem the invitation; she is pending then."""
        joined = self("join", invitation=invitation, passphrase=PASSPHRASE)
        self.kid = joined["kid"]
        return joined

    def unlock(self, passphrase: str = PASSPHRASE) -> Any:
        return self("unlock", kid=self.kid, passphrase=passphrase)

    def may_decide(self) -> bool:
        """Whether the instance knows by now that the operator has signed her keys."""
        try:
            self("queue", status="disputed")
        except Failed as failed:
            if failed.code == "forbidden":
                return False
            raise
        return True

    def rows(self, identifier: Identifier) -> Any:
        return self("find", kind=identifier.kind, canonical=identifier.canonical)

    def row(self, identifier: Identifier) -> Any:
        (row,) = self.rows(identifier)
        return row

    def open(self, identifier: Identifier) -> Any:
        return self("open", id=self.row(identifier)["id"])

    def approve(self, identifier: Identifier) -> tuple[str, int]:
        return outcome(self("approve", id=self.open(identifier)["row"]["id"]))

    def dispute(self, identifier: Identifier) -> tuple[str, int]:
        return outcome(self("dispute", id=self.row(identifier)["id"]))

    def retract(self, identifier: Identifier, reason: str) -> tuple[str, int]:
        return outcome(self("retract", id=self.row(identifier)["id"], reason=reason))

    def release(self, identifier: Identifier) -> str:
        return str(self("release", id=self.row(identifier)["id"])["status"])

    def refusal(self, method: str, **params: Any) -> tuple[str, Any]:
        """Return the code of a failure, and what a mismatch is about."""
        with pytest.raises(Failed) as failed:
            self(method, **params)
        return failed.value.code, failed.value.members.get("what")

    def decided(self) -> list[str]:
        """The decisions that were sent since this was asked last."""
        sent = self.device.sent()
        return [one["url"] for one in sent if one["method"] == "POST" and REPORTS in one["url"]]


def outcome(answer: Any) -> tuple[str, int]:
    return answer["status"], answer["approvals"]


class OnCommandLine:
    """A moderator whose desk is the command line's."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def item(self, identifier: Identifier) -> QueueItem:
        (item,) = self.desk.find(identifier)
        return item

    def approve(self, identifier: Identifier) -> tuple[str, int]:
        answer = self.desk.approve(self.desk.open(self.item(identifier)))
        return answer.status, answer.approvals

    def dispute(self, identifier: Identifier) -> tuple[str, int]:
        answer = self.desk.dispute(self.item(identifier))
        return answer.status, answer.approvals

    def retract(self, identifier: Identifier, reason: str) -> tuple[str, int]:
        answer = self.desk.retract(self.item(identifier), RetractReason(reason))
        return answer.status, answer.approvals

    def release(self, identifier: Identifier) -> str:
        return self.desk.release(self.item(identifier).id).status


@dataclass
class Lily:
    """A collective: two moderators in the browser, one at the command line, and a member."""

    server: Server
    one: InBrowser
    another: InBrowser
    third: OnCommandLine
    member: Profile

    @property
    def world(self) -> World:
        return self.server.world

    def file(self, *identifiers: Identifier, **changes: Any) -> str:
        """File a report, by default a danger that may warn everyone; return its receipt."""
        warn = changes.pop("warn", Warn.NETWORK)
        fields: dict[str, Any] = {
            "identifiers": identifiers,
            "categories": [Category.ROBBERY],
            "severity": Severity.DANGER,
            "month": this_month(self.world),
            "consent": Consent(warn=warn, police=Police.ANONYMOUS, research=False),
            "account": ACCOUNT,
        }
        # One who has just looked: a later moderator can read it too.
        with Client(self.member) as client:
            return client.report(Report(**fields | changes))

    def reported(self, **changes: Any) -> Identifier:
        """A new number about which there is a report."""
        identifier = new_number()
        self.file(identifier, **changes)
        return identifier

    def status(self, receipt: str) -> Status:
        return ask_receipt(self.server.address, ReceiptAction.STATUS, receipt)

    def late(self) -> Moderator:
        """A moderator who joins now, and is signed at once."""
        moderator = self.world.join(COLLECTIVE)
        self.world.sign_identity()
        return moderator


def profile_of(server: Server, token: str, collective: str = COLLECTIVE) -> Profile:
    root = root_fingerprint(server.world.identity.root)
    return Profile(address=server.address, token=token, root=root, collective=collective)


def keys_of(moderator: Moderator) -> ModeratorKeys:
    return ModeratorKeys(sign=moderator.seed, box=bytes(moderator.box))


@pytest.fixture(scope="module")
def driver(server: Server) -> Iterator[Driver]:  # noqa: ARG001
    """Ended before the server is, which would wait for its connections."""
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def make(driver: Driver, server: Server) -> Iterator[Callable[[], InBrowser]]:
    """Make devices; at the end each is locked."""
    made = []

    def new() -> InBrowser:
        made.append(InBrowser(Device(driver, server.address)))
        return made[-1]

    yield new
    for one in made:
        one("lock")


@pytest.fixture(scope="module")
def lily(server: Server, make: Callable[[], InBrowser]) -> Iterator[Lily]:
    world = server.world
    world.identities.add_collective(COLLECTIVE)
    one, another = make(), make()
    for moderator in (one, another):
        moderator.join(server.invitation(COLLECTIVE, Role.MODERATOR))
    third = world.join(COLLECTIVE)
    world.sign_identity()
    for moderator in (one, another):
        eventually(moderator.may_decide)
    member = join(server.invitation(COLLECTIVE))
    with Client(profile_of(server, third.bearer)) as client:
        yield Lily(server, one, another, OnCommandLine(Desk(client, keys_of(third))), member)


@pytest.fixture(scope="module")
def reed(server: Server) -> str:
    """A collective without moderators."""
    server.world.identities.add_collective("reed")
    return "reed"


@pytest.fixture
def pair(lily: Lily, request: pytest.FixtureRequest) -> tuple[Decides, Decides]:
    """Two moderators; b is one in the browser, c the one at the command line."""
    pairs: dict[str, tuple[Decides, Decides]] = {
        "bc": (lily.one, lily.third),
        "cb": (lily.third, lily.one),
        "bb": (lily.one, lily.another),
    }
    return pairs[request.param]


each_order = pytest.mark.parametrize("pair", ["bc", "cb", "bb"], indirect=True)


# Joining.


def test_a_new_moderators_words_are_those_that_the_operator_compares(
    server: Server, make: Callable[[], InBrowser]
) -> None:
    server.world.identities.add_collective("moss")
    device = make()
    joined = device.join(server.invitation("moss", Role.MODERATOR))
    assert device("kept") == [
        {"kid": joined["kid"], "words": " ".join(joined["words"].split(" ")[:3])}
    ]
    state = device.unlock()
    assert state == joined | {"collective": "moss", "moderator": None, "state": "pending"}
    assert device.refusal("queue", status=None) == ("forbidden", None)
    server.world.sign_identity()
    (listed,) = moderators_of(server.world.identity, "moss")
    assert joined == {"kid": key_id(listed.sign), "words": key_words(listed.sign, listed.box)}


@pytest.mark.usefixtures("lily")
def test_a_failed_join_leaves_nothing_behind(
    server: Server, reed: str, make: Callable[[], InBrowser]
) -> None:
    device = make()
    line = server.invitation(reed, Role.MODERATOR)
    short, elsewhere = "eleven char", line.replace("127.0.0.1", "127.0.0.2")
    spent = server.invitation(reed)
    join(spent)
    for invitation, passphrase, code in [
        (line, short, "weak-passphrase"),
        (elsewhere, PASSPHRASE, "other-address"),
        ("https://example.org", PASSPHRASE, "invalid-invitation"),
        (server.invitation(reed), PASSPHRASE, "member-invitation"),
        (spent, PASSPHRASE, "not-found"),
    ]:
        refused = device.refusal("join", invitation=invitation, passphrase=passphrase)
        assert refused == (code, None)
        assert device("kept") == []
    forged = line[:-64] + "0" * 64
    refused = device.refusal("join", invitation=forged, passphrase=PASSPHRASE)
    assert refused == ("identity-refused", None)
    assert device.device.asked()[-1] == "DELETE /v1/tokens/current"
    assert device("kept") == []


@pytest.mark.usefixtures("lily")
def test_a_used_code_is_not_lost_where_no_more_answers_come(
    server: Server, reed: str, make: Callable[[], InBrowser]
) -> None:
    device = make()
    device.device.rules({"path": "/v1/identity", "offline": True})
    device.join(server.invitation(reed, Role.MODERATOR))
    assert device.refusal("queue", status=None) == ("locked", None)
    device.device.rules()
    assert device.unlock()["state"] == "pending"


# Keys and access.


def test_a_key_file_of_the_browser_opens_on_the_command_line(lily: Lily) -> None:
    keys = ModeratorKeys.unlock(lily.one("export", kid=lily.one.kid)["keys"].encode(), PASSPHRASE)
    assert keys.kid == lily.one.kid
    token, collective, root = lily.one("access")["line"].split(".")
    assert collective == COLLECTIVE
    assert bytes.fromhex(root) == root_fingerprint(lily.world.identity.root)
    with Client(profile_of(lily.server, token)) as client:
        identifier = lily.reported()
        (item,) = Desk(client, keys).find(identifier)
        assert Desk(client, keys).open(item).account == ACCOUNT


def in_hand(moderator: Moderator, server: Server) -> dict[str, str]:
    """What a moderator takes to another device; her key file is made at a cost for tests."""
    keys = keys_of(moderator)
    contents = {"box": encode_base64(keys.box), "sign": encode_base64(keys.sign), "v": 1}
    root = root_fingerprint(server.world.identity.root)
    plaintext = json.dumps(contents, separators=(",", ":")).encode()
    return {
        "keys": lock(plaintext, PASSPHRASE, secrets.token_bytes, m_kib=8, t=1).decode(),
        "access": format_access(moderator.bearer, moderator.collective, root),
        "passphrase": PASSPHRASE,
    }


def test_a_key_file_of_the_command_line_opens_in_the_browser(
    lily: Lily, make: Callable[[], InBrowser]
) -> None:
    moderator = lily.late()
    keys, device = keys_of(moderator), make()
    text = keys.lock(PASSPHRASE, secrets.token_bytes).decode()
    brought = in_hand(moderator, lily.server) | {"keys": f"{text}\n"}
    assert device("bring", **brought) == {"kid": keys.kid, "words": keys.words}
    device.kid = keys.kid
    me = device.unlock()
    assert (me["state"], me["collective"]) == ("active", COLLECTIVE)
    access = brought["access"]
    assert device("access") == {"line": access}
    assert device("export", kid=keys.kid) == {"keys": text}
    assert device.open(lily.reported())["account"] == OPENED
    member = access.replace("psl_d_", "psl_m_")
    for change, code in [
        ({"passphrase": "another passphrase"}, "wrong-passphrase"),
        ({"keys": "{}"}, "malformed"),
        ({"access": moderator.bearer}, "invalid-invitation"),
        ({"access": member}, "invalid-invitation"),
        ({"access": f"{access[:-1]}{'1' if access[-1] == '0' else '0'}"}, "identity-refused"),
    ]:
        assert device.refusal("bring", **brought | change) == (code, None)
    assert device("leave") is None
    assert device("kept") == []
    assert lily.server.ask("GET", "/v1/identity", moderator.bearer).status_code == 401


def test_keys_that_are_brought_wait_for_the_operator(
    server: Server, make: Callable[[], InBrowser]
) -> None:
    server.world.identities.add_collective("fern")
    moderator, device = server.world.join("fern"), make()
    device.kid = device("bring", **in_hand(moderator, server))["kid"]
    waiting = device.unlock()
    assert (waiting["state"], waiting["collective"]) == ("pending", "fern")
    server.world.sign_identity()
    (listed,) = moderators_of(server.world.identity, "fern")
    active = waiting | {"moderator": listed.id, "state": "active"}
    eventually(lambda: device.unlock() == active)
    device("remove", kid=moderator.kid)
    assert device("kept") == []
    assert device.refusal("queue", status=None) == ("locked", None)


def test_a_locked_desk_shows_and_decides_nothing(lily: Lily) -> None:
    identifier = lily.reported()
    row = lily.one.open(identifier)["row"]
    lily.one("lock")
    lily.one.decided()
    for method in ("queue", "open", "approve", "reject", "access", "invite"):
        assert lily.one.refusal(method, id=row["id"], status=None) == ("locked", None)
    with pytest.raises(Failed, match="wrong-passphrase"):
        lily.one.unlock("another passphrase")
    assert lily.one.device.asked() == []
    lily.one.unlock()
    assert lily.one.refusal("approve", id=row["id"]) == ("not-opened", None)
    lily.one.device("device.clock", seconds=16 * 60)
    assert lily.one.refusal("queue", status=None) == ("locked", None)
    lily.one.device("device.clock", seconds=0)
    lily.one.unlock()
    assert lily.one.decided() == []


def test_an_older_identity_than_was_kept_is_refused(lily: Lily) -> None:
    older = {"version": lily.world.identity.version}
    lily.world.sign_identity()
    token = lily.one("access")["line"].partition(".")[0]
    eventually(lambda: lily.server.serves_newest(token))
    lily.one("queue", status="disputed")  # which looks for a newer identity, and keeps it
    old = lily.server.ask("GET", "/v1/identity", token, params=older)
    body = base64.b64encode(old.content).decode()
    answer = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}
    lily.one.device.rules({"path": "/v1/identity", "answer": answer})
    with pytest.raises(Failed, match="identity-older"):
        lily.one.unlock()
    lily.one.device.rules()
    lily.one.unlock()


# Deciding.


@each_order
def test_two_moderators_publish_a_danger(lily: Lily, pair: tuple[Decides, Decides]) -> None:
    identifier = new_number()
    receipt = lily.file(identifier, wait_days=30)
    opened = lily.one.open(identifier)
    shown = f"+44 7700 {identifier.canonical[-6:]}"
    assert opened["identifiers"] == [
        {"kind": "phone", "canonical": identifier.canonical, "shown": shown}
    ]
    assert opened["account"] == OPENED
    assert (opened["signed"], opened["retraction"], opened["excluded"]) == (None, None, [])
    first, second = pair
    assert first.approve(identifier) == ("in_review", 1)
    opened = lily.another.open(identifier)
    assert opened["row"]["pending"] == "approval"
    assert opened["row"]["signed_by_me"] is False
    assert opened["signed"]["severity"] == "danger"
    assert len(opened["signed"]["by"]) == 1
    assert second.approve(identifier) == ("approved", 2)
    assert lily.status(receipt) is Status.APPROVED
    assert len(lily.one.open(identifier)["signed"]["by"]) == 2


def test_what_two_have_signed_is_found(lily: Lily) -> None:
    identifier = lily.reported()
    lily.third.approve(identifier)
    lily.one.approve(identifier)
    with Client(lily.member) as client:
        eventually(lambda: client.check([identifier]) != [None])
        (counts,) = client.check([identifier])
    assert counts is not None
    assert counts.danger == 1
    assert lily.one.row(identifier)["status"] == "published"


@each_order
def test_two_moderators_dispute_release_and_retract(
    lily: Lily, pair: tuple[Decides, Decides]
) -> None:
    identifier = new_number()
    receipt = lily.file(identifier, wait_days=30)
    first, second = pair
    assert (first.approve(identifier)[0], second.approve(identifier)[0]) == (
        "in_review",
        "approved",
    )
    assert first.dispute(identifier) == ("approved", 1)
    row = lily.another.open(identifier)
    assert (row["row"]["pending"], row["retraction"]["reason"]) == ("dispute", "disputed")
    assert len(row["retraction"]["by"]) == 1
    assert second.dispute(identifier) == ("disputed", 2)
    assert first.release(identifier) == "in_review"
    # The next one takes the place of the former, which both compare.
    assert second.approve(identifier) == ("in_review", 1)
    assert lily.another.open(identifier)["row"]["replaces"] is True
    assert first.approve(identifier) == ("approved", 2)
    assert second.retract(identifier, "objection") == ("approved", 1)
    assert second.release(identifier) == "approved"
    assert first.retract(identifier, "legal") == ("approved", 1)
    assert second.retract(identifier, "legal") == ("removed", 2)
    assert lily.status(receipt) is Status.REMOVED


def test_what_she_chooses_is_signed(lily: Lily) -> None:
    identifier = lily.reported(severity=Severity.RISK, categories=[Category.OTHER])
    row = lily.one.open(identifier)["row"]
    assert lily.one.refusal("approve", id=row["id"]) == ("only-other", None)
    chosen = {"categories": ["stalking", "robbery"], "severity": "danger"}
    answer = lily.one("approve", id=row["id"], **chosen)
    assert answer == {"status": "in_review", "approvals": 1, "needed": 2}
    again = lily.one.open(identifier)["row"]
    assert again["signed_by_me"] is True
    assert lily.one.refusal("approve", id=row["id"]) == ("already-signed", None)
    item = lily.third.item(identifier)
    signed = lily.third.desk.signed(lily.third.desk.open(item))
    assert signed is not None
    assert (signed.severity, signed.categories) == ("danger", ("robbery", "stalking"))
    opened = lily.another.open(identifier)
    assert opened["signed"]["categories"] == ["robbery", "stalking"]
    refused = lily.another.refusal("approve", id=row["id"], severity="risk")
    assert refused == ("signed-otherwise", None)
    assert lily.another("approve", id=row["id"])["status"] == "approved"


@pytest.mark.parametrize("warn", [Warn.STATISTICS, Warn.NONE])
def test_what_shall_warn_nobody_is_recorded(lily: Lily, warn: Warn) -> None:
    assert lily.one.approve(lily.reported(warn=warn)) == ("recorded", 1)


def test_the_queue_shows_danger_first_and_what_waits(lily: Lily) -> None:
    risk, danger, taken = lily.reported(severity=Severity.RISK), lily.reported(), new_number()
    lily.file(taken, wait_days=30)
    lily.third.approve(taken)
    lily.one.approve(taken)
    ids = [lily.one.row(one)["id"] for one in (danger, taken, risk)]
    listed = [row["id"] for row in lily.one("queue", status=None)]
    assert [one for one in listed if one in ids] == [ids[0], ids[2]]
    assert ids[1] in [row["id"] for row in lily.one("queue", status="approved")]
    lily.third.retract(taken, "error")
    rows = lily.one("queue", status=None)
    assert [row["id"] for row in rows if row["id"] in ids] == ids
    assert sorted([row["severity"] for row in rows]) == [row["severity"] for row in rows]
    (row,) = [row for row in rows if row["id"] == ids[1]]
    assert (row["pending"], row["signed_by_me"], row["readable"]) == ("retraction", False, True)
    assert "Synthetic" not in json.dumps(rows, ensure_ascii=False)


def test_a_report_is_rejected_or_merged(lily: Lily) -> None:
    identifier = new_number()
    receipts = [lily.file(identifier), lily.file(identifier)]
    first, second = lily.one.rows(identifier)
    assert first["same_reporter"] == [second["id"]]
    assert lily.one("merge", id=second["id"], into=first["id"]) == {"status": "merged"}
    assert lily.one.refusal("open", id=second["id"]) == ("conflict", None)
    assert lily.one("reject", id=first["id"], reason="too-little") == {"status": "rejected"}
    assert lily.one.refusal("release", id=first["id"]) == ("conflict", None)
    assert lily.one.rows(identifier) == []
    assert {lily.status(one) for one in receipts} == {Status.REJECTED, Status.MERGED}


def test_a_report_is_found_by_its_number_alone(lily: Lily) -> None:
    identifier, other = new_number(), new_number()
    lily.file(identifier, other)
    assert lily.one.row(identifier) == lily.one.row(other)
    assert lily.one.rows(new_number()) == []
    lily.one.device.sent()
    lily.one.row(identifier)
    assert identifier.canonical[-6:] not in json.dumps(lily.one.device.sent())


def test_a_colleague_who_joined_later_is_let_in_by_her_words(
    lily: Lily, make: Callable[[], InBrowser]
) -> None:
    identifier, device = lily.reported(), make()
    row = lily.one.row(identifier)
    joined = device("bring", **in_hand(lily.late(), lily.server))
    device.kid = joined["kid"]
    device.unlock()
    assert device.row(identifier)["readable"] is False
    assert device.refusal("open", id=row["id"]) == ("not-sealed-to-you", None)
    lily.one("queue", status="disputed")  # which looks for new colleagues, too
    lily.one.row(identifier)
    assert lily.one.refusal("reseal", id=row["id"], kid=device.kid) == ("not-opened", None)
    (excluded,) = lily.one.open(identifier)["excluded"]
    assert excluded == joined | {"id": excluded["id"]}
    assert lily.one("reseal", id=row["id"], kid=device.kid) == {"given": True}
    assert lily.one("reseal", id=row["id"], kid=device.kid) == {"given": False}
    assert lily.one.refusal("reseal", id=row["id"], kid=lily.one.kid) == ("not-found", None)
    assert device.open(identifier)["account"] == OPENED
    assert lily.one.open(identifier)["excluded"] == []


def test_an_invitation_is_redeemed_or_ended(lily: Lily, make: Callable[[], InBrowser]) -> None:
    line, other, unused = lily.one("invite", count=3)
    invitation = parse_invitation(line["line"])
    assert invitation.address == lily.server.address
    assert invitation.root == root_fingerprint(lily.world.identity.root)
    assert join(line["line"]).collective == COLLECTIVE
    phone = make().device
    assert phone("signIn", line=other["line"]) == {"role": "member", "collective": COLLECTIVE}
    for one in (line, unused):
        assert lily.one("endMember", id=one["id"]) is None
    with pytest.raises(Refused, match="not-found"):
        join(unused["line"])
    assert lily.one.refusal("endMember", id=line["id"]) == ("not-found", None)
    assert lily.one.refusal("endMember", id="../reports") == ("invalid-request", None)


# An instance that lies.


@pytest.fixture(scope="module")
def undecided(lily: Lily) -> Identifier:
    """The first of two numbers about which there is a report that nobody decides."""
    identifier = new_number()
    lily.file(identifier, new_number())
    return identifier


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"severity": "nuisance"}, "severity"),
        ({"categories": ["scam"]}, "categories"),
        ({"month": "2020-01"}, "month"),
        ({"consent.warn": "statistics"}, "consent"),
        ({"consent.police": "never"}, "consent"),
        ({"wait_days": 3}, "wait_days"),
        ({"request_id": "00" * 16}, "request_id"),
        ({"epoch": 2}, "epoch"),
        ({"identifiers.1.kind": "email"}, "identifiers"),
    ],
)
def test_nothing_that_was_changed_on_the_way_is_decided(
    lily: Lily, undecided: Identifier, changes: dict[str, Any], what: str
) -> None:
    assert lied(lily, undecided, changes) == ("mismatch", what)


def lied(lily: Lily, identifier: Identifier, changes: dict[str, Any]) -> tuple[str, Any]:
    """Change a report on its way to a moderator; return why she can't decide on it."""
    report, device = lily.one.row(identifier)["id"], lily.one.device
    changed = {f"items.0.{name}": value for name, value in changes.items()}
    device.rules({"path": REPORTS, "set": changed})
    device.sent()
    try:
        with pytest.raises(Failed) as failed:
            open_and_approve(lily, report)
        assert lily.one.refusal("approve", id=report)[0] in {"not-opened", "mismatch"}
        assert lily.one.decided() == []
    finally:
        device.rules()
    return failed.value.code, failed.value.members.get("what")


def open_and_approve(lily: Lily, report: str) -> None:
    lily.one("open", id=report)
    lily.one("approve", id=report)


def shown(item: QueueItem) -> Any:
    return json.loads(item.model_dump_json(exclude_none=True))


def test_a_token_is_not_put_in_the_place_of_another(lily: Lily, undecided: Identifier) -> None:
    other = encode_base64(lily.world.token(LISTED))
    changes = {"identifiers.1.token": other}
    assert lied(lily, undecided, changes) == ("mismatch", "identifiers")
    assert lied(lily, undecided, {"identifiers.0.token": other}) == ("mismatch", "queue")


def test_an_account_of_another_report_is_not_taken_for_its_own(
    lily: Lily, undecided: Identifier
) -> None:
    other = shown(lily.third.item(lily.reported()))
    assert lied(lily, undecided, {"sealed": other["sealed"]}) == ("mismatch", "request_id")
    taken = {"sealed": other["sealed"], "request_id": other["request_id"]}
    assert lied(lily, undecided, taken) == ("mismatch", "identifiers")


def test_a_former_report_is_not_replayed(lily: Lily, undecided: Identifier) -> None:
    """Else a signature would take another warning away."""
    listed = new_number()
    lily.file(listed, wait_days=30)
    lily.third.approve(listed)
    lily.one.approve(listed)
    envelope = lily.third.item(listed).envelope
    assert envelope is not None
    former = envelope.model_dump(mode="json")
    entry = encode_base64(entry_id(envelope.payload_type, envelope.payload))
    changes = {"former": former, "replaces": entry}
    assert lied(lily, undecided, changes) == ("mismatch", "former")
    assert lied(lily, undecided, {"replaces": entry}) == ("mismatch", "former")


def test_a_first_approval_without_its_signature_is_not_signed(lily: Lily) -> None:
    identifier = lily.reported()
    lily.third.approve(identifier)
    envelope = shown(lily.third.item(identifier))["envelope"]
    (signature,) = envelope["signatures"]
    dropped = signature | {"keyid": key_id(bytes(32))}
    first = ("mismatch", "first-approval")
    assert lied(lily, identifier, {"envelope.signatures": [dropped]}) == first
    forged = signature | {"sig": encode_base64(bytes(64))}
    assert lied(lily, identifier, {"envelope.signatures": [forged]}) == first
    assert lied(lily, identifier, {"envelope.signatures": []}) == ("no-instance", None)
    assert lied(lily, identifier, {"verdict": "approve"}) == ("no-instance", None)
