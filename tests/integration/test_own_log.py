"""What enters this instance's own log, in which order, and what leaves it again."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.crypto.envelopes import entry_id, public_key
from api.crypto.failures import InvalidInput
from api.crypto.merkle import Frontier, root_of
from api.services.checkpoints import verify_log
from api.services.following import Following
from api.trust import open_checkpoint, open_page, open_report, signatures_needed, signers
from schemas.base import Category, Severity
from schemas.documents import (
    Close,
    Envelope,
    Erase,
    EraseReason,
    Keys,
    ReportDocument,
    Retract,
    RetractReason,
)
from schemas.documents import Status as Standing
from schemas.feed import Page, Policy
from schemas.moderation import Approval, Dispute, Retraction
from schemas.reports import Status as At
from schemas.reports import Warn
from schemas.tables import Table
from tests.factories import Moderator, World
from tests.hostile import rows_of

REPORT, RETRACT, ERASE, KEYS = (
    one.payload_type for one in (ReportDocument, Retract, Erase, Keys)
)  # fmt: skip


@pytest.fixture
def rose(world: World) -> list[Moderator]:
    return world.collective("rose", 3)


def envelopes(world: World) -> list[Envelope | None]:
    """What is stored of each entry; None where it is erased."""
    return [
        None if row["envelope"] is None else Envelope.model_validate_json(row["envelope"])
        for row in rows_of(world, "entry")
    ]


def types(world: World) -> list[str | None]:
    """The type of each entry; None where it is erased."""
    return [None if one is None else one.payload_type for one in envelopes(world)]


def holds(world: World) -> None:
    """Hold the log to all that a follower holds it to."""
    with world.parts.store.read() as tx:
        size, _ = verify_log(tx, world.identity)
    page = Page.model_validate_json(world.parts.feed.entries(0, 256))
    assert open_page(page, world.identity, Frontier()).frontier.size == size
    head = open_checkpoint(world.parts.feed.checkpoint(), world.identity.log_key)
    rows = rows_of(world, "entry")
    assert [row["seq"] for row in rows] == list(range(size))
    assert (head.size, head.root) == (size, root_of([row["leaf"] for row in rows]))


def end(world: World, moderator: Moderator, status: Standing) -> None:
    """End a moderator; the next identity tells everybody else."""
    (collective,) = world.identity.collectives
    ids = {one.sign: one.id for one in collective.moderators}
    world.parts.identities.end_moderator(ids[public_key(moderator.seed)], status)


def published(world: World, moderator: Moderator) -> Any:
    (item,) = world.queue(moderator, At.PUBLISHED)
    return item


def test_the_first_entry_announces_the_first_identity_and_each_next_one_follows(
    world: World,
) -> None:
    world.collective("rose")
    world.collective("thorn")
    announced = [Keys.decode(one.payload) for one in envelopes(world) if one is not None]
    assert [one.identity_version for one in announced] == [1, 2, 3]
    assert announced[0].origin == world.identity.origin
    holds(world)


def test_only_what_the_reporter_and_the_vocabulary_allow_leaves(
    world: World, rose: list[Moderator]
) -> None:
    member, before = world.member("rose"), len(types(world))
    staying: list[dict[str, Any]] = [
        {"warn": Warn.LOCAL},
        {"categories": [Category.TIME_WASTING], "severity": Severity.NUISANCE},
        {"categories": [Category.ROBBERY, Category.TIME_WASTING]},
        {"categories": [Category.SCAM], "severity": Severity.RISK},
        {"categories": [Category.AUTHORITY_ABUSE]},
        {"categories": [Category.AUTHORITY_ABUSE, Category.ROBBERY]},
    ]
    for number, changes in enumerate(staying, 113):
        world.publish(member, rose, number, **changes)
    assert len(world.queue(rose[0], At.PUBLISHED)) == len(staying)
    assert len(types(world)) == before
    world.publish(member, rose, 130)
    assert types(world)[before:] == [REPORT]
    for warn in (Warn.STATISTICS, Warn.NONE):
        world.file(member, 131, warn=warn)
    holds(world)


def test_what_a_collective_opts_in_to_leaves(world: World, rose: list[Moderator]) -> None:
    with world.parts.store.begin() as tx:
        tx.collectives.set_opted_in("rose", frozenset({Category.SCAM}))
    member, before = world.member("rose"), len(types(world))
    world.publish(member, rose, 113, categories=[Category.SCAM], severity=Severity.RISK)
    world.publish(member, rose, 114, categories=[Category.AUTHORITY_ABUSE])
    both = [Category.AUTHORITY_ABUSE, Category.SCAM]
    world.publish(member, rose, 115, categories=both)
    assert types(world)[before:] == [REPORT]


@pytest.mark.parametrize("severity", [Severity.DANGER, Severity.RISK])
def test_a_dispute_is_told_at_once_and_what_comes_of_it_replaces(
    world: World, rose: list[Moderator], severity: Severity
) -> None:
    world.publish(world.member("rose"), rose, 113, severity=severity)
    before, item = len(types(world)), published(world, rose[0])
    document = world.retract_document(item, RetractReason.DISPUTED)
    needed = 2 if severity is Severity.DANGER else 1
    for count, moderator in enumerate(rose[:needed], 1):
        assert len(types(world)) == before
        dispute = Dispute(envelope=world.envelope(document, moderator))
        world.parts.moderation.dispute(item.id, dispute, world.caller(moderator))
        assert len(types(world)) == before + (count == needed)
    said = envelopes(world)[-1]
    assert said is not None
    assert (said.payload_type, len(said.signatures)) == (RETRACT, needed)
    world.parts.moderation.release(item.id, world.caller(rose[0]))
    (again,) = world.queue(rose[0], At.IN_REVIEW)
    world.approve(again, *rose[: again.needed])
    world.clock.pass_(hours=49)
    world.round()
    assert item.envelope is not None
    last = envelopes(world)[-1]
    assert last is not None
    former = entry_id(item.envelope.payload_type, item.envelope.payload)
    assert ReportDocument.decode(last.payload).replaces == former
    holds(world)


def test_a_withdrawal_erases_all_that_the_log_ever_said(
    world: World, rose: list[Moderator]
) -> None:
    receipt = world.publish(world.member("rose"), rose, 113)
    other = world.publish(world.member("rose"), rose, 114)
    assert (types(world)[-2:], other != receipt) == ([REPORT, REPORT], True)
    leaves = [row["leaf"] for row in rows_of(world, "entry")]
    world.withdraw(receipt)
    assert types(world)[-3:] == [None, REPORT, ERASE]
    last = envelopes(world)[-1]
    assert last is not None
    erase = Erase.decode(last.payload)
    assert (erase.targets, erase.reason) == ((leaves[-2],), EraseReason.REPORTER_REQUEST)
    # The leaf, and with it the root, stay.
    assert [row["leaf"] for row in rows_of(world, "entry")][:-1] == leaves
    row = rows_of(world, "entry")[-3]
    assert (row["report"], row["expires"]) == (None, None)
    holds(world)


@pytest.mark.parametrize(
    ("reason", "erased"),
    [
        (RetractReason.OBJECTION, EraseReason.OBJECTION),
        (RetractReason.LEGAL, EraseReason.LEGAL),
        (RetractReason.REPORTER_REQUEST, EraseReason.REPORTER_REQUEST),
        (RetractReason.ERROR, None),
    ],
)
def test_a_retraction_is_told_and_an_objection_erases(
    world: World, rose: list[Moderator], reason: RetractReason, erased: EraseReason | None
) -> None:
    world.publish(world.member("rose"), rose, 113)
    item = published(world, rose[0])
    document = world.retract_document(item, reason)
    for moderator in rose[:2]:
        envelope = world.envelope(document, moderator)
        caller = world.caller(moderator)
        world.parts.moderation.retract(item.id, Retraction(envelope=envelope), caller)
    if erased is None:
        assert types(world)[-2:] == [REPORT, RETRACT]
    else:
        assert types(world)[-3:] == [None, RETRACT, ERASE]
        last = envelopes(world)[-1]
        assert last is not None
        assert Erase.decode(last.payload).reason is erased
    holds(world)


def test_what_has_expired_is_erased(world: World, rose: list[Moderator]) -> None:
    member = world.member("rose")
    world.publish(member, rose, 113, severity=Severity.NUISANCE)
    world.publish(member, rose, 114)
    before = types(world)
    world.clock.now = world.clock.now.replace(year=2027, month=10, day=31)
    world.round()
    assert types(world) == before
    world.clock.pass_(days=1)
    world.round()
    assert types(world) == [*before[:-2], None, REPORT, ERASE]
    said = envelopes(world)[-1]
    assert said is not None
    erase = Erase.decode(said.payload)
    leaf = rows_of(world, "entry")[len(before) - 2]["leaf"]
    assert (erase.reason, erase.targets) == (EraseReason.EXPIRED, (leaf,))
    holds(world)


def test_the_head_is_signed_anew_every_day_and_nothing_else_changes(
    world: World, rose: list[Moderator]
) -> None:
    world.publish(world.member("rose"), rose, 113)
    rows, head = rows_of(world, "entry"), world.parts.feed.checkpoint()
    world.clock.pass_(hours=19)
    world.round()
    assert world.parts.feed.checkpoint() == head
    world.clock.pass_(hours=2)
    world.round()
    renewed = world.parts.feed.checkpoint()
    was, now = (open_checkpoint(one, world.identity.log_key) for one in (head, renewed))
    assert (now.size, now.root) == (was.size, was.root)
    assert now.issued == f"{world.clock.now:%Y-%m-%dT%H:%M:%SZ}"
    assert rows_of(world, "entry")[:-1] == rows[:-1]
    holds(world)


def test_a_log_that_begins_late_begins_with_all_that_still_counts(
    world: World, rose: list[Moderator]
) -> None:
    """The database of an instance that had published before there was a log."""
    member = world.member("rose")
    world.publish(member, rose, 113)
    world.publish(member, rose, 114, severity=Severity.RISK)
    world.publish(member, rose, 115, warn=Warn.LOCAL)
    end(world, rose[0], Standing.ENDED)
    world.join("rose")
    world.sign_identity()
    world.publish(member, rose[1:], 116)
    with world.parts.store.begin() as tx:
        for table in ("entry", "log"):
            tx._session.execute(Table.metadata.tables[table].delete())  # noqa: SLF001
    # Whatever comes first begins it.
    world.publish(member, rose[1:], 117)
    assert types(world).count(KEYS) == world.identity.version
    assert types(world).count(REPORT) == 4
    holds(world)
    assert verified(world) == 4


def verified(world: World) -> int:
    """How many reports hold by the identity that is in force where they stand."""
    versions: dict[int, Any] = {}
    with world.parts.store.read() as tx:
        for version in range(1, world.identity.version + 1):
            text = tx.collectives.identity(version)
            assert text is not None
            kind = type(world.identity)
            versions[version] = kind.decode(Envelope.model_validate_json(text).payload)
    good, identity = 0, None
    for envelope in envelopes(world):
        assert envelope is not None
        if envelope.payload_type == KEYS:
            identity = versions[Keys.decode(envelope.payload).identity_version]
            continue
        assert identity is not None
        report = open_report(envelope, identity, today=world.clock.now.date())
        danger = report.severity is Severity.DANGER
        needed = signatures_needed(identity, report.collective, danger=danger)
        good += len(signers(envelope, identity, report.collective)) >= needed
    return good


def test_signatures_of_who_has_ended_since_do_not_leave(
    world: World, rose: list[Moderator]
) -> None:
    world.file(world.member("rose"), 113, severity=Severity.RISK)
    item = world.queue(rose[0])[-1]
    document = world.document(item, "rose")
    envelope = world.envelope(document, rose[0], rose[1])
    one = world.envelope(document, rose[0])
    world.parts.moderation.approve(item.id, Approval(envelope=one), world.caller(rose[0]))
    with world.parts.store.begin() as tx:
        report = tx.reports.find(item.id)
        assert report is not None
        tx.reports.change(report, (At.APPROVED,), envelope=envelope.model_dump_json())
    end(world, rose[0], Standing.ENDED)
    world.sign_identity()
    world.clock.pass_(hours=49)
    world.round()
    last = envelopes(world)[-1]
    assert last is not None
    assert [one.keyid for one in last.signatures] == [rose[1].kid]
    assert verified(world) == 1


def test_a_revocation_is_announced_and_what_it_leaves_unsigned_is_replaced(
    world: World, rose: list[Moderator]
) -> None:
    world.publish(world.member("rose"), rose, 113)
    first = published(world, rose[0])
    assert first.envelope is not None
    end(world, rose[0], Standing.REVOKED)
    world.sign_identity()
    assert types(world)[-2:] == [REPORT, KEYS]
    (again,) = world.queue(rose[1], At.IN_REVIEW)
    world.approve(again, *rose[1:])
    world.round()
    last = envelopes(world)[-1]
    assert last is not None
    assert ReportDocument.decode(last.payload).replaces == entry_id(
        first.envelope.payload_type, first.envelope.payload
    )
    holds(world)


def test_a_log_that_was_tampered_with_does_not_hold(world: World, rose: list[Moderator]) -> None:
    world.publish(world.member("rose"), rose, 113)
    entry = Table.metadata.tables["entry"]
    last = len(types(world)) - 1
    envelope = envelopes(world)[last]
    assert envelope is not None
    other = ReportDocument.decode(envelope.payload).model_copy(update={"rid": "0" * 32})
    text = Envelope.around(other, envelope.signatures).model_dump_json()
    for values, code in (
        ({"leaf": bytes(32)}, "root-mismatch"),
        ({"envelope": text}, "root-mismatch"),
        ({"root": bytes(32)}, "root-mismatch"),
        ({"signature": bytes(64)}, "bad-signature"),
        ({"issued": 0}, "bad-signature"),
        ({"seq": last + 1}, "wrong-order"),
    ):
        before = rows_of(world, "entry")[last]
        change(world, entry, last, values)
        with world.parts.store.read() as tx, pytest.raises(InvalidInput) as caught:
            verify_log(tx, world.identity)
        assert caught.value.code == code
        change(world, entry, values.get("seq", last), before)  # type: ignore[arg-type]
    holds(world)


def change(world: World, table: Any, seq: int, values: dict[str, Any]) -> None:
    with world.parts.store.begin() as tx:
        tx._session.execute(table.update().where(table.c.seq == seq).values(**values))  # noqa: SLF001


def test_a_closed_log_takes_no_more(world: World, rose: list[Moderator]) -> None:
    receipt = world.publish(world.member("rose"), rose, 113)
    with world.parts.store.begin() as tx:
        world.parts.log.close(tx, world.identity, "alpha.example:2")
    last = envelopes(world)[-1]
    assert last is not None
    assert Close.decode(last.payload).successor == "alpha.example:2"
    # What happens afterwards is for another log to tell; what is withdrawn is gone all the same.
    before = len(types(world))
    world.withdraw(receipt)
    assert types(world)[-2:] == [None, Close.payload_type]
    assert (len(types(world)), world.parts.feed.checkpoint()) == (before, head_of(world))
    holds(world)


def head_of(world: World) -> Envelope:
    page = Page.model_validate_json(world.parts.feed.entries(0, 256))
    return page.checkpoint


# Many at once


class Local:
    """Asks an instance in the same process what it would serve."""

    def __init__(self, world: World) -> None:
        self.world = world

    def get(self, url: str, *, most: int, signed: bool = True) -> bytes:
        assert signed
        parts = urlsplit(url)
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
        feed, path = self.world.parts.feed, parts.path
        if path.endswith("/v1/identity"):
            instance = self.world.parts.instance
            body = instance.envelope(query.get("version")).model_dump_json().encode()
        elif path.endswith("/checkpoint"):
            body = feed.checkpoint().model_dump_json().encode()
        else:
            body = feed.entries(query["from"], query["limit"])
        assert len(body) <= most
        return body


@pytest.fixture
def follower(world: World, tmp_path: Path, sqlite_template: Path) -> Iterator[Callable[[], Any]]:
    """A second instance of the network, which follows `world`."""
    folder = tmp_path / "follower"
    folder.mkdir()
    database = folder / "test.db"
    database.write_bytes(sqlite_template.read_bytes())
    with ExitStack() as stack:
        url = f"sqlite:///{database}"
        other = World(folder, url, world.clock, origin="beta.example", joins=world)
        stack.callback(other.close)
        parts = other.parts
        parts.partners.add(world.parts.feed.well_known(), Policy.AUTO)
        parts.partners.set_quotas(world.identity.origin, 1000, 1000)
        following = Following(
            parts.store, parts.instance, parts.positions, Local(world), world.clock
        )

        def sync() -> Any:
            assert following.sync(world.identity.origin).code is None
            (line,) = parts.partners.all()
            return line

        yield sync


def test_of_what_eight_write_at_once_a_follower_loses_nothing(
    world: World, rose: list[Moderator], follower: Callable[[], Any]
) -> None:
    member = world.member("rose")
    for number in range(113, 145):
        world.file(member, number)
        item = world.queue(rose[0])[-1]
        world.approve(item, *rose[:2])
    due = [row["id"] for row in rows_of(world, "report")]
    receipts = []
    before, done = len(types(world)), threading.Event()
    publish = world.parts.timekeeper._publish  # noqa: SLF001
    lines = []

    def follow() -> None:
        while not done.is_set():
            lines.append(follower())

    watching = threading.Thread(target=follow)
    watching.start()
    with ThreadPoolExecutor(8) as writers:
        receipts = list(writers.map(lambda one: publish([one], world.clock.now), due))
    done.set()
    watching.join()
    assert receipts == [1] * 32
    line = follower()
    assert (line.entries, line.reports, line.counted) == (before + 32, 32, 32)
    assert line.refused == {}
    assert [one.entries for one in lines] == sorted(one.entries for one in lines)
    holds(world)
