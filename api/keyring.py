"""The key files of an instance: outside the database, for its own user's eyes only."""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Self, TextIO, TypeVar

from api.crypto.failures import InvalidInput
from api.crypto.ristretto import Scalar, scalar, scalar_invert, scalar_mul

KEY_BYTES = 32
OTHERS = 0o077
FIRST = ("epoch", "log", "http", "receipt")
"""The keys that an instance begins with."""
LATER = re.compile(r"(delta|log|http)-[1-9][0-9]{0,8}")
"""Those that came since."""

T = TypeVar("T")


class KeyFileError(Exception):
    """A key file is absent, malformed, or open to others; the text names the file and the mend."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The secrets that the server works with, each 32 bytes; `root` keys are never among them.

    `epoch` is the network key k, as a scalar, of the epoch in which this instance began; `log` and
    `http` are Ed25519 seeds, `receipt` keys the HMACs of receipts. Of what came `later`, `delta-N`
    leads from the key of epoch N to that of epoch N + 1 (before our beginning too, if we were
    given it), `log-N` is of our log number N, and of `http` and all `http-N` the identity says
    which are in use.
    """

    epoch: bytes
    log: bytes
    http: bytes
    receipt: bytes
    later: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, keys: Mapping[str, bytes]) -> Self:
        """Return a keyring of keys by name; raise KeyFileError unless they are an instance's."""
        later = {name: key for name, key in keys.items() if name not in FIRST}
        if not set(FIRST) <= set(keys) or not all(LATER.fullmatch(name) for name in later):
            raise KeyFileError("these are not the keys of an instance")
        return cls(**{name: keys[name] for name in FIRST}, later=MappingProxyType(later))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every key from `folder`; raise KeyFileError where one cannot be trusted."""
        refuse_if_open(folder)
        later = (path.stem for path in folder.glob("*-*.key") if LATER.fullmatch(path.stem))
        return cls.of({name: read_key(folder / f"{name}.key") for name in (*FIRST, *later)})

    def log_seed(self, number: int) -> bytes:
        """Return the seed of the log key of our log `number`; raise KeyFileError."""
        return self.log if number == 1 else self._later(f"log-{number}")

    def http_seeds(self) -> tuple[bytes, ...]:
        """Return the seeds with which requests to partners may be signed, the newest first."""
        numbered = {
            int(name.removeprefix("http-")): key
            for name, key in self.later.items()
            if name.startswith("http-")
        }
        return (*(numbered[number] for number in sorted(numbered, reverse=True)), self.http)

    def delta(self, epoch: int) -> Scalar:
        """Return what leads from the network key of `epoch` to the next; raise KeyFileError."""
        return _scalar(self._later(f"delta-{epoch}"), f"delta-{epoch}.key")

    def delta_epochs(self) -> list[int]:
        """Return the epochs from which a delta is here, rising."""
        names = (name for name in self.later if name.startswith("delta-"))
        return sorted(int(name.removeprefix("delta-")) for name in names)

    def factor(self, epoch: int, into: int) -> Scalar:
        """Return what leads from the network key of `epoch` to that of the later epoch `into`.

        Raises KeyFileError where a delta between the two is not here.
        """
        return reduce(scalar_mul, (self.delta(passed) for passed in range(epoch, into)))

    def network_key(self, began: int, epoch: int) -> Scalar:
        """Return the network key of `epoch`, of an instance that began in the epoch `began`.

        Raises KeyFileError where a delta between the two is not here.
        """
        key = _scalar(self.epoch, "epoch.key")
        if epoch > began:
            return scalar_mul(key, self.factor(began, epoch))
        if epoch < began:
            return scalar_mul(key, scalar_invert(self.factor(epoch, began)))
        return key

    def _later(self, name: str) -> bytes:
        key = self.later.get(name)
        if key is None:
            raise KeyFileError(f"{name}.key is not there: restore it from the backup of keys")
        return key

    def save(self, folder: Path) -> None:
        """Write the new folder `folder`, with every key or not at all; raise KeyFileError."""
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError:
            raise KeyFileError(f"{folder} cannot be written") from None
        try:
            for name, key in keys_of(self).items():
                write_secret(beside / f"{name}.key", key + "\n")
            beside.rename(folder)  # which fails where there are keys already
            sync_folder(folder.parent)
        except OSError:
            raise KeyFileError(f"{folder} cannot be written, or is there already") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    @contextmanager
    def saving(self, folder: Path) -> Iterator[None]:
        """Save the keys, and take them back where the block fails.

        What they are for is done inside, last: keys without an instance are worth nothing, but
        an instance without its keys could neither be used nor founded again.
        """
        self.save(folder)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder)
            raise

    def __repr__(self) -> str:
        """Show nothing."""
        return "Keyring(…)"


class Keys:
    """The keys of a running process, read again when it needs one that has come since."""

    def __init__(self, load: Callable[[], Keyring]) -> None:
        """Read the keys with `load`; raise KeyFileError as that does."""
        self._load = load
        self._ring = load()

    def find(self, wanted: Callable[[Keyring], T]) -> T:
        """Return what `wanted` takes from the keys; raise KeyFileError where it is not there."""
        try:
            return wanted(self._ring)
        except KeyFileError:
            self._ring = self._load()
        return wanted(self._ring)

    def log_seed(self, number: int) -> bytes:
        """Return the seed of the log key of our log `number`; raise KeyFileError."""
        return self.find(lambda ring: ring.log_seed(number))

    @property
    def receipt(self) -> bytes:
        """The key of receipts."""
        return self._ring.receipt


def read_key(path: Path) -> bytes:
    """Return the 32 bytes that the key file `path` holds in hexadecimal; raise KeyFileError."""
    try:
        refuse_if_open(path)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError:
        raise KeyFileError(f"{path} cannot be read: restore it from the backup of keys") from None
    except ValueError:
        raise KeyFileError(f"{path} does not hold a key in hexadecimal") from None
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path} does not hold {KEY_BYTES} bytes")
    return key


def refuse_if_open(path: Path) -> None:
    """Raise KeyFileError where the group or others may read or write `path`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        raise KeyFileError(f"{path} is not there, or cannot be read") from None
    if mode & OTHERS:
        raise KeyFileError(f"{path} is open to others: chmod go= {path}")


