"""Promises about the figures for a monitor: they count, they stay here, they tell of nobody."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from api.metrics import Metrics, Watched
from api.settings import Settings
from tests.e2e.conftest import LISTED, Server, Stage, serving
from tests.e2e.test_authorisation import MATRIX
from tests.services import free_port

LISTENING = "0A"
LABELS = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Monitored:
    """A server, and what a monitor reads of it."""

    server: Server
    port: int

    def figures(self) -> str:
        answer = httpx2.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False)
        assert answer.status_code == 200
        return str(answer.text)

    def figure(self, name: str) -> float:
        return figure(self.figures(), name)


def figure(figures: str, name: str) -> float:
    """The value of one line; 0 where it is not there yet."""
    found = [line for line in figures.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


@pytest.fixture(scope="module")
def watched(sqlite_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    port = free_port()
    folder = tmp_path_factory.mktemp("watched")
    with serving(sqlite_stage.world, folder, METRICS_PORT=str(port)) as server:
        yield Monitored(server, port)


def answered(method: str, route: str, status: str) -> str:
    return f'parasol_requests_total{{method="{method}",route="{route}",status="{status}"}}'


def test_nobody_is_shown_figures_unless_the_operator_chose_a_port(tmp_path: Path) -> None:
    assert list(Settings(data=tmp_path).metrics_ports) == []


def test_figures_are_shown_on_this_host_alone(watched: Monitored) -> None:
    at = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == LISTENING and line.split()[1].endswith(f":{watched.port:04X}")
    ]
    assert at == [f"0100007F:{watched.port:04X}"]


def test_what_is_answered_is_counted_by_route_and_status(
    watched: Monitored, sqlite_stage: Stage
) -> None:
    member, ask = sqlite_stage.cast.member, watched.server.ask
    seconds = 'parasol_request_seconds_count{method="GET",route="/v1/network"}'
    names = [
        answered("GET", "/v1/network", "2xx"),
        answered("POST", "/v1/evaluations", "4xx"),
        answered("other", "other", "4xx"),
        seconds,
    ]
    before = watched.figures()
    for _ in range(3):
        ask("GET", "/v1/network", member)
    watched.server.send("/v1/evaluations", b"{}", member)
    ask("GET", "/nowhere", member)
    after = watched.figures()
    assert [figure(after, name) - figure(before, name) for name in names] == [3, 1, 1, 3]


def test_an_operator_sees_age_and_size(watched: Monitored, sqlite_stage: Stage) -> None:
    overview = sqlite_stage.world.parts.health.overview()
    published = sum(group.number for group in overview.reports if group.status == "published")
    figures = watched.figures()
    assert figure(figures, "parasol_database_up") == 1
    assert figure(figures, "parasol_reports_published") == published >= 2
    assert figure(figures, "parasol_log_entries") == overview.federation.entries > 2
    assert figure(figures, "parasol_served_epoch") == 1
    assert figure(figures, "parasol_served_generation") >= 1
    assert "parasol_served_hours " in figures
    assert "parasol_stretching_places 0.0" in figures


def test_no_label_tells_a_person(watched: Monitored, sqlite_stage: Stage) -> None:
    member, ask = sqlite_stage.cast.member, watched.server.ask
    receipt, number = "r" * 20, f"+447700900{LISTED}"
    plain = {"identifiers": [{"kind": "phone", "value": number, "region": None}]}
    ask("POST", "/v1/lookups", member, json=plain)
    ask("POST", "/v1/receipts/status", json={"receipt": receipt})
    ask("GET", f"/v1/{number}/{member}", member)
    ask("GET", f"/v1/moderation/reports/{number}?token={receipt}", member)
    ask(f"X{receipt}", "/v1/network", member)
    ask("GET", "/v1/buckets/1/0/4242", member)
    figures = watched.figures()
    for told in (member, receipt, number, number[1:], "rose", "thorn", "4242", "127.0.0.1"):
        assert told not in figures
    labels: dict[str, set[str]] = {}
    for name, value in LABELS.findall(figures):
        labels.setdefault(name, set()).add(value)
    assert set(labels) == {"method", "route", "status", "le"}
    assert labels["method"] <= {"GET", "POST", "DELETE", "other"}
    assert labels["status"] <= {"2xx", "3xx", "4xx", "5xx"}
    assert labels["route"] <= {"other", *(path for _, path in MATRIX)}
    assert "_created" not in figures


def test_a_port_that_is_taken_keeps_nobody_from_being_served(sqlite_stage: Stage) -> None:
    parts = sqlite_stage.world.parts
    metrics = Metrics(Watched(parts.health, parts.stretching, None, None))
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with capture_logs() as logs:
            metrics.serve(range(taken, taken + 1))
        assert [one["log_level"] for one in logs] == ["warning"]
    metrics.close()
