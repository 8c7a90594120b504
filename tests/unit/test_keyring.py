"""Promises about key files: whole, private from the first byte, and never over others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.keyring import (
    KeyFileError,
    Keyring,
    add_key,
    keys_of,
    read_key,
    refuse_if_open,
    rewrite_secret,
    write_secret,
)

RING = Keyring(epoch=b"e" * 32, log=b"l" * 32, http=b"h" * 32, receipt=b"r" * 32)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> object:
    """Whatever the system's habit is."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    RING.save(tmp_path / "keys")
    assert Keyring.load(tmp_path / "keys") == RING
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys"]


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    RING.save(tmp_path / "instance/keys")
    assert mode(tmp_path / "instance") == 0o700
    assert mode(tmp_path / "instance/keys") == 0o700
    assert {mode(one) for one in (tmp_path / "instance/keys").iterdir()} == {0o600}


def test_a_secret_is_private_from_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(mode(tmp_path / "secret")))
    write_secret(tmp_path / "secret", "sesame")
    assert seen
    assert set(seen) == {0o600}


def test_keys_are_never_written_over_others(tmp_path: Path) -> None:
    RING.save(tmp_path / "keys")
    other = Keyring(epoch=b"E" * 32, log=b"L" * 32, http=b"H" * 32, receipt=b"R" * 32)
    with pytest.raises(KeyFileError):
        other.save(tmp_path / "keys")
    with pytest.raises(OSError, match="exists"):
        write_secret(tmp_path / "keys/log.key", "sesame")
    assert Keyring.load(tmp_path / "keys") == RING
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys"]


def test_a_secret_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exists"):
        write_secret(tmp_path / "link", "sesame")
    (tmp_path / "keys").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError):
        RING.save(tmp_path / "keys")
    assert not (tmp_path / "elsewhere").exists()


def _full(_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_secret_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_secret(tmp_path / "old", "before")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="No space"):
        write_secret(tmp_path / "new", "sesame")
    with pytest.raises(OSError, match="No space"):
        rewrite_secret(tmp_path / "old", "after")
    with pytest.raises(KeyFileError):
        RING.save(tmp_path / "keys")
    assert [one.name for one in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "before"


def test_a_secret_is_not_written_where_no_file_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a memory stick that knows no modes: it would be refused when it is needed."""
    ordinary = os.open

    def stick(path: Path, flags: int, _: int = 0) -> int:
        return ordinary(path, flags, 0o644)

    os.umask(0o022)
    monkeypatch.setattr(os, "open", stick)
    with pytest.raises(PermissionError):
        write_secret(tmp_path / "secret", "sesame")
    assert list(tmp_path.iterdir()) == []


def test_keys_do_not_stay_where_what_they_are_for_failed(tmp_path: Path) -> None:
    def fail() -> None:
        assert Keyring.load(tmp_path / "keys") == RING
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), RING.saving(tmp_path / "keys"):
        fail()
    assert list(tmp_path.iterdir()) == []
    with RING.saving(tmp_path / "keys"):
        pass
    assert Keyring.load(tmp_path / "keys") == RING


def test_rewriting_keeps_a_secret_private(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", "before")
    rewrite_secret(tmp_path / "secret", "after")
    assert (tmp_path / "secret").read_text() == "after"
    assert mode(tmp_path / "secret") == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("moment", ["fsync", "link", "linked"])
def test_a_key_that_comes_later_is_whole_or_not_there(tmp_path: Path, moment: str) -> None:
    """The machine dies while it is written: the server must start with what is there."""
    folder = tmp_path / "keys"
    RING.save(folder)
    script = f"""
import os, pathlib, api.keyring
true = os.link
def die(*given):
    if {moment == "linked"}:
        true(*given)
    os._exit(9)
os.{moment.removesuffix("ed")} = die
api.keyring.add_key(pathlib.Path({str(folder)!r}), "delta-1", b"1" * 32)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    there = {"delta-1": b"1" * 32} if moment == "linked" else {}
    assert Keyring.load(folder).later == there
    if not there:
        add_key(folder, "delta-1", b"2" * 32)
    with pytest.raises(KeyFileError, match="is there already"):
        add_key(folder, "delta-1", b"3" * 32)
    assert Keyring.load(folder).later == (there or {"delta-1": b"2" * 32})
    assert mode(folder / "delta-1.key") == 0o600


@pytest.mark.parametrize("name", ["epoch.key", "log.key", "http.key", "receipt.key", ""])
@pytest.mark.parametrize("extra", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_what_others_may_touch_is_refused(tmp_path: Path, name: str, extra: int) -> None:
    RING.save(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(mode(path) | extra)
    with pytest.raises(KeyFileError, match="chmod go= ") as caught:
        Keyring.load(tmp_path / "keys")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "held",
    [b"", b"\n", b"00" * 31, b"00" * 33, b"0" * 63, b"zz" * 32, b"\xff" * 64, b"\0" * 64,
     "é".encode() * 32],
)  # fmt: skip
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "bad.key"
    path.write_bytes(held)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"bad\.key does not hold") as caught:
        read_key(path)
    assert caught.value.__cause__ is None
    assert "00" not in str(caught.value).replace(str(tmp_path), "")


def test_white_space_around_a_key_is_ignored(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", f"\n {'AB' * 32}\r\n")
    assert read_key(tmp_path / "a.key") == b"\xab" * 32


def test_what_is_absent_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.key", tmp_path / "none/deeper.key"):
        with pytest.raises(KeyFileError, match="not there"):
            read_key(path)
        with pytest.raises(KeyFileError, match="not there"):
            refuse_if_open(path)
    (tmp_path / "folder.key").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_key(tmp_path / "folder.key")
    with pytest.raises(KeyFileError, match="not there"):
        Keyring.load(tmp_path / "keys")


def test_no_key_is_ever_printed() -> None:
    assert repr(RING) == str(RING) == f"{RING}" == "Keyring(…)"
    assert sorted(keys_of(RING)) == ["epoch", "http", "log", "receipt"]
