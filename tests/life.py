"""An instance and the plain model of it, led through the same life, step by step."""

import itertools
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from api.client import reports as writing
from api.crypto.buckets import bucket_index, bucket_word, find, open_bucket
from api.crypto.envelopes import entry_id, public_key
from api.crypto.failures import InvalidInput
from api.crypto.oprf import blind, unblind
from api.crypto.ristretto import element, scalar_from_uniform
from api.crypto.stretching import Cost, stretch
from api.errors import Refusal
from api.services.checkpoints import verify_log
from api.services.queue import Question
from api.services.stretching import canonical
from schemas.base import Category, Severity, as_time
from schemas.callers import Caller
from schemas.documents import Envelope, Erase, ReportDocument, Retract, RetractReason
from schemas.documents import Status as Standing
from schemas.lookups import EvaluationRequest, LookupQuery
from schemas.moderation import (
    Approval,
    ApprovalAnswer,
    Dispute,
    Merge,
    QueueItem,
    Rejection,
    RejectReason,
    Retraction,
)
from schemas.reports import Consent, Police, SealedSubmission, Status, StatusAnswer, Warn
from tests.databases import Databases
from tests.factories import NETWORK, Moderator, World, awaited, phone, submission
from tests.hostile import rows_of
from tests.plain_life import LIVE, OPEN, Counts, Life, Refused, Report, Signed, last_day

NUMBERS = (113, 114, 115)
COLLECTIVES = {"rose": 3, "thorn": 1}
MEMBERS = 2
MONTHS_AGO = (-1, 0, 0, 0, 1, 2, 11, 12, 23)
SHAREABLE = (Category.ROBBERY, Category.SCAM, Category.TIME_WASTING)
HOURS = (1, 3, 25, 49, 49, 71, 24 * 11, 24 * 100)
WARN = (Warn.NETWORK, Warn.NETWORK, Warn.NETWORK, Warn.LOCAL, Warn.STATISTICS, Warn.NONE)


def _consent(warn: Warn) -> Consent:
    return Consent(warn=warn, police=Police.NEVER, research=False)


BEGINNING = ((113,), (113, 114), (114,), (113, 115))
LISTED = (
    {"severity": Severity.DANGER, "categories": [Category.ROBBERY],
     "consent": _consent(Warn.NETWORK)},
    {"severity": Severity.RISK, "categories": [Category.ROBBERY],
     "consent": _consent(Warn.LOCAL)},
)  # fmt: skip
"""What stands from the beginning, a report of each member."""
MOVES = {
    "file": 6, "approve": 9, "pass_time": 4, "go_round": 3, "retract": 3, "dispute": 3,
    "release": 2, "withdraw": 2, "reject": 1, "merge": 2, "file_again": 1, "see": 1,
    "end_member": 1, "end_moderator": 1, "join": 1, "share": 1,
}  # fmt: skip
"""What may happen next, and how often it does."""
UNLIMITED = dict.fromkeys(
    ("per_hour", "per_day", "collective_per_day", "moderator_per_hour", "reports_per_day"), 10**6
)
RENEWED_DAYS = 200
NOTHING: Counts = (0, 0, 0, 0, 0)

_LIKELY = [move for move, weight in MOVES.items() for _ in range(weight)]


@dataclass
class Filed:
    """What the reporter keeps of a report, and what moderators learn of it."""

    body: bytes
    message: Any
    receipt: str = ""
    id: str = ""


T = TypeVar("T", int, Category)


def outcome(work: Callable[[], Any]) -> Any:
    """What comes of `work`: its answer, or the code of its refusal."""
    try:
        return work()
    except (Refusal, InvalidInput, Refused) as refused:
        return refused.code


