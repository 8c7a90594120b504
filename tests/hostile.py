"""An instance that a test plays by hand: it has real keys, and signs whatever the test wants.

It is honest until it is told otherwise: what a test changes is the one thing that is wrong.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nacl.public import PrivateKey
from sqlalchemy import select

from api.crypto.envelopes import entry_id, key_id, public_key, sign
from api.crypto.merkle import root_of
from api.services.following import Synced
from api.services.partners import PartnerLine
from api.trust import LIFETIME, latest_expiry, root_fingerprint
from schemas.base import Category, Kind, Severity, encode_base64
from schemas.canonical import Document
from schemas.documents import (
    Checkpoint,
    Close,
    Collective,
    Envelope,
    Erase,
    EraseReason,
    Identity,
    Keys,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Root,
    Signature,
    Status,
)
from schemas.feed import Policy, WellKnown
from schemas.tables import Table
from tests.factories import NETWORK, World

ORIGIN = "hostile.example"
FEED = "/feed/v1"
COLLECTIVES = {"lily": ("lily-a", "lily-b", "lily-c"), "iris": ("iris-a",)}
STORED = (
    "foreign_entry", "foreign_report", "foreign_identifier", "partner_identity", "partner_key",
    "evidence", "unsealed",
)  # fmt: skip
POSITION = ("version", "announced", "log", "size", "frontier", "checkpoint", "synced_at")

Answer = Callable[[dict[str, str]], "Sent"]


@dataclass(frozen=True)
class Sent:
    """An answer of the peer, byte for byte."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    fields: tuple[tuple[str, str], ...] = ()
    endless: bool = False


def seed_of(label: str) -> bytes:
    """The seed that a label stands for, as in the vectors."""
    return hashlib.sha256(f"parasol test key:{label}".encode()).digest()


def box_of(label: str) -> bytes:
    """The public key with which accounts would be sealed to a moderator."""
    secret = hashlib.sha256(f"parasol test box:{label}".encode()).digest()
    return bytes(PrivateKey(secret).public_key)


def signature(seed: bytes, document: Document) -> Signature:
    sig = sign(seed, document.payload_type, document.encode())
    return Signature(keyid=key_id(public_key(seed)), sig=sig)


def leaf_of(envelope: Envelope) -> bytes:
    return entry_id(envelope.payload_type, envelope.payload)


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def problem(code: str, status: int, **fields: str) -> Sent:
    body = {"type": f"urn:parasol:problem:{code}", "title": "No.", "status": status, "code": code}
    return Sent(as_json(body), status, "application/problem+json", (*fields.items(),))


