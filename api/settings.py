"""What an operator chooses, read from the environment once, at start."""

import os
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, DirectoryPath, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from schemas.lookups import MOST_ELEMENTS

Count = Annotated[int, Field(ge=1, le=1_000_000)]
DRIVERS = ("postgresql+psycopg", "sqlite")


def _database(url: SecretStr) -> SecretStr:
    try:
        parsed = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):  # some of which quote a part of the password
        parsed = None
    if parsed and parsed.drivername in DRIVERS and parsed.database not in (None, "", ":memory:"):
        return url
    raise ValueError("write it as postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:////FILE")


def _replica(url: SecretStr) -> SecretStr:
    if _database(url).get_secret_value().startswith("postgresql"):
        return url
    raise ValueError("a replica is one of PostgreSQL")


def _valkey(url: SecretStr) -> SecretStr:
    try:
        parsed = urlsplit(url.get_secret_value())
        known = parsed.scheme in {"valkey", "valkeys"} and parsed.hostname and parsed.port != 0
    except ValueError:  # which quotes what cannot be a port
        known = False
    if known:
        return url
    raise ValueError("write it as valkey://:PASSWORD@HOST:PORT/0, or valkeys:// with TLS")


class Settings(BaseSettings):
    """One instance. There is no default where a wrong guess would be unsafe."""

    model_config = SettingsConfigDict(
        env_prefix="PARASOL_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    data: Annotated[Path, AfterValidator(Path.absolute)]
    """The instance's folder: its keys and, unless `database_url` says otherwise, its database."""

    database_url: Annotated[SecretStr, AfterValidator(_database)] | None = None
    """An SQLAlchemy URL; `postgresql+psycopg://…` for PostgreSQL. It may hold a password."""

    replica_url: Annotated[SecretStr, AfterValidator(_replica)] | None = None
    """Likewise, of a streaming replica of that database, which some reads may go to."""

    valkey_url: Annotated[SecretStr, AfterValidator(_valkey)] | None = None
    """Where all processes count together what callers ask for; without it each counts alone."""

    secrets: DirectoryPath | None = None
    """A folder of files that each hold a setting and have its name: `parasol_database_url`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that serve."""

    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where figures for a monitor are served, on this host alone; the next process takes the next
    port. Without it there are none."""

    plain_lookups: bool = True
    """Whether callers without cryptography may look up and report in clear."""

    per_hour: Count = 20
    per_day: Count = 100
    """Identifiers that one member may look up."""

    collective_per_day: Count = 5_000
    moderator_per_hour: Count = 400
    reports_per_day: Count = 10

    bucket_limit: Annotated[int, Field(ge=4_096, le=16_777_216)] = 131_072
    """Bytes of one bucket file at most."""

    stretching_threads: Annotated[int, Field(ge=1, le=64)] = os.cpu_count() or 1
    """Argon2id computations at once; each holds the network's memory cost."""

    stretching_queue: Annotated[int, Field(ge=1, le=1_000)] = 32
    """Argon2id computations that may wait; beyond them the answer is 503."""

    poll_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    """About how often each partner is asked for what is new."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is not in the environment from the files in `secrets`."""
        del dotenv_settings, file_secret_settings
        folder = os.environ.get("PARASOL_SECRETS", "")
        # One that is not there is refused by name, as any setting is, not only warned of.
        there = folder if Path(folder).is_dir() else None
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, there or None)

    @model_validator(mode="after")
    def _has_places_for_one_look_up(self) -> Self:
        if self.stretching_threads + self.stretching_queue < MOST_ELEMENTS:
            raise ValueError("fewer places for Argon2id than identifiers in one look-up")
        return self

    @model_validator(mode="after")
    def _has_a_database_to_replicate(self) -> Self:
        if self.replica_url and not self.url.startswith("postgresql"):
            raise ValueError("a replica of no PostgreSQL")
        return self

    @property
    def url(self) -> str:
        """The database's URL."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data / 'parasol.db'}"

    @property
    def metrics_ports(self) -> range:
        """The ports for a monitor, as many as processes; none where none is wanted."""
        first = self.metrics_port
        return range(first, first + self.workers) if first else range(0)

    @property
    def keys(self) -> Path:
        """The folder of the key files."""
        return self.data / "keys"

    @property
    def pages(self) -> Path:
        """The folder of what the collective's pages say otherwise; it need not be there."""
        return self.data / "pages"
