"""Promises about what an operator chooses: nothing is guessed, and no secret is printed."""

import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from api.settings import Settings
from api.store.engine import open_engine

URL = "postgresql+psycopg://parasol:sesame@db.example/parasol"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("PARASOL_"):
            monkeypatch.delenv(name)


def refusal(**values: object) -> str:
    """Everything that a person or a log may see of a refusal."""
    with pytest.raises(ValidationError) as caught:
        Settings(**values)  # type: ignore[arg-type]
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def test_the_folder_is_never_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "data" in refusal()
    monkeypatch.setenv("PARASOL_DATA", "")
    assert "data" in refusal()


def test_the_environment_says_what_is_not_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DATA", str(tmp_path)), ("PER_HOUR", "7"), ("PLAIN_LOOKUPS", "false")):
        monkeypatch.setenv(f"PARASOL_{name}", value)
    settings = Settings()
    assert (settings.data, settings.per_hour, settings.plain_lookups) == (tmp_path, 7, False)
    assert Settings(data=tmp_path / "other", per_hour=8).per_hour == 8


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "HOST", "PORT"):
        monkeypatch.setenv(f"PARASOL_{name}", "")
    settings = Settings(data=tmp_path)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.url == f"sqlite:///{tmp_path}/parasol.db"


def test_by_itself_an_instance_listens_to_its_own_host_alone(tmp_path: Path) -> None:
    assert Settings(data=tmp_path).host == "127.0.0.1"


def test_a_relative_folder_stays_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(data=Path("here"))
    monkeypatch.chdir("/")
    assert settings.data == tmp_path / "here"
    assert settings.keys == tmp_path / "here/keys"
    assert settings.url == f"sqlite:///{tmp_path}/here/parasol.db"


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with pytest.raises(ValidationError):
        settings.per_hour = 10_000  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "sesame"),
        ("port", "65536"),
        ("per_day", "-7777"),
        ("per_hour", "7777777"),
        ("bucket_limit", "777"),
        ("bucket_limit", "77777777"),
        ("stretching_threads", "7777"),
        ("stretching_queue", "7777"),
        ("plain_lookups", "sesame"),
        ("workers", "7777"),
        ("metrics_port", "77777"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"PARASOL_{name.upper()}", value)
    told = refusal(data=tmp_path)
    assert name in told
    assert value not in told


@pytest.mark.parametrize(
    "url",
    [
        "sesame",
        "sesame://db/parasol",
        "postgres://parasol:sesame@db/parasol",
        "postgresql://parasol:sesame@db/parasol",
        "postgresql+psycopg://parasol:sesame@db",
        "postgresql+psycopg://parasol:p@db:sesame/parasol",
        "mysql://parasol:sesame@db/parasol",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_a_database_that_cannot_be_used_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PARASOL_DATABASE_URL", url)
    told = refusal(data=tmp_path)
    assert "database_url" in told
    assert "sesame" not in told


@pytest.mark.parametrize(
    "url",
    [
        "sesame",
        "valkey://",
        "redis://:sesame@db:6379",
        "valkey://:sesame@db:port",
        "valkey://:sesame@db:0",
    ],
)
def test_a_valkey_that_cannot_be_used_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PARASOL_VALKEY_URL", url)
    told = refusal(data=tmp_path)
    assert "valkey_url" in told
    assert "sesame" not in told


def test_only_a_postgresql_has_a_replica(tmp_path: Path) -> None:
    replica = SecretStr(URL.replace("db.", "replica."))
    assert "sesame" not in refusal(data=tmp_path, replica_url=replica)
    for other in ("sqlite:////sesame.db", "sesame"):
        told = refusal(data=tmp_path, database_url=SecretStr(URL), replica_url=SecretStr(other))
        assert "replica_url" in told
        assert "sesame" not in told


def test_a_password_is_never_printed(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path,
        database_url=SecretStr(URL),
        replica_url=SecretStr(URL),
        valkey_url=SecretStr("valkeys://:sesame@counts.example:6379/0"),
    )
    assert settings.url == URL
    told = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())]
    told.append(repr(open_engine(settings.url)))
    assert "sesame" not in "".join(told)


def test_a_secret_can_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parasol_database_url").write_text(f"{URL}\n")
    monkeypatch.setenv("PARASOL_SECRETS", str(tmp_path))
    settings = Settings(data=tmp_path)
    assert settings.url == URL
    assert "sesame" not in repr(settings)
    monkeypatch.setenv("PARASOL_DATABASE_URL", "sqlite:////chosen.db")
    assert Settings(data=tmp_path).url == "sqlite:////chosen.db"


def test_a_folder_of_secrets_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARASOL_SECRETS", str(tmp_path / "sesame"))
    told = refusal(data=tmp_path)
    assert "secrets" in told
    assert "sesame" not in told