class Lives(RuleBasedStateMachine):
    """Each rule is a move in both; after each they must agree."""

    make: Callable[[], AbstractContextManager[World]]

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.world = self.stack.enter_context(type(self).make())
        self.life = Life(self.world.clock.now)
        self.filed: list[Filed] = []
        self.moderators: list[Moderator] = []
        self.members: list[Caller] = []
        self.announced = 1
        self.turns = itertools.cycle(NUMBERS)
        self.documents: dict[bytes, ReportDocument | Retract] = {}
        for name, count in COLLECTIVES.items():
            self.moderators += self.world.collective(name, count)
            self.life.moderators += [(name, Standing.ACTIVE)] * count
            self.announced += 1
            for _ in range(MEMBERS):
                self._new_member(name)
        self.tokens = {number: self.world.token(number) for number in NUMBERS}
        self._round()
        for by, about in enumerate(BEGINNING):
            self._file(by, about, dict(LISTED[by % 2], month="2026-10", wait_days=0))
            report = self.life.reports[-1]
            for moderator in sorted(self.life.active(report.collective))[:2]:
                if report.status in OPEN:
                    item = self._shown(report, moderator)
                    assert item is not None
                    signed = report.signed or self._report(report, item, report.severity)
                    self._approve(report, moderator, signed)
        self._pass(49)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """One rule: of several, hypothesis would leave most out of each example."""
        getattr(self, data.draw(st.sampled_from(_LIKELY), "move"))(data)

    # Moves of workers.

    def file(self, data: st.DataObject) -> None:
        by = data.draw(st.sampled_from(range(len(self.members))), "by")
        about = data.draw(_several(NUMBERS), "about")
        fields: dict[str, Any] = {
            "categories": data.draw(_several(SHAREABLE)),
            "severity": data.draw(st.sampled_from(Severity)),
            "month": _month(self.life.now, data.draw(st.sampled_from(MONTHS_AGO))),
            "consent": _consent(data.draw(st.sampled_from(WARN))),
            "wait_days": data.draw(st.sampled_from([0, 0, 3])),
        }
        self._file(by, about, fields, private=data.draw(st.booleans(), "private"))

    def file_again(self, data: st.DataObject) -> None:
        report = self._remembered(data)
        same = data.draw(st.booleans(), "same")
        filed = self.filed[report.number]
        body = filed.body if same else filed.body + b" "
        expected = outcome(lambda: self.life.file_again(report, same=same))
        actual = outcome(lambda: self._submit(Filed(body, filed.message), report.reporter))
        assert actual == (expected or filed.receipt)

    def withdraw(self, data: st.DataObject) -> None:
        report = self._remembered(data)
        receipt = self.filed[report.number].receipt
        expected = outcome(lambda: self.life.withdraw(report))
        assert outcome(lambda: self.world.withdraw(receipt)) == expected

    # Moves of moderators.

    def see(self, data: st.DataObject) -> None:
        by = data.draw(st.sampled_from(self._active()), "by")
        expected = self.life.see(self.life.moderators[by][0])
        items = self._queue(by, None)
        assert len(items) == len(expected)
        for report, item in zip(expected, items, strict=True):
            self._agree(report, item)

    def approve(self, data: st.DataObject) -> None:
        report, by, item = self._chosen(data, OPEN)
        severity = data.draw(st.sampled_from([report.severity] * 3 + [*Severity]), "severity")
        chance, signed = data.draw(st.integers(0, 19)), None
        # Mostly as the reporter's consent demands.
        if item is not None and (report.warn in {Warn.NETWORK, Warn.LOCAL}) is (chance > 0):
            signed = report.signed if chance > 1 else None
            signed = signed or self._report(report, item, severity)
        self._approve(report, by, signed)

    def reject(self, data: st.DataObject) -> None:
        report, by, _ = self._chosen(data, OPEN)
        rejection = Rejection(reason=RejectReason.TOO_LITTLE)
        self._decide(
            lambda: self.life.reject(report, by),
            lambda caller, id_: self.world.parts.moderation.reject(id_, rejection, caller),
            report, by,
        )  # fmt: skip

    def merge(self, data: st.DataObject) -> None:
        report, by, _ = self._chosen(data, OPEN)
        into = data.draw(st.sampled_from(self.life.alike(report) or self.life.reports), "into")
        id_of_other = self.filed[into.number].id
        if id_of_other:
            merge = Merge(into=id_of_other)
            self._decide(
                lambda: self.life.merge(report, into, by),
                lambda caller, id_: self.world.parts.moderation.merge(id_, merge, caller),
                report, by,
            )  # fmt: skip

    def retract(self, data: st.DataObject) -> None:
        report, by, item = self._chosen(data, LIVE)
        if item is None or item.envelope is None:
            return
        reason = data.draw(st.sampled_from(RetractReason), "reason")
        signed = self._taking_away(data, report, item, reason)
        retraction = Retraction(envelope=self._envelope(signed, by))
        self._decide(
            lambda: self.life.retract(report, by, signed),
            lambda caller, id_: self.world.parts.moderation.retract(id_, retraction, caller),
            report, by,
        )  # fmt: skip

    def dispute(self, data: st.DataObject) -> None:
        report, by, item = self._chosen(data, LIVE)
        if item is None or item.envelope is None:
            return
        signed = None
        if report.warn is not Warn.LOCAL or data.draw(st.booleans(), "signed"):
            signed = self._taking_away(data, report, item, RetractReason.DISPUTED)
        dispute = Dispute(envelope=self._envelope(signed, by))
        self._decide(
            lambda: self.life.dispute(report, by, signed),
            lambda caller, id_: self.world.parts.moderation.dispute(id_, dispute, caller),
            report, by,
        )  # fmt: skip

    def release(self, data: st.DataObject) -> None:
        report, by, _ = self._chosen(data, LIVE | OPEN)
        self._decide(
            lambda: self.life.release(report, by),
            lambda caller, id_: self.world.parts.moderation.release(id_, caller),
            report, by,
        )  # fmt: skip

    # Who comes and goes.

    def end_member(self, data: st.DataObject) -> None:
        valid = [n for n, (_, valid) in enumerate(self.life.members) if valid]
        number = data.draw(st.sampled_from(valid), "whose")
        collective, _ = self.life.members[number]
        by = data.draw(st.sampled_from(sorted(self.life.active(collective))), "by")
        caller = self.world.caller(self.moderators[by])
        self.world.parts.callers.end_member(caller, self.members[number].member)
        self.life.members[number] = collective, False
        self._new_member(collective)

    def end_moderator(self, data: st.DataObject) -> None:
        active = [self.life.active(name) for name in COLLECTIVES]
        crowded = [one for several in active if len(several) > 1 for one in several]
        if not crowded:
            self.join(data)
            return
        number = data.draw(st.sampled_from(sorted(crowded)), "whose")
        standing = data.draw(st.sampled_from([Standing.ENDED, Standing.REVOKED]))
        sign = public_key(self.moderators[number].seed)
        (id_,) = (
            one.id
            for each in self.world.identity.collectives
            for one in each.moderators
            if one.sign == sign
        )
        self.world.parts.identities.end_moderator(id_, standing)
        self._sign_identity()
        self.life.end_moderator(number, standing)

    def join(self, data: st.DataObject) -> None:
        collective = data.draw(st.sampled_from(sorted(COLLECTIVES)), "collective")
        self.moderators.append(self.world.join(collective))
        self._sign_identity()
        self.life.moderators.append((collective, Standing.ACTIVE))

    def share(self, data: st.DataObject) -> None:
        self.life.opted_in = {Category.SCAM} if data.draw(st.booleans(), "shares") else set()
        for collective in COLLECTIVES:
            self.world.parts.identities.share(collective, self.life.opted_in)

    # What time brings.

    def pass_time(self, data: st.DataObject) -> None:
        self._pass(data.draw(st.sampled_from(HOURS), "hours"))

    def go_round(self, _: st.DataObject) -> None:
        self._round()

    # What must hold whatever happened.

    @invariant()
    def receipts_agree(self) -> None:
        for report in self.life.reports:
            filed = self.filed[report.number]
            if report.forgotten and filed.receipt:
                assert outcome(partial(self.world.status, filed.receipt)) == "not-found"
                filed.receipt = ""  # wrong ones are limited
            elif filed.receipt:
                assert self.world.status(filed.receipt) == report.status, report

    @invariant()
    def look_ups_agree(self) -> None:
        """Nobody learns of anything before the next round; each time, of another number."""
        self.world.parts.instance.serve()
        number = next(self.turns)
        assert self._look_up_privately(number) == self.life.listed.get(number, NOTHING)

    # How it is done.

    def _file(
        self, by: int, about: Sequence[int], fields: dict[str, Any], *, private: bool = True
    ) -> None:
        filed = self._sealed(by, about, fields) if private else _plain(about, fields)
        report = Report(
            len(self.life.reports), self.life.members[by][0], by, tuple(about),
            tuple(fields["categories"]), fields["severity"], fields["month"],
            fields["consent"].warn, _waited(self.life.now, fields["wait_days"]),
        )  # fmt: skip
        expected = outcome(lambda: self.life.file(report))
        actual = outcome(lambda: self._submit(filed, by))
        if expected is None:
            assert actual.isdigit(), actual
            filed.receipt = actual
            self.filed.append(filed)
        else:
            assert actual == expected

    def _approve(self, report: Report, by: int, signed: Signed | None) -> None:
        approval = Approval(envelope=self._envelope(signed, by))
        self._decide(
            lambda: self.life.approve(report, by, signed),
            lambda caller, id_: self.world.parts.moderation.approve(id_, approval, caller),
            report, by,
        )  # fmt: skip

    def _report(self, report: Report, item: QueueItem, severity: Severity) -> Signed:
        """What a moderator signs of it."""
        document = self.world.document(item, report.collective, severity=severity)
        return self._signed(document, Signed(b"", severity, last_day(report.month, severity)))

    def _pass(self, hours: float) -> None:
        self.world.clock.pass_(hours=hours)
        self.life.now = self.world.clock.now
        age = self.life.now - as_time(self.world.identity.issued)
        if age.days > RENEWED_DAYS:
            self._sign_identity()
        self._round()

    def _round(self) -> None:
        self.world.round()
        self.life.round(
            lambda one: self.world.status(self.filed[one.number].receipt) is not Status.APPROVED
        )
        self._look_up_plainly()
        self._rows_agree()
        self._log_agrees()

    def _look_up_plainly(self) -> None:
        caller = self.world.caller(self.moderators[self._active()[0]])
        query = LookupQuery(identifiers=[phone(number) for number in NUMBERS])
        answer = awaited(self.world.parts.lookups.answer(query, caller))
        for number, result in zip(NUMBERS, answer.results, strict=True):
            one = result.reports
            counts = one.danger, one.risk, one.nuisance, result.collectives, one.recent
            assert counts == self.life.listed.get(number, NOTHING)
            assert one.total == sum(counts[:3])
            assert result.match == (one.total > 0)

    def _look_up_privately(self, number: int) -> Counts:
        """As §3 says: the instance is given a blinded element, and asked for a bucket."""
        caller = self.world.caller(self.moderators[self._active()[0]])
        identity, lookups = self.world.identity, self.world.parts.lookups
        cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
        r = scalar_from_uniform(secrets.token_bytes(64))
        blinded = blind(stretch(canonical(phone(number)), NETWORK, cost), r)
        request = EvaluationRequest(epoch=identity.epoch, elements=[blinded])
        (part,) = lookups.evaluate(request, caller).parts
        token = unblind(element(part.elements[0]), r)
        bits = lookups.network().buckets.bits
        index = bucket_index(bucket_word(token, NETWORK, identity.epoch), bits)
        bucket = open_bucket(
            lookups.bucket(identity.epoch, bits, index).file,
            network=NETWORK, epoch=identity.epoch, bits=bits, index=index,
            log_key=identity.log_key, now=int(self.life.now.timestamp()), small=True,
        )  # fmt: skip
        counts = find(bucket, token)
        if counts is None:
            return NOTHING
        return counts.danger, counts.risk, counts.nuisance, counts.collectives, counts.recent

    def _rows_agree(self) -> None:
        """What has ended has left no token, no tag, no account."""
        standing = [one for one in self.life.reports if one.ended is None]
        reports = {row["seq"]: row for row in rows_of(self.world, "report")}
        assert sorted(row["request_id"] for row in reports.values()) == sorted(
            self.filed[one.number].message.request_id for one in standing
        )
        held = [
            (reports[row["report"]]["request_id"], row["token"])
            for row in rows_of(self.world, "identifier")
        ]
        assert sorted(held) == sorted(
            (self.filed[one.number].message.request_id, self.tokens[number])
            for one in standing
            for number in one.about
        )
        assert rows_of(self.world, "unsealed") == []
        recorded = [one for one in self.life.reports if one.recorded_until is not None]
        assert len(rows_of(self.world, "recorded")) == len(recorded)
        receipts = [one for one in self.life.reports if not one.forgotten]
        assert len(rows_of(self.world, "receipt")) == len(receipts)

    def _log_agrees(self) -> None:
        """The log holds, and says what must be said: nothing else, and nothing twice."""
        with self.world.parts.store.read() as tx:
            verify_log(tx, self.world.identity)
        retracted: list[bytes] = []
        erasures: dict[bytes, str] = {}
        keys = 0
        rows = rows_of(self.world, "entry")
        for row in rows:
            if row["envelope"] is None:
                assert self.life.entries[row["leaf"]].erased
                continue
            envelope = Envelope.model_validate_json(row["envelope"])
            if envelope.payload_type == ReportDocument.payload_type:
                assert not self.life.entries[row["leaf"]].erased
            elif envelope.payload_type == Retract.payload_type:
                retracted.append(Retract.decode(envelope.payload).target)
            elif envelope.payload_type == Erase.payload_type:
                document = Erase.decode(envelope.payload)
                erasures |= dict.fromkeys(document.targets, document.reason.value)
            else:
                keys += 1
        leaves = [row["leaf"] for row in rows if row["leaf"] in self.life.entries]
        assert sorted(leaves) == sorted(self.life.entries)
        assert sorted(retracted) == sorted(self.life.retracted)
        assert erasures == self.life.erasures
        assert keys == self.announced

    def _decide(
        self, expected: Callable[[], Any], decision: Callable[[Caller, str], Any], report: Report,
        by: int,
    ) -> None:  # fmt: skip
        id_ = self.filed[report.number].id
        if not id_:
            return  # it ended before any moderator saw it
        caller = self.world.caller(self.moderators[by])
        actual = outcome(lambda: decision(caller, id_))
        if isinstance(actual, ApprovalAnswer):
            actual = actual.status, actual.approvals, actual.needed
        elif isinstance(actual, StatusAnswer):
            actual = actual.status
        assert actual == outcome(expected), report

    def _chosen(
        self, data: st.DataObject, statuses: frozenset[Status]
    ) -> tuple[Report, int, QueueItem | None]:
        """A report, mostly one in such a status, and who decides, mostly of its collective.

        With what the queue shows her of it.
        """
        while not self.life.reports:
            self.file(data)
        reports = self.life.reports
        fitting = [one for one in reports if one.status in statuses]
        likely = fitting if data.draw(st.integers(0, 9)) else reports
        report = data.draw(st.sampled_from(likely or reports), "report")
        own = sorted(self.life.active(report.collective))
        by = data.draw(st.sampled_from(own * 5 + self._active()), "by")
        if self.life.moderators[by][0] != report.collective:
            return report, by, None
        return report, by, self._shown(report, by)

    def _shown(self, report: Report, by: int) -> QueueItem | None:
        """What a moderator's queue shows of a report."""
        self.life.see(report.collective)
        shown = self._queue(by, None) + self._queue(by, report.status)
        wanted = self.filed[report.number].message.request_id
        item = next((one for one in shown if one.request_id == wanted), None)
        assert (item is not None) == (report.ended is None)
        if item is not None:
            self._agree(report, item)
        return item

    def _queue(self, by: int, status: Status | None) -> list[QueueItem]:
        caller = self.world.caller(self.moderators[by])
        question = Question(status, None, None, 100)
        items = []
        while True:
            page = self.world.parts.queue.page(question, caller)
            items += page.items
            if page.next is None:
                break
            question = replace(question, after=page.next)
        ids = {item.request_id: item.id for item in items}
        for filed in self.filed:
            filed.id = ids.get(filed.message.request_id, filed.id)
        return items

    def _agree(self, report: Report, item: QueueItem) -> None:
        assert item.request_id == self.filed[report.number].message.request_id
        assert (item.status, item.severity, item.month, item.consent.warn) == (
            report.status, report.severity, report.month, report.warn,
        )  # fmt: skip
        assert [one.token for one in item.identifiers] == [self.tokens[n] for n in report.about]
        grave = Severity.DANGER in {
            report.signed.severity if report.signed and report.status in LIVE else report.severity,
            report.signed.severity if report.signed and report.status in OPEN else None,
        }
        assert item.needed == self.life.needed(report.collective, grave=grave)
        assert item.approvals == self.life.approvals(report)
        assert item.replaces == report.former
        alike = [self.filed[one.number].id for one in self.life.alike(report)]
        assert item.same_reporter == alike

    def _taking_away(
        self, data: st.DataObject, report: Report, item: QueueItem, reason: RetractReason
    ) -> Signed:
        """What is pending, mostly; else something new."""
        if report.retraction is not None and data.draw(st.integers(0, 4), "anew"):
            return report.retraction
        document = self.world.retract_document(item, reason)
        return self._signed(document, Signed(b"", reason=reason))

    def _signed(self, document: ReportDocument | Retract, signed: Signed) -> Signed:
        signed.entry = entry_id(document.payload_type, document.encode())
        self.documents[signed.entry] = document
        return signed

    def _envelope(self, signed: Signed | None, by: int) -> Envelope | None:
        if signed is None:
            return None
        return self.world.envelope(self.documents[signed.entry], self.moderators[by])

    def _sealed(self, by: int, about: Sequence[int], fields: dict[str, Any]) -> Filed:
        collective, _ = self.life.members[by]
        identifiers = [canonical(phone(number)) for number in about]
        body = writing.sealed_report(
            writing.Report(identifiers, **fields), self.world.identity, collective,
            [self.tokens[number] for number in about], secrets.token_bytes,
        )  # fmt: skip
        return Filed(body, SealedSubmission.model_validate_json(body))

    def _submit(self, filed: Filed, by: int) -> str:
        caller = self.world.parts.callers.recognise(self.members[by].bearer.get_secret_value())
        return self.world.parts.reports.submit(filed.message, filed.body, caller).receipt

    def _sign_identity(self) -> None:
        self.world.sign_identity()
        self.announced += 1

    def _new_member(self, collective: str) -> None:
        self.members.append(self.world.member(collective))
        self.life.members.append((collective, True))

    def _active(self) -> list[int]:
        return sorted(one for name in COLLECTIVES for one in self.life.active(name))

    def _remembered(self, data: st.DataObject) -> Report:
        """A report whose receipt is still known."""
        while not (known := [one for one in self.life.reports if not one.forgotten]):
            self.file(data)
        return data.draw(st.sampled_from(known), "report")


