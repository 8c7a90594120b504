"""Connections to exactly the addresses that were checked, within one deadline, stoppable."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

from httpcore2 import SOCKET_OPTION, NetworkBackend, NetworkStream

from api.errors import PartnerFailure
from api.partners.addresses import Address, is_loopback, is_public, parse_address

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host name (and port) as text; raises OSError."""

CONNECTING: Final = 10
"""Seconds for one of several addresses."""
MOST_TRIED: Final = 4

_GLANCE = 0.1


def system_addresses(host: str, port: int) -> list[str]:
    """Return what this machine's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(address[0]) for *_, address in found]


class Network(NetworkBackend):
    """Where connections come from, and what the current answer may still cost.

    Used by one thread at a time; only `stop` may be called by any other.
    """

    def __init__(self, resolve: Resolver, *, is_test: bool) -> None:
        """Resolve names with `resolve`; in a test network this machine itself may be meant."""
        self._resolve = resolve
        self._is_test = is_test
        self._until = 0.0
        self._size = 0
        self.received = 0
        self._stopped = threading.Event()
        self._lines: set[_Line] = set()
        self._lock = threading.Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def begin(self, seconds: float, size: int) -> None:
        """Allow the next answer `seconds` in all, and at first `size` bytes."""
        self._until = time.monotonic() + seconds
        self._size = size
        self.received = 0

    def allow(self, size: int) -> None:
        """Allow `size` bytes more."""
        self._size += size

    def stop(self) -> None:
        """Let whatever waits here fail now, and whatever begins."""
        self._stopped.set()
        with self._lock:
            for line in self._lines:
                line.interrupt()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  (the deadline is for all together)
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> NetworkStream:
        """Return a connection to the first address of `host` that takes one.

        Raises PartnerFailure `unreachable`, also if *any* of its addresses is one that no
        partner may have. The name is resolved once: what was checked is what is connected to.
        """
        for address in self._addresses(host, port)[:MOST_TRIED]:
            with suppress(OSError), ExitStack() as undo:
                line = _Line(self, address)
                undo.callback(line.close)
                with self._lock:
                    self._lines.add(line)
                line.connect(address, port)
                undo.pop_all()
                return line
        raise PartnerFailure("unreachable")

    def seconds(self) -> float:
        """Return how long one may still wait; raise PartnerFailure if no longer."""
        if self.is_stopped:
            raise PartnerFailure("stopped")
        left = self._until - time.monotonic()
        if left <= 0:
            raise PartnerFailure("unreachable")
        return left

    def admit(self) -> None:
        """Let more bytes come; raise PartnerFailure `too-large` if all that were allowed have."""
        if self.received >= self._size:
            raise PartnerFailure("too-large")

    def forget(self, line: "_Line") -> None:
        """Take `line` for closed."""
        with self._lock:
            self._lines.discard(line)

    def _addresses(self, host: str, port: int) -> list[Address]:
        found = [parse_address(text) for text in self._resolved(host, port)]
        known = [address for address in found if address is not None]
        if len(known) < len(found) or not all(self._may_be(address) for address in known):
            raise PartnerFailure("unreachable")
        return known

    def _may_be(self, address: Address) -> bool:
        return is_public(address) or (self._is_test and is_loopback(address))

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        """Ask the resolver in a thread of its own: it can be neither hurried nor stopped."""
        answers: SimpleQueue[Sequence[str]] = SimpleQueue()

        def ask() -> None:
            found: Sequence[str] = ()
            try:
                with suppress(OSError, UnicodeError):
                    found = self._resolve(host, port)
            finally:
                answers.put(found)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        while True:
            with suppress(Empty):
                return answers.get(timeout=min(self.seconds(), _GLANCE))


class _Line(NetworkStream):
    """One connection. Every wait on it ends with the deadline, or when we stop."""

    def __init__(self, network: Network, address: Address) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
        self._network = network
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        # Closing a socket wakes nobody who waits on it; shutting it down does. TLS takes the
        # socket away, but never this second handle on the connection.
        self._handle = self._socket.dup()

    def connect(self, address: Address, port: int) -> None:
        self._socket.settimeout(min(self._network.seconds(), CONNECTING))
        self._socket.connect((str(address), port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def interrupt(self) -> None:
        with suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        self._network.admit()
        self._socket.settimeout(self._network.seconds())
        try:
            data = self._socket.recv(max_bytes)
        except OSError:
            raise PartnerFailure("unreachable") from None
        self._network.received += len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._socket.settimeout(self._network.seconds())
        try:
            self._socket.sendall(buffer)
        except OSError:
            raise PartnerFailure("unreachable") from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> NetworkStream:
        with ExitStack() as undo:
            undo.callback(self.close)
            self._socket.settimeout(self._network.seconds())
            try:
                inside = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
            except OSError:  # a certificate that is not the name's is one, too
                raise PartnerFailure("unreachable") from None
            self._socket = inside
            undo.pop_all()
        return self

    def close(self) -> None:
        self._network.forget(self)
        self._handle.close()
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  (as it is declared)
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "is_readable":  # of an idle connection: has it been closed over there?
            waiting = select.poll()
            waiting.register(self._socket, select.POLLIN)
            return bool(waiting.poll(0))
        return None
