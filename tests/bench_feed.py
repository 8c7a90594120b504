"""What following a partner's log costs; a part of `make bench`, and a child process of it.

The partner is made by hand: a log of as many reports as asked for, each about a number of its own
and signed by one moderator, written to a folder a page a file.
"""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nacl.public import PrivateKey
from sqlalchemy import insert

from api.crypto.envelopes import entry_id, key_id, pae, public_key, sign, verify_bytes
from api.crypto.merkle import Frontier
from api.crypto.ristretto import hash_to_element
from api.parts import Parts
from api.server import settle
from api.services.following import Following
from api.services.timekeeping import A_TRANSACTION
from api.settings import Settings
from api.store.engine import open_engine
from schemas.base import Category, Kind, Severity
from schemas.canonical import Document
from schemas.documents import (
    Checkpoint,
    Collective,
    Envelope,
    Identity,
    Keys,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Root,
    Signature,
    Status,
)
from schemas.feed import MOST_ENTRIES, Page, Policy, SignedEntry, WellKnown
from schemas.tables import ReportRow
from tests.factories import Clock, World
from tests.services import database, postgresql

ORIGIN, FEED = "partner.example", "http://127.0.0.1:1/feed/v1/"
WRITERS, APPENDED = 8, 4_000
# A hundred thousand take about five minutes.
REPORTS = int(os.environ.get("PARASOL_BENCH_REPORTS", "20000"))
SAMPLE = 8
"""Pages whose signatures are verified alone."""
REPORT = ReportDocument.payload_type


def signed(document: Document, seed: bytes) -> Envelope:
    """Return a document in an envelope, signed by one key."""
    payload = document.encode()
    signature = Signature(
        keyid=key_id(public_key(seed)), sig=sign(seed, document.payload_type, payload)
    )
    return Envelope.around(document, [signature])


class Written:
    """A partner whose answers lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str, *, most: int, signed: bool = True) -> bytes:  # noqa: ARG002
        """Answer as `api.partners` does, without the way there."""
        path = url.removeprefix("http://127.0.0.1:1/")
        if not path.startswith("feed/v1/entries"):
            return (self._folder / path.replace("/", "-")).read_bytes()
        first = path.partition("from=")[2].partition("&")[0]
        return (self._folder / f"entries-{first}").read_bytes()


def verifying(folder: Path) -> Callable[[], float]:
    """Return what measures the seconds of one verification, over the first pages in `folder`."""
    key, signed_ones = (folder / "key").read_bytes(), []
    for path in sorted(folder.glob("entries-*"))[:SAMPLE]:
        for entry in Page.model_validate_json(path.read_bytes()).entries:
            if isinstance(entry, SignedEntry) and entry.payload_type == REPORT:
                message = pae(entry.payload_type, entry.payload)
                signed_ones.append((message, entry.signatures[0].sig))

    def measure() -> float:
        start = time.perf_counter()
        for message, signature in signed_ones:
            verify_bytes(key, message, signature)
        return (time.perf_counter() - start) / len(signed_ones)

    return measure


def write_partner(folder: Path, ours: Identity, reports: int) -> None:
    """Write a partner's identity and a log of that many reports into `folder`."""
    now = datetime.now(UTC).replace(microsecond=0)
    root, log, moderator = (secrets.token_bytes(32) for _ in range(3))
    identity = ours.model_copy(
        update={
            "version": 1, "previous": None, "origin": ORIGIN, "log": f"{ORIGIN}:1", "feed": FEED,
            "issued": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "expires": f"{now + timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}",
            "root": Root(keys=(public_key(root),), threshold=1),
            "log_key": public_key(log),
            "http_keys": (public_key(secrets.token_bytes(32)),),
            "collectives": (
                Collective(
                    id="rose", status=Status.ACTIVE,
                    moderators=(
                        Moderator(
                            id="m-1", status=Status.ACTIVE, sign=public_key(moderator),
                            box=bytes(PrivateKey.generate().public_key),
                        ),
                    ),
                ),
            ),
        }
    )  # fmt: skip
    (folder / "v1-identity").write_text(signed(identity, root).model_dump_json())
    (folder / "key").write_bytes(public_key(moderator))
    today = f"{now:%Y-%m-%d}"
    keys = Keys(
        origin=ORIGIN, rid=secrets.token_hex(16), identity_version=1, issued=today,
        identity_sha256=hashlib.sha256(identity.encode()).digest(),
    )  # fmt: skip
    frontier, entries, first = Frontier(), [], 0
    for seq in range(reports + 1):
        envelope = signed(keys, log) if seq == 0 else _report(identity, today, moderator)
        frontier.append(entry_id(envelope.payload_type, envelope.payload))
        entries.append(f'{{"seq":{seq},{envelope.model_dump_json()[1:]}')
        if len(entries) == MOST_ENTRIES or seq == reports:
            checkpoint = Checkpoint(
                origin=ORIGIN, log=f"{ORIGIN}:1", size=frontier.size, root=frontier.root,
                issued=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            )  # fmt: skip
            head = signed(checkpoint, log).model_dump_json()
            (folder / f"entries-{first}").write_text(
                f'{{"log":"{ORIGIN}:1","from":{first},"to":{frontier.size},'
                f'"entries":[{",".join(entries)}],"checkpoint":{head}}}'
            )
            (folder / "feed-v1-checkpoint").write_text(head)
            entries, first = [], frontier.size


