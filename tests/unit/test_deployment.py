"""What the image and the compose file promise an operator, read from the files themselves."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr
from ruamel.yaml import YAML
from sqlalchemy import make_url

from api.cli import main
from api.server import GRACE_SECONDS
from api.settings import Settings
from api.store.engine import open_engine
from tests.image import COMPOSE, DOCKERFILE, ROOT, instructions
from tests.patroni import sample

PROGRAMS = Path(sys.executable).parent
HARDENED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
TOLD = re.compile(r"```\n(umask 022\n.*?)```", re.DOTALL)
"""The commands of docs/operations.md that make the secrets."""

compose: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
services: dict[str, dict[str, Any]] = compose["services"]
every_service = pytest.mark.parametrize("service", services.values(), ids=services)


def passes(program: str, *arguments: str | Path) -> None:
    result = subprocess.run(
        [PROGRAMS / program, *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_compose_file_is_as_the_specification_says() -> None:
    passes("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_linter_has_nothing_to_say_about_the_image() -> None:
    passes("hadolint", "--no-color", "--failure-threshold", "style", DOCKERFILE)


@every_service
def test_a_service_can_change_nothing_but_its_volumes(service: dict[str, Any]) -> None:
    assert {name: service.get(name) for name in HARDENED} == HARDENED
    assert {"privileged", "cap_add", "devices", "pid"} & set(service) == set()
    assert all(volume.split(":")[0] in compose["volumes"] for volume in service.get("volumes", []))


@every_service
def test_a_service_is_bounded_in_memory_and_processes(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9]\d*m", service["mem_limit"])
    assert service["pids_limit"] > 0


@every_service
def test_no_service_runs_as_root(service: dict[str, Any]) -> None:
    user = instructions("USER")[-1] if "build" in service else service["user"]
    assert all(int(number) > 0 for number in user.split(":"))


@every_service
def test_no_image_is_whatever_is_newest(service: dict[str, Any]) -> None:
    images = [service["image"]]
    if "build" in service:
        named, *stages = instructions("FROM")
        images = [named.split()[0]]
        assert all(stage.split()[0] == "base" for stage in stages)
    assert all(re.fullmatch(r"[a-z/]+:\d+(\.\d+)?-[a-z-]+", image) for image in images), images


def test_only_this_host_can_reach_the_server_and_nobody_its_database() -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {"app": ["127.0.0.1:8000:8000"]}
    assert compose["networks"]["inside"] == {"internal": True}
    assert [name for name, one in services.items() if one["networks"] != ["inside"]] == ["app"]
    assert not any("network_mode" in one for one in services.values())


def test_every_secret_is_a_file() -> None:
    taken = {name for one in services.values() for name in one.get("secrets", [])}
    assert taken == set(compose["secrets"])
    assert all(list(one) == ["file"] for one in compose["secrets"].values())
    told = [line for one in services.values() for line in one.get("environment", {}).items()]
    assert all("://" not in value for _, value in told)
    assert [name for name, _ in told if "PASSWORD" in name and not name.endswith("_FILE")] == []


def test_every_service_that_stays_tells_whether_it_is_well() -> None:
    assert len(instructions("HEALTHCHECK")) == 1
    assert services["migrate"]["healthcheck"] == {"disable": True}
    assert "healthcheck" not in services["app"]  # the image's
    assert all(services[name]["healthcheck"]["test"] for name in ("postgres", "valkey"))


def test_nothing_relies_on_an_engine_that_starts_things_in_order() -> None:
    commands = [services[name]["command"] for name in ("app", "migrate")]
    commands.append(json.loads(instructions("CMD")[-1]))
    for name, *options in commands:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        context = command.make_context(name, [*options, "--data", "/nowhere"])
        assert context.params["wait"] >= 60
    assert all(isinstance(one.get("depends_on", []), list) for one in services.values())


def test_a_signal_reaches_the_server_which_has_the_time_to_end() -> None:
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ["parasol"]
    assert services["app"]["init"]
    assert int(services["app"]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS


def test_what_the_image_copies_is_enough_to_migrate_and_to_serve(tmp_path: Path) -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for line in instructions("COPY"):
        *sources, place = [word for word in line.split() if not word.startswith("--")]
        for source in map(Path, sources):
            if source.is_absolute():
                source = source.relative_to("/opt/parasol")  # noqa: PLW2901  (built in a stage)
            else:
                assert f"!{source.parts[0]}" in let_through
            if source.name == "web" or not source.parts:
                continue  # the stage of the pages, and the last, which takes all
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "dist", "node_modules")
                shutil.copytree(ROOT / source, tmp_path / source, ignore=ignored)
            else:
                shutil.copy(ROOT / source, tmp_path / place)
    program = (
        "import api.server; from api.web.assets import read_built; from pathlib import Path;"
        "from api.web.languages import read_languages; from api.store.schema import migrate;"
        "print(api.__file__); read_built(); read_languages(Path('none'));"
        "migrate('sqlite:///migrated.db')"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "api/__init__.py")


def test_the_image_holds_no_key_no_history_and_nothing_built_outside() -> None:
    first, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    let_in = {line[1:] for line in rest if line.startswith("!")}
    tracked = subprocess.run(
        ["git", "ls-files", *let_in], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert let_in == {Path(name).parts[0] for name in tracked}
    assert {"api/web/dist*", "api/web/node_modules", "**/__pycache__"} <= set(rest)
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_secrets_are_made_as_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commands,) = TOLD.findall((ROOT / "docs/operations.md").read_text())
    subprocess.run(["sh", "-eu", "-c", commands], cwd=tmp_path, check=True)
    made = {name: tmp_path / one["file"] for name, one in compose["secrets"].items()}
    assert set(made.values()) == set((tmp_path / "secrets").iterdir())
    # Others on the host come no further than the folder; each service is another user.
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.values()} == {0o644}
    monkeypatch.setenv("PARASOL_SECRETS", str(tmp_path / "secrets"))
    settings = Settings(data=tmp_path)
    assert settings.valkey_url is not None
    database, counts = make_url(settings.url), make_url(settings.valkey_url.get_secret_value())
    assert (database.host, counts.host) == ("postgres", "valkey")
    assert made["postgres_password"].read_text() == database.password
    assert made["valkey_conf"].read_text() == f"requirepass {counts.password}\n"
    assert database.password != counts.password
    assert len(str(database.password)) == len(str(counts.password)) == 48


def test_the_document_on_three_machines_has_a_url_that_can_be_used(tmp_path: Path) -> None:
    document = (ROOT / "docs/postgresql.md").read_text()
    (url,) = re.findall(r"^postgresql\+psycopg://\S+$", document, re.MULTILINE)
    engine = open_engine(Settings(data=tmp_path, database_url=SecretStr(url)).url)
    _, options = engine.dialect.create_connect_args(engine.url)
    options.pop("context")
    known = conninfo_to_dict(make_conninfo(**options))
    assert (known["host"], known["port"]) == ("192.0.2.1,192.0.2.2,192.0.2.3", "5432,5432,5432")
    assert known["target_session_attrs"] == "read-write"


def test_the_document_on_three_machines_loses_nothing_that_was_acknowledged() -> None:
    agreed = sample()["bootstrap"]["dcs"]
    assert agreed["synchronous_mode"] is True
    # Patroni's own rule: else a leader could be deposed that only waits.
    assert agreed["loop_wait"] + 2 * agreed["retry_timeout"] <= agreed["ttl"]