def write_secret(path: Path, text: str) -> None:
    """Write the new file `path`, mode 0600 from its first byte; never over another file.

    Raises OSError, and then leaves nothing behind.
    """
    with private_file(path) as file:
        file.write(text)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """Open the new file `path` to be written as `write_secret` does."""
    # O_EXCL follows no link either, so nobody can choose another place for what is written.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            _check_private(descriptor)
            yield file
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check_private(descriptor: int) -> None:
    # A memory stick's file system often knows no modes; what is read later must be private.
    if os.fstat(descriptor).st_mode & OTHERS:
        raise PermissionError("no file is private there")


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlast a power cut, where the system can promise that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rewrite_secret(path: Path, text: str) -> None:
    """Put `text` in the place of the file `path` at once: the old or the new, never a half."""
    with _beside(path, text) as whole:
        whole.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Do what `write_secret` does, at once: whenever the machine dies, all of it is there, or none.

    The file system must know links.
    """
    with _beside(path, text) as whole:
        path.hardlink_to(whole)  # unlike a new name, it never takes another file's place


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """Write a file for the block to put in the place `path`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    write_secret(beside, text)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def keys_of(ring: Keyring) -> Mapping[str, str]:
    """Return the keys in hexadecimal by name, for an encrypted backup."""
    return {name: getattr(ring, name).hex() for name in FIRST} | {
        name: key.hex() for name, key in ring.later.items()
    }


def add_key(folder: Path, name: str, key: bytes) -> None:
    """Add a later key to those in `folder`; raise KeyFileError where there is one of that name."""
    assert LATER.fullmatch(name)
    try:
        write_whole(folder / f"{name}.key", key.hex() + "\n")
    except OSError:
        raise KeyFileError(f"{folder / name}.key cannot be written, or is there already") from None


def _scalar(key: bytes, name: str) -> Scalar:
    try:
        return scalar(key)
    except InvalidInput:
        raise KeyFileError(f"{name} does not hold a network key") from None