def _report(identity: Identity, today: str, moderator: bytes) -> Envelope:
    token = hash_to_element(secrets.token_bytes(64))
    report = ReportDocument(
        origin=ORIGIN, collective="rose", rid=secrets.token_hex(16), issued=today,
        expires=f"{int(today[:4]) + 1}{today[4:8]}01", categories=(Category.THREATS,),
        severity=Severity.RISK, month=today[:7], network=identity.network, epoch=identity.epoch,
        identifiers=(ReportedIdentifier(kind=Kind.PHONE, token=token),),
    )  # fmt: skip
    return signed(report, moderator)


def follow(settings: Settings, folder: Path) -> dict[str, Any]:
    """Follow the partner in `folder` from its beginning; return figures of it.

    `ratio` is the rate at which entries come in, to that of verification alone: before and after.
    """
    parts = Parts(settings)
    known = WellKnown(
        protocol=(1,), origin=ORIGIN, feed=FEED, http_keys=(),
        root_sha256=hashlib.sha256(b"\1" + _root(folder)).hexdigest(),
    )  # fmt: skip
    parts.partners.add(known, Policy.AUTO)
    parts.partners.set_quotas(ORIGIN, 10**9, None)
    remote, clock = Written(folder), Clock(_now())
    following = Following(parts.store, parts.instance, parts.positions, remote, clock)
    alone, memory = verifying(folder), _memory()
    before, start = alone(), time.perf_counter()
    synced = following.sync(ORIGIN)
    seconds = time.perf_counter() - start
    peak = _memory("VmHWM")
    after, start = alone(), time.perf_counter()
    parts.partners.purge(ORIGIN)
    purged = time.perf_counter() - start
    parts.partners.remove(ORIGIN)
    parts.close()
    assert synced.code is None, synced
    return {
        "entries": synced.entries, "memory": peak - memory, "purge": purged,
        "ratio": (before + after) / 2 * synced.entries / seconds,
    }  # fmt: skip


def _root(folder: Path) -> bytes:
    envelope = Envelope.model_validate_json((folder / "v1-identity").read_bytes())
    return Identity.decode(envelope.payload).root.keys[0]


def _now() -> datetime:
    return datetime.now(UTC)


def _memory(which: str = "VmRSS") -> float:
    """Return MiB of this process, now or (`VmHWM`) at most; `getrusage` counts its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (size,) = (line.split()[1] for line in lines if line.startswith(f"{which}:"))
    return int(size) / 1024


def ingest(folder: Path, url: str, reports: int) -> list[dict[str, Any]]:
    """Follow a log of that many reports in a process of its own, on all cores and then on one."""
    folder.mkdir()
    pages = folder / "pages"
    pages.mkdir()
    world = World(folder, url, Clock(_now()))
    identity = world.identity
    world.close()
    write_partner(pages, identity, reports)
    environment = {"PARASOL_DATA": str(world.settings.data), "PARASOL_DATABASE_URL": url}
    figures = []
    for cores in ("all", "one"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench_feed", cores, str(pages)],
            env=os.environ | environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        figures.append(json.loads(done.stdout))
    return figures


class Beside:
    """A partner in the same process: what its feed answers, without the way there."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, url: str, *, most: int, signed: bool = True) -> bytes:  # noqa: ARG002
        """Answer as its server would."""
        address = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = self._world.parts
        if address.path == "/v1/identity":
            version = int(query["version"]) if query else None
            return parts.instance.envelope(version).model_dump_json().encode()
        if address.path == "/feed/v1/checkpoint":
            return parts.feed.checkpoint().model_dump_json().encode()
        return parts.feed.entries(int(query["from"]), int(query["limit"]))


