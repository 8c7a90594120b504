"""Three PostgreSQL of which Patroni, by etcd, lets one lead: real programs, all from wheels."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from ruamel.yaml import YAML

from tests.services import Binaries, binaries, free_port

PROGRAMS = Path(sys.executable).parent
NUMBERS = range(3)
DEADLINE = 120
LIVES = {"running", "streaming"}
QUICKER = {"ttl": 20, "loop_wait": 3, "retry_timeout": 5}
SAMPLE = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def sample() -> dict[str, Any]:
    """The settings of Patroni that docs/postgresql.md shows."""
    document = Path(__file__).resolve().parents[1] / "docs/postgresql.md"
    (text,) = SAMPLE.findall(document.read_text())
    settings: dict[str, Any] = YAML(typ="safe").load(text)
    return settings


@dataclass
class Cluster:
    """Three PostgreSQL. As root the programs drop their rights, but to read what root installed."""

    place: Binaries
    stack: ExitStack
    running: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports, self.rest, self.clients, self.peers = (
            [free_port() for _ in NUMBERS] for _ in range(4)
        )

    def url(self, database: str, wanted: str = "read-write") -> str:
        """An SQLAlchemy URL of whoever leads, or of a `standby`, as docs/postgresql.md has it."""
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self.ports)
        options = (
            f"target_session_attrs={wanted}&connect_timeout=3&tcp_user_timeout=5000"
            "&keepalives_idle=5&keepalives_interval=2&keepalives_count=3"
        )
        return f"postgresql+psycopg://postgres:sesame@/{database}?{hosts}&{options}"

    def asked(self, question: str, database: str = "postgres") -> Any:
        """What whoever leads answers, or does."""
        with psycopg.connect(
            host=",".join(["127.0.0.1"] * len(NUMBERS)), port=",".join(map(str, self.ports)),
            user="postgres", password="sesame", dbname=database, connect_timeout=3,
            target_session_attrs="read-write", autocommit=True,
        ) as connection:  # fmt: skip
            cursor = connection.execute(question.encode())
            return cursor.fetchall() if cursor.description else None

    def members(self) -> dict[int, tuple[str, str]]:
        """Role and state of each, as one of the Patronis that live sees them."""
        for number in self.running:
            with contextlib.suppress(httpx2.HTTPError):
                answer = httpx2.get(
                    f"http://127.0.0.1:{self.rest[number]}/cluster", trust_env=False, timeout=3
                )
                told = answer.json()["members"]
                return {int(one["name"][1:]): (one["role"], one["state"]) for one in told}
        return {}

    def is_whole(self) -> bool:
        """Whether all three live, one leads, and one is sure to have what that acknowledges."""
        members = self.members().values()
        roles = [role for role, state in members if state in LIVES]
        return len(roles) == len(NUMBERS) and {"leader", "sync_standby"} <= set(roles)

    def leader(self) -> int:
        (number,) = [number for number, (role, _) in self.members().items() if role == "leader"]
        return number

    def kill(self, number: int) -> None:
        """End one machine at once: its Patroni and its PostgreSQL."""
        self.running.pop(number).kill()
        os.kill(self._postmaster(number), signal.SIGKILL)

    def begin(self, number: int) -> None:
        """Let one machine run."""
        settings = self.place.data / f"{number}.json"
        settings.write_text(json.dumps(self._settings(number)))
        settings.chmod(0o644)
        self.running[number] = self.run(f"patroni{number}", "patroni", str(settings))

    def run(self, name: str, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Run a program of a wheel until all ends."""
        command = [*self._dropping(), str(PROGRAMS / program), *arguments]
        environment = os.environ | {"HOME": str(self.place.data), "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PATH"] = f"{self.place.programs}:{environment['PATH']}"
        log = self.stack.enter_context((self.place.root / f"{name}.log").open("wb"))
        process = subprocess.Popen(command, cwd="/", env=environment, stdout=log, stderr=log)
        self.stack.callback(_ended, process)
        return process

    def begin_etcd(self, number: int) -> None:
        """Let one of those run among whom it is decided who leads."""
        client, peer = (f"http://127.0.0.1:{ports[number]}" for ports in (self.clients, self.peers))
        cluster = ",".join(f"e{one}=http://127.0.0.1:{self.peers[one]}" for one in NUMBERS)
        options = {
            "name": f"e{number}", "data-dir": self.place.data / f"e{number}",
            "listen-client-urls": client, "advertise-client-urls": client,
            "listen-peer-urls": peer, "initial-advertise-peer-urls": peer,
            "initial-cluster": cluster, "initial-cluster-state": "new", "log-level": "error",
        }  # fmt: skip
        self.run(f"etcd{number}", "etcd", *(f"--{name}={one}" for name, one in options.items()))

    def bury(self) -> None:
        """End a PostgreSQL that its Patroni did not."""
        for number in NUMBERS:
            with contextlib.suppress(OSError, ValueError):
                os.kill(self._postmaster(number), signal.SIGQUIT)

    def _postmaster(self, number: int) -> int:
        return int((self.place.data / f"d{number}/postmaster.pid").read_text().split()[0])

    def _dropping(self) -> list[str]:
        if not self.place.rights:
            return []
        user, group = self.place.rights["user"], self.place.rights["group"]
        may = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *may, "--"]

    def _settings(self, number: int) -> dict[str, Any]:
        """Those of the document, but for addresses, folders, passwords, and how soon."""
        data, rest = self.place.data, f"127.0.0.1:{self.rest[number]}"
        address = f"127.0.0.1:{self.ports[number]}"
        settings = sample()
        settings["name"] = f"m{number}"
        settings["restapi"] = {"listen": rest, "connect_address": rest}
        settings["etcd3"] = {"hosts": [f"127.0.0.1:{port}" for port in self.clients]}
        settings["bootstrap"]["dcs"] |= QUICKER
        postgresql = settings["postgresql"]
        postgresql |= {
            "listen": address,
            "connect_address": address,
            "data_dir": str(data / f"d{number}"),
            "bin_dir": str(self.place.programs),
            "pgpass": str(data / f"pgpass{number}"),
            "parameters": {"unix_socket_directories": str(data), "shared_buffers": "64MB"},
            "pg_hba": [
                "local all all trust",
                "host all all 127.0.0.1/32 scram-sha-256",
                "host replication replicator 127.0.0.1/32 scram-sha-256",
            ],
        }
        for user in postgresql["authentication"].values():
            user["password"] = "sesame"
        return settings


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Give three PostgreSQL of which one leads; raise ModuleNotFoundError where there are none."""
    with binaries() as place, ExitStack() as stack:
        three = Cluster(place, stack)
        stack.callback(three.bury)
        for begin in (three.begin_etcd, three.begin):
            for number in NUMBERS:
                begin(number)
        eventually(three.is_whole)
        yield three


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "this never came true"
        time.sleep(0.3)


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
