"""What `make web` built, as ready bytes in each content coding."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType

from pydantic import BaseModel, ValidationError

from api.web import PagesError
from api.web.negotiation import choose_coding

DIST = Path(__file__).with_name("dist")
ICON = Path(__file__).with_name("icon.svg")
LICENCES = "licences.txt"
NOT_BUILT = "The pages are not built: run `make web`."

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)
_FILES: Mapping[str, str] = MappingProxyType({"br": ".br", "gzip": ".gz"})
"""How the build writes each content coding, the best first."""
_HASH = 16
_HARDEST = 9


class Entry(BaseModel):
    """A bundle, and what it needs before it can run."""

    file: str
    imports: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All of it."""
        return (self.file, *self.imports)


class Manifest(BaseModel):
    """The bundles."""

    app: Entry
    desk: Entry
    public: Entry
    worker: Entry
    style: Entry


@dataclass(frozen=True, slots=True)
class Content:
    """Ready bytes, plain and in the content codings that are worth it, the best first."""

    media_type: str
    plain: bytes
    coded: Mapping[str, bytes]

    def choose(self, accept_encoding: str | None) -> tuple[str, bytes]:
        """Return the coding that a browser likes best, and the bytes in it."""
        coding = choose_coding(accept_encoding, list(self.coded))
        return coding, self.coded.get(coding, self.plain)


@dataclass(frozen=True, slots=True)
class Built:
    """The bundles, and every file by its name."""

    manifest: Manifest
    files: Mapping[str, Content]


def read_built(folder: Path = DIST) -> Built:
    """Read what was built; raise PagesError where that was not done, or not to its end."""
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
        files = {
            file.name: _read(file)
            for file in sorted(folder.iterdir())
            if file.suffix in MEDIA_TYPES and file.name != "manifest.json"
        }
    except (OSError, ValidationError):
        raise PagesError(NOT_BUILT) from None
    entries: list[Entry] = list(dict(manifest).values())
    needed = {LICENCES, *(name for entry in entries for name in entry.files)}
    if not needed <= files.keys():
        raise PagesError(NOT_BUILT)
    return Built(manifest, files)


def ready(suffix: str, plain: bytes) -> Content:
    """Return `plain` as it will be served; only the build can write brotli."""
    return Content(MEDIA_TYPES[suffix], plain, {"gzip": gzip.compress(plain, _HARDEST, mtime=0)})


def hashed(name: str, plain: bytes) -> str:
    """Return `name` with a hash of what it holds, so that it can be kept for ever."""
    path = PurePath(name)
    return f"{path.stem}-{hashlib.sha256(plain).hexdigest()[:_HASH]}{path.suffix}"


def _read(file: Path) -> Content:
    coded = {
        coding: file.with_name(file.name + suffix).read_bytes() for coding, suffix in _FILES.items()
    }
    return Content(MEDIA_TYPES[file.suffix], file.read_bytes(), coded)
