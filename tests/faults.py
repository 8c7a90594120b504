"""A disk that is full, or can make nothing last: `faults.c`, under whatever is to meet it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import without

SOURCE = Path(__file__).with_name("faults.c")
NOWHERE = Path("/dev/full")
"""Where the server's own log goes, which cannot be written all the time."""


class Disk:
    """A disk for whom runs in its `environment`; on it are the files below `faulty`."""

    def __init__(self, folder: Path, faulty: str) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            without("gcc", FileNotFoundError("gcc"))
        folder.chmod(0o755)  # PostgreSQL runs as somebody else
        library = folder / "faults.so"
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run([compiler, *options, "-o", library, SOURCE, "-ldl"], check=True)
        self._folder = folder
        self.environment = {
            "LD_PRELOAD": str(library), "FAULTS": str(folder), "FAULTY": faulty,
        }  # fmt: skip

    @contextmanager
    def that_is(self, fault: str) -> Iterator[None]:
        """Let it be `full`, or fail in `fsync`, for the block."""
        flag = self._folder / fault
        flag.touch(0o644)
        try:
            yield
        finally:
            flag.unlink()