def appending(
    folder: Path, url: str, follower: str, reports: int, at_once: int
) -> tuple[float, int]:
    """Let eight processes append while a partner follows; return entries a second, and the lost.

    Each appends so many `at_once`, in a transaction.
    """
    folder.mkdir()
    clock = Clock(_now())
    world = World(folder, url, clock, origin="alpha.example")
    rose = world.collective("rose", 1)
    ids = _to_be_published(world, rose[0].seed, reports)
    (folder / "other").mkdir()
    other = World(folder / "other", follower, clock, origin="beta.example", joins=world)
    parts = other.parts
    parts.partners.add(world.parts.feed.well_known(), Policy.AUTO)
    parts.partners.set_quotas("alpha.example", 10**9, None)
    following = Following(parts.store, parts.instance, parts.positions, Beside(world), clock)
    environment = os.environ | {
        "PARASOL_DATA": str(world.settings.data), "PARASOL_DATABASE_URL": url,
    }  # fmt: skip
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench_feed", "append", f"{at_once}"], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(WRITERS)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for n, writer in enumerate(writers):
        assert writer.stdin is not None
        writer.stdin.write(" ".join(ids[n::WRITERS]) + "\n")
        writer.stdin.close()
    while any(writer.poll() is None for writer in writers):
        following.sync("alpha.example")
        time.sleep(0.5)  # more often than any partner would
    seconds = time.perf_counter() - start
    following.sync("alpha.example")
    lost = reports - parts.partners.all()[0].reports
    world.close()
    other.close()
    return reports / seconds, lost


def append(settings: Settings, at_once: int) -> None:
    """Append the reports that standard input names, so many in each transaction."""
    parts = Parts(settings)
    settle()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ids = sys.stdin.readline().split()
    for start in range(0, len(ids), at_once):
        with parts.store.begin() as tx:
            reports = tx.reports.locked(ids[start : start + at_once])
            parts.log.publish(tx, parts.instance.refresh(tx), reports)
    parts.close()


def _to_be_published(world: World, seed: bytes, reports: int) -> list[str]:
    """Put signed reports into the database, published but not in the log; return their ids."""
    identity, today = world.identity, f"{world.clock.now:%Y-%m-%d}"
    rows = []
    for seq in range(1, reports + 1):
        document = ReportDocument.decode(_report(identity, today, seed).payload)
        envelope = signed(document.model_copy(update={"origin": identity.origin}), seed)
        rows.append(
            {
                "seq": seq, "id": secrets.token_hex(16), "collective": "rose",
                "status": "published", "categories": "threats", "severity": "risk",
                "rank": 1, "month": document.month, "warn": "network", "police": "never",
                "research": False, "wait_days": 0, "request_id": secrets.token_hex(16),
                "sealed": "{}", "submitted_at": 0, "not_before": 0,
                "published_severity": "risk", "published_month": document.month,
                "expires": document.expires, "envelope": envelope.model_dump_json(),
                "entry": entry_id(envelope.payload_type, envelope.payload),
            }
        )  # fmt: skip
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(insert(ReportRow), rows)
    engine.dispose()
    return [str(row["id"]) for row in rows]


def feed_rows() -> list[tuple[str, str]]:
    """Run all of it, on both databases where there are both; return the rows of the table."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sqlite").mkdir()
        rows += _ingest_rows("SQLite", folder, f"sqlite:///{folder}/sqlite/bench.db")
    with (
        suppress(ImportError, OSError),
        tempfile.TemporaryDirectory() as name,
        postgresql("fsync=on", "synchronous_commit=on", "full_page_writes=on") as server,
    ):
        folder = Path(name)
        rows += _ingest_rows("PostgreSQL", folder, f"{server}/postgres")
        for at_once, how in ((A_TRANSACTION, "as they are published"), (1, "one by one")):
            title = f"appending{at_once}"
            rate, lost = appending(
                folder / title, database(server, title), f"sqlite:///{folder}/{title}.db",
                APPENDED, at_once,
            )  # fmt: skip
            rows.append((f"appending, {WRITERS} processes, {how}", f"{rate:.0f} entries/s"))
            rows.append(("… lost by a partner that follows", f"{lost}"))
    return rows


def _ingest_rows(kind: str, folder: Path, url: str) -> list[tuple[str, str]]:
    whole, one = ingest(folder / "ingest", url, REPORTS)
    return [
        (f"feed of {REPORTS:,} reports, {kind}", f"{whole['ratio']:.2f} × verification alone"),
        (f"… on one core, {kind}", f"{one['ratio']:.2f} ×"),
        (f"… memory above idle, {kind}", f"{whole['memory']:.0f} MB"),
        (f"… purge of {REPORTS:,} reports, {kind}", f"{whole['purge']:.2f} s"),
    ]


if __name__ == "__main__":
    settle()
    if sys.argv[1] == "append":
        append(Settings(), int(sys.argv[2]))
    else:
        if sys.argv[1] == "one":
            os.sched_setaffinity(0, {0})
        sys.stdout.write(json.dumps(follow(Settings(), Path(sys.argv[2]))))