@dataclass
class Peer:
    """An instance of the network of `world`, which follows it."""

    world: World
    origin: str = ORIGIN
    number: int = 1
    identities: list[Envelope] = field(default_factory=list)
    entries: list[Envelope | bytes] = field(default_factory=list)
    """Envelopes, or leaf hashes of what is elided."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """What is answered at a path, instead of the truth."""
    asked: list[str] = field(default_factory=list)
    address: str = ""
    rid: int = 0
    newest: Identity | None = None
    tokens: dict[int, bytes] = field(default_factory=dict)

    # Identity

    @property
    def identity(self) -> Identity:
        """The newest version."""
        assert self.newest is not None
        return self.newest

    @property
    def log(self) -> str:
        return f"{self.origin}:{self.number}"

    @property
    def log_seed(self) -> bytes:
        return seed_of(f"{self.log} log")

    def root_seed(self, name: str = "1") -> bytes:
        return seed_of(f"{self.origin} root {name}")

    def seed(self, moderator: str) -> bytes:
        return seed_of(f"{self.origin} {moderator}")

    def moderator(self, name: str, **changes: Any) -> Moderator:
        fields = {
            "id": name,
            "sign": public_key(self.seed(name)),
            "box": box_of(f"{self.origin} {name}"),
            "status": Status.ACTIVE,
        }
        return Moderator(**fields | changes)

    def draft(self, **changes: Any) -> Identity:
        """The next version of the identity, unsigned."""
        if self.identities:
            fields = dict(self.identity)
            fields["version"] += 1
            fields["previous"] = hashlib.sha256(self.identity.encode()).digest()
        else:
            ours = self.world.identity
            fields = {
                **{name: getattr(ours, name) for name in ("argon2id", "epoch", "network")},
                "public_key": ours.public_key,
                "collectives": tuple(
                    Collective(
                        id=name, status=Status.ACTIVE, moderators=tuple(map(self.moderator, ids))
                    )
                    for name, ids in COLLECTIVES.items()
                ),
                "feed": f"{self.address}{FEED}/",
                "http_keys": (public_key(seed_of(f"{self.origin} http")),),
                "log": self.log,
                "log_key": public_key(self.log_seed),
                "origin": self.origin,
                "root": self.root("1"),
                "version": 1,
            }
        fields |= {"issued": self.time(), "expires": self.time(self.now + LIFETIME)}
        return Identity(**fields | changes)

    def root(self, *names: str, threshold: int = 1) -> Root:
        keys = sorted(public_key(self.root_seed(name)) for name in names)
        return Root(keys=tuple(keys), threshold=threshold)

    def issue(self, *roots: str, **changes: Any) -> Identity:
        """Put the next version of the identity on the web; the log does not announce it yet."""
        identity = self.draft(**changes)
        self.put(identity, *roots)
        return identity

    def put(self, identity: Identity, *roots: str) -> None:
        """Sign an identity with root keys, whatever it says."""
        self.newest = identity
        seeds = [self.root_seed(name) for name in roots or ("1",)]
        self.identities.append(
            Envelope.around(identity, [signature(one, identity) for one in seeds])
        )

    def put_raw(self, change: Callable[[dict[str, Any]], None]) -> Envelope:
        """Sign a next version that no honest hand could write; return what announces it."""
        members = json.loads(self.draft().encode())
        change(members)
        payload = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
        seed, kind = self.root_seed(), Identity.payload_type
        one = Signature(keyid=key_id(public_key(seed)), sig=sign(seed, kind, payload))
        self.identities.append(Envelope(payload=payload, payloadType=kind, signatures=(one,)))
        digest = hashlib.sha256(payload).digest()
        return self.keys(identity_version=members["version"], identity_sha256=digest)

    def forget(self) -> None:
        """Take back the newest version, and what the log says of it."""
        self.identities.pop()
        self.entries.pop()
        self.newest = Identity.decode(self.identities[-1].payload)

    def succeed(self, **changes: Any) -> None:
        """Go on with the next log, under a key of its own, from its first entry."""
        before, log = list(self.identities), f"{self.origin}:{self.number + 1}"
        key = public_key(seed_of(f"{log} log"))
        self.issue(**{"log": log, "log_key": key} | changes)
        self.number += 1
        self.entries = [self.keys_of(one) for one in (*before, self.identities[-1])]

    def keys_of(self, version: Envelope) -> Envelope:
        """What announces a version of the identity."""
        number = Identity.decode(version.payload).version
        digest = hashlib.sha256(version.payload).digest()
        return self.keys(identity_version=number, identity_sha256=digest)

    def with_status(self, status: Status, *moderators: str) -> tuple[Collective, ...]:
        """The collectives, when these moderators have another status."""
        return self.collectives(
            lambda one: one.model_copy(update={"status": status}) if one.id in moderators else one
        )

    def collectives(
        self, change: Callable[[Moderator], Moderator | None]
    ) -> tuple[Collective, ...]:
        """The collectives with each moderator changed, or gone where `change` gives None."""
        return tuple(
            one.model_copy(update={"moderators": tuple(filter(None, map(change, one.moderators)))})
            for one in self.identity.collectives
        )

    # Documents

    def token(self, number: int) -> bytes:
        """The token of a reserved number in this network."""
        if number not in self.tokens:
            self.tokens[number] = self.world.token(number)
        return self.tokens[number]

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    def time(self, moment: datetime | None = None) -> str:
        return f"{moment or self.now:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def today(self) -> str:
        return f"{self.now:%Y-%m-%d}"

    def _rid(self) -> str:
        self.rid += 1
        return f"{self.rid:032x}"

    def report_document(self, *numbers: int, **changes: Any) -> ReportDocument:
        month = changes.get("month", "2026-10")
        severity = changes.get("severity", Severity.DANGER)
        fields = {
            "origin": self.origin,
            "collective": "lily",
            "rid": self._rid(),
            "issued": self.today,
            "expires": f"{latest_expiry(month, severity)}",
            "categories": (Category.ROBBERY,),
            "severity": severity,
            "month": month,
            "network": NETWORK,
            "epoch": self.identity.epoch,
            "identifiers": tuple(
                ReportedIdentifier(kind=Kind.PHONE, token=self.token(number))
                for number in numbers or (113,)
            ),
        }
        return ReportDocument(**fields | changes)

    def signed(self, document: Document, *moderators: str) -> Envelope:
        """A document with the signatures of moderators, whoever may give them."""
        return Envelope.around(
            document, [signature(self.seed(one), document) for one in moderators]
        )

    def by_log(self, document: Document, seed: bytes | None = None) -> Envelope:
        return Envelope.around(document, [signature(seed or self.log_seed, document)])

    def report(
        self, *numbers: int, by: Sequence[str] = ("lily-a", "lily-b"), **changes: Any
    ) -> Envelope:
        """A danger report of the collective `lily`, signed by two."""
        return self.signed(self.report_document(*numbers, **changes), *by)

    def risk(self, *numbers: int, by: Sequence[str] = ("lily-a",), **changes: Any) -> Envelope:
        """A report of less, for which one signature suffices."""
        return self.report(*numbers, by=by, **{"severity": Severity.RISK} | changes)

    def retract(
        self, target: Envelope | bytes, *by: str, reason: str = "error", **changes: Any
    ) -> Envelope:
        fields = self._said(RetractReason(reason)) | {
            "collective": "lily",
            "target": target if isinstance(target, bytes) else leaf_of(target),
        }
        return self.signed(Retract(**fields | changes), *by or ("lily-a", "lily-b"))

    def erase(self, *targets: Envelope | bytes, reason: str = "objection") -> Envelope:
        leaves = tuple(one if isinstance(one, bytes) else leaf_of(one) for one in targets)
        return self.by_log(Erase(**self._said(EraseReason(reason)) | {"targets": leaves}))

    def keys(self, **changes: Any) -> Envelope:
        identity = self.identity
        fields: dict[str, Any] = {
            "origin": self.origin,
            "rid": self._rid(),
            "identity_version": identity.version,
            "identity_sha256": hashlib.sha256(identity.encode()).digest(),
            "issued": self.today,
        }
        return self.by_log(Keys(**fields | changes))

    def close(self, **changes: Any) -> Envelope:
        fields = {"origin": self.origin, "rid": self._rid(), "issued": self.today}
        return self.by_log(Close(**fields | changes))

    def _said(self, reason: StrEnum) -> dict[str, Any]:
        return {
            "origin": self.origin, "rid": self._rid(), "reason": reason, "issued": self.today
        }  # fmt: skip

    # Log

    def append(self, *entries: Envelope | bytes) -> None:
        self.entries += entries

    def elide(self, envelope: Envelope) -> None:
        """Serve no more than the leaf hash of an entry, from now on."""
        self.entries[self.entries.index(envelope)] = leaf_of(envelope)

    def leaves(self) -> list[bytes]:
        return [one if isinstance(one, bytes) else leaf_of(one) for one in self.entries]

    def checkpoint(
        self, size: int | None = None, *, by: bytes | None = None, **changes: Any
    ) -> Envelope:
        size = len(self.entries) if size is None else size
        fields: dict[str, Any] = {
            "origin": self.origin,
            "log": self.log,
            "size": size,
            "root": root_of(self.leaves()[:size]),
            "issued": self.time(),
        }
        return self.by_log(Checkpoint(**fields | changes), by)

    def page(self, first: int, limit: int = 256, **changes: Any) -> dict[str, Any]:
        """An honest page as JSON, for a test to change."""
        entries = self.entries[first : first + limit]
        to = first + len(entries)
        page = {
            "log": self.log,
            "from": first,
            "to": to,
            "entries": [_entry(seq, one) for seq, one in enumerate(entries, first)],
            "checkpoint": json.loads(self.checkpoint(to).model_dump_json()),
        }
        return page | changes

    # What is answered

    @property
    def fetched(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(urlsplit(one).path.removeprefix(FEED) for one in self.asked)

    def says(self, path: str, body: Any) -> None:
        """Answer this at a path, from now on."""
        if isinstance(body, Envelope):
            body = Sent(body.model_dump_json().encode())
        sent = body if isinstance(body, Sent) else Sent(as_json(body))
        self.answers[path] = lambda _query: sent

    def answer(self, target: str) -> Sent:
        """What is sent for a path with its query."""
        self.asked.append(target)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(FEED)
        if path in self.answers:
            return self.answers[path](query)
        if path == "/.well-known/parasol":
            return Sent(self.well_known().model_dump_json().encode())
        if path == "/v1/identity":
            version = int(query.get("version", len(self.identities)))
            return Sent(self.identities[version - 1].model_dump_json().encode())
        if path == "/checkpoint":
            return Sent(self.checkpoint().model_dump_json().encode())
        if path == "/entries":
            return Sent(as_json(self.page(int(query["from"]), int(query["limit"]))))
        return problem("unknown-log", 404)

    def well_known(self) -> WellKnown:
        identity = self.identity
        return WellKnown(
            protocol=(1,),
            origin=self.origin,
            feed=f"{self.address}{FEED}/",
            root_sha256=root_fingerprint(identity.root).hex(),
            http_keys=identity.http_keys,
        )

    # How the world sees it

    def sync(self) -> Synced:
        return self.world.parts.following.sync(self.origin)

    def taken(self, *entries: Envelope | bytes) -> None:
        """Append entries and let the world take them all."""
        self.append(*entries)
        assert self.sync().code is None, self.line

    @property
    def line(self) -> PartnerLine:
        (line,) = (one for one in self.world.parts.partners.all() if one.origin == self.origin)
        return line

    @property
    def counted(self) -> int:
        return self.line.counted

    def outcomes(self) -> list[str]:
        """What became of each entry of the log that is in use."""
        partners = {row["origin"]: row["id"] for row in rows_of(self.world, "partner")}
        here = (partners[self.origin], self.number)
        rows = rows_of(self.world, "foreign_entry")
        return [row["outcome"] for row in rows if (row["partner"], row["log"]) == here]

    def refused(self, code: str, what: str = "") -> None:
        """Expect that the world refuses what it is given next, changes nothing, and says why."""
        before = stored(self.world)
        synced = self.sync()
        assert (synced.code, synced.entries) == (code, 0), what
        assert self.line.code == code, what
        assert stored(self.world) == before, what

    def quarantined(self, code: str) -> None:
        """Expect that the world finds a contradiction, keeps both sides, and asks no more."""
        before = stored(self.world)
        assert self.sync().code == code
        assert (self.line.state, self.line.code, self.line.evidence) == (
            "quarantined", code, (code,)
        )  # fmt: skip
        after = stored(self.world)
        assert len(after.pop("evidence")) == 1 + len(before.pop("evidence"))
        assert after == before
        asked = len(self.asked)
        assert self.sync().code == "quarantined"
        assert (len(self.asked), self.line.code) == (asked, code)

    def outcome_of(self, *entries: Envelope | bytes) -> list[str]:
        """Append entries, sync, and return what became of them."""
        first = len(self.entries)
        self.taken(*entries)
        return self.outcomes()[first:]


def _entry(seq: int, entry: Envelope | bytes) -> dict[str, Any]:
    if isinstance(entry, bytes):
        return {"seq": seq, "elided": True, "leaf": encode_base64(entry)}
    members: dict[str, Any] = json.loads(entry.model_dump_json())
    return {"seq": seq} | members


def rows_of(world: World, table: str) -> list[dict[str, Any]]:
    """All rows of a table, as they are."""
    chosen = Table.metadata.tables[table]
    with world.parts.store.read() as tx:
        query = select(chosen).order_by(*chosen.primary_key.columns)
        rows = tx._session.execute(query)  # noqa: SLF001  (a test may look everywhere)
        return [dict(row) for row in rows.mappings()]


def stored(world: World) -> dict[str, Any]:
    """All that following may change, but for when to ask again and why."""
    rows: dict[str, Any] = {table: rows_of(world, table) for table in STORED}
    partners = rows_of(world, "partner")
    rows["position"] = [[row[name] for name in POSITION] for row in partners]
    return rows


@contextmanager
def served(peer: Peer) -> Iterator[Peer]:
    """Let a peer answer on a port of 127.0.0.1 for the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one piece, or each answer waits for an acknowledgement

        def do_GET(self) -> None:
            sent = peer.answer(self.path)
            self.send_response_only(sent.status)
            self.send_header("Content-Type", sent.kind)
            for name, value in sent.fields:
                self.send_header(name, value)
            if not sent.endless:
                self.send_header("Content-Length", str(len(sent.body)))
            self.end_headers()
            try:
                self.wfile.write(sent.body)
                while sent.endless:
                    self.wfile.write(sent.body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Let those go who hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        peer.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def followed(
    world: World, origin: str = ORIGIN, policy: Policy = Policy.AUTO, **fields: Any
) -> Iterator[Peer]:
    """A peer that `world` has added as partner; its log announces its identity."""
    with served(Peer(world, origin, **fields)) as peer:
        peer.issue()
        peer.append(peer.keys())
        partners = world.parts.partners
        partners.add(partners.meet(peer.address), policy)
        yield peer
