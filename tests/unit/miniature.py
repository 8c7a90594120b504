"""A miniature of an instance, honest until a test breaks it in one place."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import httpx2
from nacl.public import PrivateKey

from api.client import Client, Profile
from api.crypto.buckets import Counts, Layout, bucket_index, bucket_word, seal_bucket
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.oprf import KeyEvaluator, derive_key
from api.crypto.ristretto import element
from api.crypto.stretching import Cost, stretch
from api.trust import root_fingerprint
from schemas.documents import (
    Argon2id,
    Collective,
    Envelope,
    Identity,
    Moderator,
    Root,
    Signature,
    Status,
)
from schemas.lookups import EvaluationRequest

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADDRESS = "https://alpha.example"
TOKEN = "psl_m_" + "b" * 43
CODE = "c" * 43
RECEIPT = "1234567890123456"
LISTED = parse_identifier("phone", "07700 900113", "GB")
UNLISTED = parse_identifier("phone", "07700 900114", "GB")
MAIL = parse_identifier("email", "Someone@example.org", None)
SEEN = Counts(danger=2, risk=1, nuisance=0, collectives=2, recent=2)

Handler = Callable[[httpx2.Request], httpx2.Response]


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def public(name: str) -> bytes:
    return public_key(seed(name))


def box_of(name: str) -> PrivateKey:
    return PrivateKey(seed(f"{name} box"))


def moderator(name: str, status: Status = Status.ACTIVE) -> Moderator:
    return Moderator(id=name, sign=public(name), box=bytes(box_of(name).public_key), status=status)


def root(*names: str) -> Root:
    return Root(keys=tuple(sorted(public(name) for name in names)), threshold=1)


def signed(identity: Identity, *names: str) -> Envelope:
    payload = identity.encode()
    return Envelope.around(
        identity,
        [
            Signature(keyid=key_id(public(n)), sig=sign(seed(n), identity.payload_type, payload))
            for n in names
        ],
    )


def evaluator(name: str = "network key") -> KeyEvaluator:
    return KeyEvaluator(derive_key(seed(name), b""), os.urandom)


def first_identity(**changes: Any) -> Identity:
    members: dict[str, Any] = {
        "version": 1,
        "origin": "alpha.example",
        "log": "alpha.example:1",
        "issued": "2026-11-01T00:00:00Z",
        "expires": "2027-11-01T00:00:00Z",
        "root": root("root"),
        "log_key": public("log"),
        "http_keys": (public("http"),),
        "network": "test-network",
        "epoch": 1,
        "public_key": evaluator().public_key,
        "argon2id": Argon2id(m_kib=8, t=1),
        "collectives": (
            Collective(
                id="rose",
                moderators=(moderator("ada"), moderator("bo"), moderator("eve", Status.ENDED)),
                status=Status.ACTIVE,
            ),
            Collective(id="iris", moderators=(moderator("cy"),), status=Status.ACTIVE),
        ),
        "feed": "https://alpha.example/feed/v1/",
    }
    return Identity(**{**members, **changes})


def following(old: Identity, **changes: Any) -> Identity:
    previous = hashlib.sha256(old.encode()).digest()
    kept = {name: getattr(old, name) for name in Identity.model_fields}
    return Identity(**{**kept, "version": old.version + 1, "previous": previous, **changes})


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Instance:
    """Answers by the protocol; `broken` takes the place of single paths."""

    def __init__(self, identity: Identity | None = None) -> None:
        self.identity = identity or first_identity()
        self.identities = [signed(self.identity, "root")]
        self.listed: dict[Identifier, Counts] = {LISTED: SEEN}
        self.evaluator = evaluator()
        self.layout = Layout(0, 256)
        self.now = NOW
        self.ahead: timedelta | None = timedelta()
        self.sealed: datetime = NOW
        self.network: dict[str, Any] = {}
        self.stale: list[str] = []
        self.asked: list[str] = []
        self.requests: list[httpx2.Request] = []
        self.broken: dict[str, Handler] = {}
        self.plain: list[Any] = []
        self.bucket_changes: dict[str, Any] = {}

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.answer)

    @property
    def profile(self) -> Profile:
        held = root_fingerprint(first_identity().root)
        return Profile(address=ADDRESS, token=TOKEN, root=held, collective="rose")

    def client(self, profile: Profile | None = None, **changes: Any) -> Client:
        parts = {"transport": self.transport, "clock": lambda: self.now, **changes}
        return Client(profile or self.profile, **parts)

    def show(self, identity: Identity, *signers: str) -> None:
        self.identity = identity
        self.identities.append(signed(identity, *signers))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.requests.append(request)
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        answer = self.broken.get(path, self._honest)(request)
        if self.ahead is not None:
            date = self.now.astimezone(UTC) + self.ahead
            answer.headers.setdefault("Date", format_datetime(date, usegmt=True))
        return answer

    def _honest(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.startswith("/v1/buckets/"):
            return self._bucket(request)
        handlers: Mapping[str, Handler] = {
            "/v1/identity": self._identity,
            "/v1/network": lambda _: httpx2.Response(200, json=self._network()),
            "/v1/evaluations": self._evaluations,
            "/v1/lookups": lambda _: httpx2.Response(200, json={"results": self.plain}),
            "/v1/tokens": lambda _: httpx2.Response(
                200, json={"token": TOKEN, "role": "member", "collective": "rose"}
            ),
            "/v1/tokens/current": lambda _: httpx2.Response(204),
            "/v1/reports": lambda _: httpx2.Response(201, json={"receipt": RECEIPT}),
            "/v1/receipts/status": lambda _: httpx2.Response(200, json={"status": "in_review"}),
            "/v1/receipts/withdraw": lambda _: httpx2.Response(200, json={"status": "withdrawn"}),
        }
        return handlers[path](request) if path in handlers else problem(404, "not-found")

    def _identity(self, request: httpx2.Request) -> httpx2.Response:
        version = int(request.url.params.get("version", len(self.identities)))
        if not 1 <= version <= len(self.identities):
            return problem(404, "not-found")
        return httpx2.Response(200, json=self.identities[version - 1].model_dump(mode="json"))

    def _network(self) -> dict[str, Any]:
        identity = self.identity
        cost = {"m_kib": identity.argon2id.m_kib, "t": identity.argon2id.t, "p": 1}
        return {
            "network": identity.network,
            "epoch": identity.epoch,
            "suite": "ristretto255-SHA512",
            "public_key": encode(identity.public_key),
            "log_public_key": encode(identity.log_key),
            "argon2id": cost,
            "buckets": {"bits": self.layout.bits, "slots": self.layout.slots},
            "limits": {"elements": 10, "identifiers": 10, "per_hour": 20, "per_day": 100},
            "plain_lookups": True,
            "categories": [],
            **self.network,
        }

    def _evaluations(self, request: httpx2.Request) -> httpx2.Response:
        if self.stale and self.stale[0] == "stale-epoch":
            return problem(409, self.stale.pop(0))
        asked = EvaluationRequest.model_validate_json(request.content)
        return httpx2.Response(200, json=self.evaluated(asked))

    def evaluated(self, asked: EvaluationRequest) -> dict[str, Any]:
        (part,) = self.evaluator.evaluate([element(one) for one in asked.elements])
        elements = [encode(one) for one in part.elements]
        shared = {"share": part.share, "elements": elements, "proof": encode(part.proof)}
        return {"epoch": asked.epoch, "parts": [shared]}

    def _bucket(self, request: httpx2.Request) -> httpx2.Response:
        if self.stale and self.stale[0] == "stale-layout":
            return problem(409, self.stale.pop(0), bits=0, slots=256, epoch=1)
        file = self.bucket(*map(int, request.url.path.split("/")[3:]))
        etag = f'"{hashlib.sha256(repr((self.sealed, self.listed)).encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == etag:
            return httpx2.Response(HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
        return bucket_answer(file, etag)

    def token(self, identifier: Identifier) -> bytes:
        cost = Cost(self.identity.argon2id.m_kib, self.identity.argon2id.t)
        return evaluator().token(stretch(identifier, self.identity.network, cost))

    def bucket(self, epoch: int, bits: int, index: int) -> bytes:
        network = self.identity.network
        entries = [(self.token(one), counts) for one, counts in self.listed.items()]
        made: dict[str, Any] = {
            "network": network,
            "epoch": epoch,
            "layout": Layout(bits, self.layout.slots),
            "index": index,
            "sealed": int(self.sealed.timestamp()) // 3600,
            "salt": os.urandom(16),
            "log_seed": seed("log"),
            "chance": os.urandom,
            **self.bucket_changes,
        }
        mine: Sequence[tuple[bytes, Counts]] = [
            (token, counts)
            for token, counts in entries
            if bucket_index(bucket_word(token, network, epoch), bits) == index
        ]
        return seal_bucket(mine, **made)


def bucket_answer(file: bytes, etag: str = '"etag"') -> httpx2.Response:
    headers = {"Content-Type": "application/vnd.parasol.bucket", "ETag": etag}
    return httpx2.Response(200, content=file, headers=headers)


def problem(status: int, code: str, wait: str | None = None, **members: Any) -> httpx2.Response:
    kind = f"urn:parasol:problem:{code}"
    document = {"type": kind, "title": "No.", "status": status, "code": code, **members}
    headers = {"Content-Type": "application/problem+json"}
    if wait is not None:
        headers["Retry-After"] = wait
    return httpx2.Response(status, content=json.dumps(document), headers=headers)