def _several(values: Iterable[T]) -> st.SearchStrategy[list[T]]:
    one = st.sampled_from(sorted(values))
    return st.lists(one, min_size=1, max_size=2, unique=True).map(sorted)


def _month(now: datetime, ago: int) -> str:
    months = now.year * 12 + now.month - 1 - ago
    return f"{months // 12}-{months % 12 + 1:02}"


def _plain(about: Sequence[int], fields: dict[str, Any]) -> Filed:
    message = submission(*about, **fields)
    return Filed(message.request_id.encode(), message)


def _waited(now: datetime, days: int) -> datetime:
    hour = now.replace(minute=0, second=0)
    if days == 0:
        return hour
    return hour + timedelta(days=days) + (timedelta() if hour == now else timedelta(hours=1))


def live(
    kind: str, request: pytest.FixtureRequest, folder: Path, *, examples: int, steps: int,
    phases: Sequence[Phase] = (Phase.generate,),
) -> None:  # fmt: skip
    """Lead `examples` instances over a database of that kind through `steps` moves each."""
    count = itertools.count()

    @contextmanager
    def fresh() -> Iterator[World]:
        place = folder / f"life{next(count)}"
        place.mkdir()
        with ExitStack() as stack:
            if kind == "sqlite":
                template = request.getfixturevalue("sqlite_template")
                url = f"sqlite:///{shutil.copy(template, place / 'test.db')}"
            else:
                databases: Databases = request.getfixturevalue("postgresql_databases")
                url = stack.enter_context(databases.lent())
            world = World(place, url, options=UNLIMITED)
            stack.callback(world.close)
            yield world
        shutil.rmtree(place)

    chosen = settings(
        max_examples=examples, stateful_step_count=steps, phases=phases, deadline=None,
        database=None, suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    machine = type("Lives", (Lives,), {"make": staticmethod(fresh)})
    run_state_machine_as_test(machine, settings=chosen)
