"""`make bench`: what things cost, as medians of interleaved rounds and ratios within one run.

Client and server are processes of this machine and share its cores: compare the ratios, not the
milliseconds. Goals stand in brackets. Benchmarks are not tests: nothing here fails.

`PARASOL_BENCH_TOKENS` and `PARASOL_BENCH_REPORTS` choose the sizes; `PARASOL_BENCH` only some of
`lookups rotation feed`.
"""

import os
import platform
from collections.abc import Callable, Iterable

from api.parts import utc_now
from api.server import configure_logs
from tests.bench_feed import feed_rows
from tests.bench_lookups import lookup_rows
from tests.bench_rotation import rotation_rows

PARTS: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "lookups": lookup_rows,
    "rotation": rotation_rows,
    "feed": feed_rows,
}


def main() -> None:
    """Measure and print the table, a row as soon as it is known."""
    configure_logs()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{utc_now():%Y-%m-%d}\n")
    for part in os.environ.get("PARASOL_BENCH", " ".join(PARTS)).split():
        for name, figure in PARTS[part]():
            print(f"{name:56}{figure}", flush=True)


if __name__ == "__main__":
    main()
