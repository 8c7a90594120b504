"""A real Chromium for the tests, and a wire tap between it and a server."""

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first does all that is wanted here in half of the time."""
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)


def chromium_path() -> str | None:
    """Return the program, which $CHROMIUM can name; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium for the block. Raises FileNotFoundError where there is none."""
    path = chromium_path()
    if path is None:
        raise FileNotFoundError("chromium")
    # Its sandbox refuses root.
    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class WireTap:
    """Passes connections on to `port`, and keeps every byte that the browser sent."""

    def __init__(self, port: int) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sent = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def sent(self) -> bytes:
        """All that was sent so far."""
        with self._lock:
            return bytes(self._sent)

    def clear(self) -> None:
        """Forget it."""
        with self._lock:
            self._sent.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, kept in ((browser, server, True), (server, browser, False)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, kept), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, kept: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError), source, sink:
            while piece := source.recv(65_536):
                if kept:
                    with self._lock:
                        self._sent += piece
                sink.sendall(piece)
