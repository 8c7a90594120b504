# The newcomer's commands. Everything is installed into .venv, from the lock files, by hash.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install

.PHONY: demo test check bench lock clean

demo: .venv/runtime
	$(BIN)/parasol demo

test: .venv/development
	$(BIN)/pytest

check: .venv/development
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/development
	$(BIN)/python -m tests.bench

lock: .venv/development
	$(BIN)/uv pip compile pyproject.toml --group build $(COMPILE) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev $(COMPILE) -o requirements-dev.lock

COMPILE := --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header --no-annotate

.venv/runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

.venv/development: .venv/runtime requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

clean:
	rm -rf .venv build dist
