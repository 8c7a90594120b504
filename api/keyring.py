"""The key files of an instance: outside the database, for its own user's eyes only."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

KEY_BYTES = 32


class KeyFileError(Exception):
    """A key file is absent, malformed, or open to others; the text names the file and the mend."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The secrets that the server works with, each 32 bytes; `root` keys are never among them.

    `epoch` is the network key k as a scalar, `log` and `http` are Ed25519 seeds, `receipt` keys
    the HMACs of receipts. The file `epoch.key` holds the current epoch's.
    """

    epoch: bytes
    log: bytes
    http: bytes
    receipt: bytes

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every key from `folder`; raise KeyFileError where one cannot be trusted."""
        refuse_if_open(folder)
        return cls(**{field.name: read_key(folder / f"{field.name}.key") for field in fields(cls)})

    def save(self, folder: Path) -> None:
        """Write every key to the new folder `folder`."""
        folder.mkdir(mode=0o700, parents=True)
        for field in fields(self):
            write_secret(folder / f"{field.name}.key", getattr(self, field.name).hex() + "\n")

    def __repr__(self) -> str:
        """Show nothing."""
        return "Keyring(…)"


def read_key(path: Path) -> bytes:
    """Return the 32 bytes that the key file `path` holds in hexadecimal."""
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
        raise KeyFileError(f"{path} is not there") from None
    if mode & 0o077:
        raise KeyFileError(f"{path} is open to others: chmod go= {path}")


def write_secret(path: Path, text: str) -> None:
    """Write the new file `path`, mode 0600 from its first byte; never over another file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def rewrite_secret(path: Path, text: str) -> None:
    """Put `text` in the place of the file `path` at once: the old or the new, never a half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    write_secret(beside, text)
    beside.replace(path)


def keys_of(ring: Keyring) -> Mapping[str, str]:
    """Return the keys in hexadecimal by name, for an encrypted backup."""
    return {field.name: getattr(ring, field.name).hex() for field in fields(ring)}
