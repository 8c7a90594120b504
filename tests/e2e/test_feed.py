"""What partners may fetch: each request signed by one of them, for this instance, and only once."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.crypto import requests
from api.crypto.envelopes import key_id, public_key, sign_bytes
from api.crypto.merkle import Frontier
from api.crypto.requests import sign_request
from api.trust import check_head, open_checkpoint, open_identity, open_page, root_fingerprint
from schemas.base import encode_base64
from schemas.documents import Envelope, RetractReason
from schemas.feed import Page, Policy
from schemas.moderation import Dispute
from schemas.reports import Status
from tests.e2e.conftest import problem_of
from tests.factories import Moderator, World
from tests.hostile import Peer, followed, rows_of, seed_of

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FEED = "/feed/v1"
HEAD, ENTRIES = f"{FEED}/checkpoint", f"{FEED}/entries?from=0"
WITNESS, RETURNS = f"{FEED}/witness?log=hostile.example:1", f"{FEED}/returns?from=0"
PUBLIC = "http://127.0.0.1:8000"
_nonces = itertools.count()


class Caller:
    """Whoever asks, with an http key."""

    def __init__(self, world: World, client: TestClient, seed: bytes) -> None:
        self.world, self.client, self.seed = world, client, seed

    def signature(self, path: str, **changes: Any) -> dict[str, str]:
        fields: dict[str, Any] = {
            "seed": self.seed,
            "method": "GET",
            "target_uri": f"{PUBLIC}{path}",
            "now": int(self.world.clock.now.timestamp()),
            "nonce": f"nonce-{next(_nonces):016}",
        }
        return sign_request(**fields | changes)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=self.signature(path) | headers)

    def sent(self, path: str, headers: dict[str, str]) -> Any:
        return self.client.get(path, headers=headers)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    app = create_app(world.settings, world.clock)
    client = TestClient(app, base_url=PUBLIC)
    yield client
    client.close()
    app.state.parts.close()


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    with followed(world) as peer:
        yield peer


@pytest.fixture
def partner(peer: Peer, client: TestClient) -> Caller:
    """A partner whose identity is verified."""
    peer.taken()
    return Caller(peer.world, client, seed_of(f"{peer.origin} http"))


@pytest.fixture
def rose(world: World) -> list[Moderator]:
    return world.collective("rose")


def opened(world: World, answer: Any, frontier: Frontier | None = None) -> Any:
    """A page, held against all that a follower holds it against."""
    assert answer.status_code == 200, answer.text
    page = Page.model_validate_json(answer.content)
    return open_page(page, world.identity, frontier or Frontier())


@sqlite
def test_anybody_may_know_who_lives_here(world: World, client: TestClient) -> None:
    answer = client.get("/.well-known/parasol")
    assert answer.json() == {
        "protocol": [1],
        "origin": "alpha.example",
        "feed": f"{PUBLIC}{FEED}/",
        "root_sha256": root_fingerprint(world.identity.root).hex(),
        "http_keys": [encode_base64(key) for key in world.identity.http_keys],
    }


def test_a_request_must_be_signed(partner: Caller) -> None:
    for path in (HEAD, ENTRIES, WITNESS, RETURNS):
        problem_of(partner.client.get(path), 401, "bad-signature")
        problem_of(partner.sent(path, {"Authorization": "Bearer psl_m_x"}), 401, "bad-signature")
        assert partner.get(path).status_code == 200
    problem_of(partner.client.get("/v1/identity"), 401, "unauthenticated")
    assert partner.get("/v1/identity").status_code == 200


def test_a_request_is_answered_once(partner: Caller) -> None:
    for path in (HEAD, "/v1/identity?version=1"):
        headers = partner.signature(path)
        assert partner.sent(path, headers).status_code == 200
        problem_of(partner.sent(path, headers), 401, "bad-signature")
    # A nonce belongs to its key, and is forgotten when nobody could use it any more.
    assert len(rows_of(partner.world, "nonce")) == 2
    partner.world.clock.pass_(seconds=601)
    assert partner.get(HEAD).status_code == 200
    assert len(rows_of(partner.world, "nonce")) == 1
    problem_of(partner.sent(path, headers), 401, "clock-skew")


@sqlite
def test_a_signature_is_of_one_form(partner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_hand(components: str, tag: str = "parasol-feed", **changes: Any) -> dict[str, str]:
        created = int(partner.world.clock.now.timestamp())
        inside = {"created": created, "expires": created + 300} | changes
        form = (
            f"({components});created={inside['created']};expires={inside['expires']}"
            f';nonce="nonce-{next(_nonces):016}";keyid="{key_id(public_key(partner.seed))}"'
            f';tag="{tag}";alg="ed25519"'
        )
        values = {'"@method"': "GET", '"@target-uri"': f"{PUBLIC}{HEAD}", '"@path"': HEAD}
        lines = [f"{name}: {values[name]}" for name in components.split()]
        base = "\n".join([*lines, f'"@signature-params": {form}'])
        sig = encode_base64(sign_bytes(partner.seed, base.encode()))
        return {"Signature-Input": f"x={form}", "Signature": f"x=:{sig}:"}

    whole = '"@method" "@target-uri"'
    assert partner.sent(HEAD, by_hand(whole)).status_code == 200
    now = int(partner.world.clock.now.timestamp())
    for headers in (
        by_hand('"@method"'),
        by_hand('"@target-uri"'),
        by_hand('"@target-uri" "@method"'),
        by_hand('"@method" "@path"'),
        by_hand(whole, tag="parasol"),
        by_hand(whole, expires=now + 301),
        by_hand(whole, expires=now - 1),
    ):
        problem_of(partner.sent(HEAD, headers), 401, "bad-signature")
    monkeypatch.setattr(requests, "TAG", "another")
    problem_of(partner.sent(HEAD, partner.signature(HEAD)), 401, "bad-signature")


@sqlite
def test_a_signature_is_for_this_instance_and_this_question(partner: Caller) -> None:
    mine = partner.signature(HEAD)
    for path in (ENTRIES, WITNESS, f"{HEAD}?x=1"):
        problem_of(partner.sent(path, mine), 401, "bad-signature")
    elsewhere = partner.signature(HEAD, target_uri=f"http://beta.example{HEAD}")
    problem_of(partner.sent(HEAD, elsewhere), 401, "bad-signature")
    # What is sent as `Host` says nothing of where we live.
    problem_of(partner.sent(HEAD, elsewhere | {"Host": "beta.example"}), 401, "bad-signature")
    assert partner.sent(HEAD, mine | {"Host": "beta.example"}).status_code == 200
    other = partner.signature(HEAD, method="POST")
    problem_of(partner.sent(HEAD, other), 401, "bad-signature")
    two = [*partner.signature(HEAD).items(), *partner.signature(HEAD).items()]
    problem_of(partner.client.get(HEAD, headers=two), 401, "bad-signature")


@sqlite
def test_clocks_may_differ_by_five_minutes(partner: Caller) -> None:
    now = int(partner.world.clock.now.timestamp())
    for created, status in ((now + 300, 200), (now - 600, 200), (now + 301, 401), (now - 601, 401)):
        answer = partner.sent(HEAD, partner.signature(HEAD, now=created))
        assert answer.status_code == status
        if status != 200:
            problem_of(answer, 401, "clock-skew")


def test_a_key_that_is_only_claimed_may_ask_who_we_are_and_nothing_else(
    peer: Peer, client: TestClient
) -> None:
    world = peer.world
    new = Caller(world, client, seed_of(f"{peer.origin} http"))
    answer = new.get("/v1/identity")
    identity = open_identity(
        Envelope.model_validate(answer.json()), root_sha256=root_fingerprint(world.identity.root)
    )
    assert identity == world.identity
    for path in (HEAD, ENTRIES, WITNESS, RETURNS):
        problem_of(new.get(path), 403, "not-a-partner")
    peer.taken()
    assert new.get(HEAD).status_code == 200


def test_whoever_is_no_partner_any_more_or_not_yet_learns_nothing(
    peer: Peer, partner: Caller
) -> None:
    world, paths = peer.world, (HEAD, ENTRIES, WITNESS, RETURNS, "/v1/identity")
    stranger = Caller(world, partner.client, seed_of("stranger"))
    thief = Caller(world, partner.client, peer.seed("lily-a"))
    for path in paths:
        problem_of(stranger.get(path), 403, "not-a-partner")
        problem_of(thief.get(path), 403, "not-a-partner")
    # Nor does the key id of a partner do without its key.
    mine, theirs = (key_id(public_key(seed)) for seed in (partner.seed, stranger.seed))
    headers = stranger.signature(HEAD)
    headers = {name: value.replace(theirs, mine) for name, value in headers.items()}
    problem_of(stranger.sent(HEAD, headers), 401, "bad-signature")
    world.parts.partners.set_policy(peer.origin, Policy.BLOCK)
    for path in paths:
        problem_of(partner.get(path), 403, "partner-blocked")
    world.parts.partners.set_policy(peer.origin, Policy.HOLD)
    assert partner.get(HEAD).status_code == 200
    # A key that its identity names no longer is nobody's.
    peer.issue(http_keys=(public_key(seed_of("new http")),))
    peer.taken(peer.keys())
    problem_of(partner.get(HEAD), 403, "not-a-partner")
    assert Caller(world, partner.client, seed_of("new http")).get(HEAD).status_code == 200
    world.parts.partners.remove(peer.origin)
    problem_of(partner.get(HEAD), 403, "not-a-partner")


def test_questions_that_have_no_answer_are_refused_by_their_codes(
    world: World, partner: Caller
) -> None:
    size = len(rows_of(world, "entry"))
    problem_of(partner.get(f"{FEED}/entries?from={size + 1}"), 409, "cursor-in-future")
    problem_of(partner.get(f"{FEED}/returns?from=2"), 409, "cursor-in-future")
    for path in ("entries", "returns"):
        problem_of(partner.get(f"{FEED}/{path}?from=0&limit=257"), 400, "limit-too-large")
        for query in (
            "limit=1", "from=-1", "from=x", "from=0&limit=0", "from=0&limit=-1", f"from={2**53}",
            "from=0&limit=99999999999999999999",
        ):  # fmt: skip
            problem_of(partner.get(f"{FEED}/{path}?{query}"), 422, "invalid-request")
    for log in ("alpha.example:1", "hostile.example:2", "beta.example:1"):
        problem_of(partner.get(f"{FEED}/witness?log={log}"), 404, "unknown-log")
    problem_of(partner.get(f"{FEED}/witness?log=x"), 422, "invalid-request")
    problem_of(partner.get(f"{FEED}/elsewhere"), 404, "not-found")
    with world.parts.store.begin() as tx:
        world.parts.log.close(tx, world.identity, None)
    assert len(opened(world, partner.get(ENTRIES)).entries) == size + 1
    problem_of(partner.get(f"{FEED}/entries?from={size + 1}"), 410, "log-closed")


def test_a_log_that_may_have_been_rolled_back_is_not_shown(world: World, partner: Caller) -> None:
    with world.parts.store.begin() as tx:
        tx.log.suspect()
    for path in (HEAD, ENTRIES):
        problem_of(partner.get(path), 503, "unavailable")
    # What was seen of others is as true as before.
    assert partner.get(WITNESS).status_code == 200


def test_a_page_is_what_is_stored_and_leads_to_its_checkpoint(
    world: World, partner: Caller, rose: list[Moderator]
) -> None:
    member = world.member("rose")
    world.publish(member, rose, 113)
    withdrawn = world.publish(member, rose, 114)
    world.withdraw(withdrawn)
    rows = rows_of(world, "entry")
    frontier = Frontier()
    for first in range(0, len(rows), 2):
        answer = partner.get(f"{FEED}/entries?from={first}&limit=2")
        page = opened(world, answer, frontier)
        frontier = page.frontier
        for row, entry in zip(rows[first : first + 2], answer.json()["entries"], strict=True):
            if row["envelope"] is None:
                leaf = encode_base64(row["leaf"])
                assert entry == {"seq": row["seq"], "elided": True, "leaf": leaf}
            else:
                assert row["envelope"][1:-1] in answer.text
                assert entry == {"seq": row["seq"]} | json.loads(row["envelope"])
    assert sum(row["envelope"] is None for row in rows) == 1
    head = Envelope.model_validate_json(partner.get(HEAD).content)
    checkpoint = open_checkpoint(head, world.identity.log_key)
    check_head(checkpoint, log=world.identity.log, now=world.clock.now)
    assert (checkpoint.size, checkpoint.root) == (len(rows), frontier.root)
    empty = partner.get(f"{FEED}/entries?from={len(rows)}").json()
    assert (empty["from"], empty["to"], empty["entries"]) == (len(rows), len(rows), [])
    assert Envelope.model_validate(empty["checkpoint"]) == head
    assert partner.get(ENTRIES).headers["content-type"] == "application/json"


def test_a_partner_gets_back_what_it_said_byte_for_byte_and_nobody_else_does(
    world: World, peer: Peer, partner: Caller
) -> None:
    reports = [peer.report(113), peer.report(114), peer.report(115, by=("stranger",))]
    peer.taken(*reports)
    peer.taken(peer.erase(reports[0]))
    for first in (0, 2):
        answer = partner.get(f"{FEED}/returns?from={first}&limit=3").json()
        honest = peer.page(first, 3)
        if first == 0:
            peer.elide(reports[0])
            honest = peer.page(0, 3)
        assert answer["entries"] == honest["entries"]
        assert (answer["log"], answer["from"], answer["to"]) == (
            "hostile.example:1",
            first,
            first + 3,
        )
        assert Envelope.model_validate(answer["checkpoint"]) == peer.checkpoint()
    assert partner.get(f"{FEED}/returns?from=5").json()["entries"] == []
    seen = Envelope.model_validate(partner.get(WITNESS).json())
    assert seen == peer.checkpoint()
    with followed(world, "gamma.example") as other:
        stranger = Caller(world, partner.client, seed_of(f"{other.origin} http"))
        other.append(other.report())
        other.sync()
        answer = stranger.get(RETURNS).json()
        assert (answer["log"], answer["to"]) == ("gamma.example:1", 2)
        assert partner.get(RETURNS).json()["log"] == "hostile.example:1"
        # What one has seen of another, every partner may know: that is what a witness is for.
        assert Envelope.model_validate(stranger.get(WITNESS).json()) == peer.checkpoint()


def test_who_was_followed_into_quarantine_is_witnessed_all_the_same(
    peer: Peer, partner: Caller
) -> None:
    peer.taken(peer.report())
    seen = peer.checkpoint()
    peer.says("/checkpoint", peer.checkpoint(1))
    assert peer.sync().code == "rollback"
    assert Envelope.model_validate(partner.get(WITNESS).json()) == seen


def test_a_retraction_is_in_the_feed_as_soon_as_it_is_signed(
    world: World, partner: Caller, rose: list[Moderator]
) -> None:
    world.publish(world.member("rose"), rose, 113)
    size = len(opened(world, partner.get(ENTRIES)).entries)
    item = world.queue(rose[0], Status.PUBLISHED)[0]
    document = world.retract_document(item, RetractReason.DISPUTED)
    for moderator in rose:
        envelope = world.envelope(document, moderator)
        world.parts.moderation.dispute(item.id, Dispute(envelope=envelope), world.caller(moderator))
    page = partner.get(f"{FEED}/entries?from={size}").json()
    (entry,) = page["entries"]
    assert entry["payloadType"] == "application/vnd.parasol.retract.v1+json"
    assert len(entry["signatures"]) == 2
