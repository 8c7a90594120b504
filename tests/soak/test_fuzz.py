"""Whatever is asked, an answer is what the description of the service says, and never a fault."""

import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.crypto.requests import sign_request
from schemas.feed import Policy
from tests.e2e.conftest import Stage, staged
from tests.hostile import followed, seed_of
from tests.soak.supplies import VALID, Parts, Supplies

CASES = 5_000
"""Over each database."""
EACH = 215
"""Of an operation that takes anything; others have no more cases than callers and headers."""
AT_LEAST = 0.1
"""Of the answers of every operation are 2xx."""
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip


@dataclass
class Signed(requests.auth.AuthBase):
    """Signs a request as a partner does."""

    seed: bytes
    public: str
    """The address that the instance goes by, wherever it listens."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        target = self.public + request.path_url
        nonce = secrets.token_hex(16)
        fields = sign_request(
            self.seed, str(request.method), target, now=int(time.time()), nonce=nonce
        )
        request.headers.update(fields)
        return request


@dataclass
class Tally:
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: dict[str, str] = field(default_factory=dict)


@pytest.fixture(params=["sqlite", "postgresql"])
def supplies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Supplies]:
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        folder = tmp_path_factory.mktemp("database")
        url = f"sqlite:///{shutil.copy(template, folder / 'test.db')}"
    else:
        url = request.getfixturevalue("postgresql_databases").make()
    with ExitStack() as stack:
        stage: Stage = stack.enter_context(staged(url, tmp_path_factory))
        peer = stack.enter_context(followed(stage.world, policy=Policy.HOLD))
        peer.taken(peer.risk(1))
        yield Supplies(stage, peer)


def merge(case: Any, valid: Parts, kind: str) -> None:
    """Put what is valid into a case, but for the part, of that kind, that stays as it was made."""
    if kind == "generated":
        return
    if valid.path is not None and kind != "path":
        case.path_parameters = valid.path
    if valid.query is not None and kind != "query":
        case.query = valid.query
    if kind != "headers":
        case.headers = {**case.headers, **valid.headers} if kind != "valid" else {**valid.headers}
    if valid.body is not None and kind != "body":
        case.body, case.media_type = valid.body, "application/json"


def fuzz(supplies: Supplies, operation: Any, tally: Tally, session: requests.Session) -> None:
    """Send as many cases of one operation as there are, up to `EACH`."""
    server = supplies.stage.server
    signed = Signed(seed_of(f"{supplies.peer.origin} http"), supplies.world.address)
    make = VALID[operation.label]
    parts = {
        "path": operation.path_parameters, "query": operation.query, "body": operation.body,
        "headers": operation.headers,
    }  # fmt: skip
    taken = [name for name, parameters in parts.items() if parameters]
    modes = GenerationMode if taken else [GenerationMode.POSITIVE]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
    kinds = st.sampled_from(["valid", "headers", "generated", *taken, *taken])

    @settings(
        max_examples=EACH, phases=[Phase.generate], deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, kind=kinds, signs=st.booleans())
    def send(case: Any, kind: str, *, signs: bool) -> None:
        valid = make(supplies)
        merge(case, valid, kind)
        auth = signed if valid.signed and (signs or kind == "valid") else None
        response = case.call(base_url=server.address, session=session, auth=auth, timeout=30)
        tally.statuses[operation.label][response.status_code] += 1
        try:
            # Where only what schemathesis knows of can be wrong.
            strict = [negative_data_rejection] if kind in {"body", "generated"} else []
            case.validate_response(response, checks=CHECKS + strict)
        except (Failure, FailureGroup) as failed:
            tally.failures.setdefault(f"{operation.label} {response.status_code}", str(failed))

    send()


@pytest.mark.timeout(3000)
def test_every_answer_is_one_that_is_described(
    supplies: Supplies, record_property: Callable[[str, object], None]
) -> None:
    server = supplies.stage.server
    description = server.ask("GET", "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    tally = Tally()
    with requests.Session() as session:
        session.trust_env = False
        operations: list[Any] = [one.ok() for one in schema.get_all_operations()]
        assert {one.label for one in operations} == set(VALID)
        for operation in operations:
            fuzz(supplies, operation, tally, session)
    assert not tally.failures, "\n".join(f"{at}: {why}" for at, why in tally.failures.items())
    sent = sum(sum(one.values()) for one in tally.statuses.values())
    few = {
        label: dict(counts)
        for label, counts in tally.statuses.items()
        if sum(n for status, n in counts.items() if status < 300) < AT_LEAST * sum(counts.values())
    }
    assert not few
    assert b"fault" not in server.log()
    kind = "SQLite" if "sqlite" in supplies.world.url else "PostgreSQL"
    record_property("figure", f"fuzzed, {kind}: {sent:,} cases of {len(operations)} operations")
    assert sent >= CASES
