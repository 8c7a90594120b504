"""Somebody at a terminal, who types what a document says and answers what is asked."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

READY = "<ready>"
SHELL = 'exec 3<>"$(tty)"; exec env PS1="$READY" bash --norc --noprofile --noediting -i 3>&-'
"""Whoever leads a session and opens a terminal has it for its own."""
DEADLINE = 60
INTERRUPT = b"\x03"


@dataclass
class Terminal:
    """A shell with a terminal of its own, since passphrases are asked for on one."""

    folder: Path
    answers: Mapping[str, str]
    """What is typed, by the end of what asks for it."""
    shown: str = ""
    _fd: int = -1
    _is_ready: bool = False
    _shell: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._fd, theirs = pty.openpty()
        environment = {
            "PATH": os.environ["PATH"], "HISTFILE": "", "TERM": "dumb", "READY": READY,
            "LANG": "C.UTF-8",
        }  # fmt: skip
        self._shell = subprocess.Popen(
            ["bash", "-c", SHELL], stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
            cwd=self.folder, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._until_ready()
        self.types("stty -echo")

    def types(self, line: str) -> str:
        """Type a line, and what it asks for; return what was shown until the next can be typed."""
        os.write(self._fd, f"{line}\n".encode())
        return self._until_ready()

    def close(self) -> None:
        """End the shell, and what it has begun."""
        assert self._shell is not None
        try:
            if not self._is_ready:
                os.write(self._fd, INTERRUPT)
                self._until_ready()
            self.types("kill $(jobs -p); wait")
            os.write(self._fd, b"exit\n")
            self._shell.wait(DEADLINE)
        finally:
            self._shell.kill()
            os.close(self._fd)

    def _until_ready(self) -> str:
        self._is_ready = False
        text, answered, until = "", 0, time.monotonic() + DEADLINE
        while not text.endswith(READY):
            assert time.monotonic() < until, text
            if select.select([self._fd], [], [], 1)[0]:
                text += os.read(self._fd, 65536).decode(errors="replace").replace("\r\n", "\n")
                for question, answer in self.answers.items():
                    if text.endswith(question) and len(text) > answered:
                        os.write(self._fd, f"{answer}\n".encode())
                        answered = len(text)
        self._is_ready, text = True, text.removesuffix(READY)
        self.shown += text
        return text
