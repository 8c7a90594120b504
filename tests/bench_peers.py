"""Others that do something alike, beside ours in the same run; a part of `make bench`."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.bench_load import Load, Process, compared, request, running
from tests.services import free_port

FALSE_POSITIVES = 2.0**-56
"""As many as an entry of ours has: its prefix has 56 bits."""
NGINX = """
daemon off; pid {folder}/pid; error_log /dev/null; worker_processes 1; {user}
events {{}}
http {{
  access_log off; keepalive_requests 1000000; types {{}}
  default_type application/vnd.parasol.bucket;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def psi_rows(tokens: int, ours: float, size: int) -> Iterator[tuple[str, str]]:
    """Set up OpenMined's PSI for as many entries as we sealed in `ours` seconds.

    Before its first answer a client of ours fetches one bucket, of `size` bytes.
    """
    try:
        import private_set_intersection.python as psi  # noqa: PLC0415  (only where it is)
    except ImportError:
        yield "OpenMined PSI", "SKIPPED: openmined-psi is not installed"
        return
    entries = [secrets.token_hex(8) for _ in range(tokens)]
    start = time.perf_counter()
    server = psi.server.CreateWithNewKey(True)  # noqa: FBT003  (its own signature)
    message = server.CreateSetupMessage(FALSE_POSITIVES, 1, entries)
    theirs, sent = time.perf_counter() - start, len(message.SerializeToString())
    yield (
        f"set-up of PSI for {tokens:,} entries",
        f"{theirs / ours:.1f} × the time of ours ({theirs:.1f} and {ours:.1f} s)  [≥ 10]",
    )
    yield (
        "… what a client fetches before its first answer",
        f"{sent / size:.1f} × ours ({sent:,} and {size:,} bytes)  [≥ 10]",
    )


def nginx_row(ours: Process, token: str) -> Iterator[tuple[str, str]]:
    """Serve the same files by nginx, to whoever asks, and compare."""
    program = shutil.which("nginx")
    if program is None:
        yield "nginx with the same files", "SKIPPED: nginx is not installed"
        return
    bearer = {"Authorization": f"Bearer {token}"}
    bits = httpx2.get(f"{ours.address}/v1/network").json()["buckets"]["bits"]
    paths = [f"/v1/buckets/1/{bits}/{index}" for index in range(1 << bits)]
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        for path in paths:
            file = folder / "www" / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(httpx2.get(f"{ours.address}{path}", headers=bearer).content)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "conf").write_text(NGINX.format(folder=folder, port=port, user=user))
        command = [program, "-e", "/dev/null", "-p", str(folder), "-c", str(folder / "conf")]
        with running(command, port, paths[0]) as peer:
            found = compared(
                {
                    "ours": Load(ours, [request("GET", path, bearer) for path in paths]),
                    "nginx": Load(peer, [request("GET", path) for path in paths]),
                }
            )
    ratio = found["nginx"].rate / found["ours"].rate
    yield (
        "nginx with the same files, requests/s",
        (f"{ratio:.1f} × ours ({found['nginx'].rate:,.0f} and {found['ours'].rate:,.0f}/s)"),
    )
