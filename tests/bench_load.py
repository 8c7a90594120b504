"""`make bench`: processes to load, and load that costs little to make."""

import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROUNDS = 7
CONNECTIONS = 4
TICKS = os.sysconf("SC_CLK_TCK")
DEADLINE = 120


@dataclass(frozen=True)
class Process:
    """A server, and what it has used."""

    pid: int
    port: int
    began: float = 0.0
    """Seconds from its start to the first answer."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """Return the seconds of computing so far, in steps of a hundredth."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, which: str = "VmRSS") -> float:
        """Return MB in use, or (`VmHWM`) at most."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (size,) = (line.split()[1] for line in lines if line.startswith(f"{which}:"))
        return int(size) / 1024


@contextmanager
def running(command: Sequence[str], port: int, path: str, **environment: str) -> Iterator[Process]:
    """Run `command` until the block ends; give it when it first answers `path` with 200."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port, path):
            assert process.poll() is None, f"{command[0]} ended at once"
            assert time.perf_counter() - start < DEADLINE, f"{command[0]} did not answer"
            time.sleep(0.01)
        yield Process(process.pid, port, time.perf_counter() - start)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)


def python(code: str) -> list[str]:
    """Return the command that runs `code`."""
    return [sys.executable, "-c", code]


def _answers(port: int, path: str) -> bool:
    try:
        with Connection(port) as connection:
            return connection.ask(request("GET", path))[0] == 200
    except OSError:
        return False


def request(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return a request as it travels."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """A client that does next to nothing, so that what is measured is the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Ask, without waiting."""
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes, bytes]:
        """Return the status, the head and the body of the next answer."""
        data = self._more()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        status = int(head[9:12])
        length = head.partition(b"content-length:")[2].partition(b"\r")[0]
        parts, missing = [data[end + 4 :]], int(length or 0) * (status not in {204, 304})
        missing -= len(parts[0])
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        return status, head, b"".join(parts)

    def ask(self, data: bytes) -> tuple[int, bytes, bytes]:
        """Ask and wait."""
        self.send(data)
        return self.receive()

    def _more(self) -> bytes:
        received = self.socket.recv(262_144)
        if not received:
            raise ConnectionAbortedError
        return received


@dataclass(frozen=True)
class Load:
    """Requests of one kind to one process, in turn, and what answers them."""

    process: Process
    requests: Sequence[bytes]
    status: int = 200
    count: int = 400

    def run(self) -> tuple[float, float]:
        """Send `count` over several connections; return microseconds of CPU each, and the rate."""
        connections = [Connection(self.process.port) for _ in range(CONNECTIONS)]
        cpu, start = self.process.cpu(), time.perf_counter()
        for first in range(0, self.count, CONNECTIONS):
            for n, connection in enumerate(connections, start=first):
                connection.send(self.requests[n % len(self.requests)])
            for connection in connections:
                assert connection.receive()[0] == self.status
        elapsed, used = time.perf_counter() - start, self.process.cpu() - cpu
        for connection in connections:
            connection.socket.close()
        return used / self.count * 1e6, self.count / elapsed


@dataclass(frozen=True)
class Measured:
    """Medians of one kind of request."""

    cpu: float
    rate: float

    def __str__(self) -> str:
        return f"{self.cpu:,.0f} µs CPU, {self.rate:,.0f}/s"


def compared(loads: Mapping[str, Load]) -> dict[str, Measured]:
    """Run all loads in turn, round after round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in loads}
    for _ in range(ROUNDS):
        for name, load in loads.items():
            found[name].append(load.run())
    return {
        name: Measured(*(statistics.median(column) for column in zip(*rounds, strict=True)))
        for name, rounds in found.items()
    }


def waited(works: Mapping[str, Callable[[], object]], calls: int = 20) -> dict[str, list[float]]:
    """Return the seconds of every call of each work, in turn, round after round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            for _ in range(calls):
                start = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - start)
    return times


def percentile(times: Sequence[float], share: float) -> float:
    """Return what that share of `times` do not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def saturated(port: int, requests: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Ask over one connection each as fast as answers come; return how many 200s, in how long."""
    answered, start = 0, time.perf_counter()
    connections = [Connection(port) for _ in requests]
    with selectors.DefaultSelector() as selector:
        for connection, asked in zip(connections, requests, strict=True):
            selector.register(connection.socket, selectors.EVENT_READ, (connection, asked))
            connection.send(asked)
        while time.perf_counter() - start < seconds:
            for key, _ in selector.select(seconds):
                connection, asked = key.data
                answered += connection.receive()[0] == 200
                connection.send(asked)
    elapsed = time.perf_counter() - start
    for connection in connections:
        connection.socket.close()
    return answered, elapsed
