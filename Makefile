# The newcomer's commands. Everything is installed into .venv, from the lock files, by hash.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install
WEB := api/web
NODE := cd $(WEB) && ./with-node

.PHONY: demo demo-federation web test check soak bench lock clean

demo: .venv/runtime web
	$(BIN)/parasol demo

demo-federation: .venv/runtime web
	$(BIN)/parasol demo-federation

web: $(WEB)/dist/manifest.json

test: .venv/development $(WEB)/node_modules/.development web
	PYTEST_XDIST_AUTO_NUM_WORKERS=$(PROCESSES) $(BIN)/pytest $(PARALLEL)

check: .venv/development $(WEB)/node_modules/.development
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(WEB)/with-node $(WEB)/check-sources

# One process more than there are cores, since they often wait, each with its own database servers
# and browser; a file stays in one of them.
PROCESSES = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What takes too long for every change: crashes by the hundred, fail-over, fuzzing, timing.
soak: .venv/soak web
	$(BIN)/pytest --timeout 3600 tests/soak

bench: .venv/soak web
	$(BIN)/python -m tests.bench

lock: .venv/development
	$(BIN)/uv pip compile pyproject.toml --group build $(COMPILE) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev $(COMPILE) -o requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --group soak $(COMPILE) -o requirements-soak.lock
	$(BIN)/uv pip compile --group web $(COMPILE) -o requirements-web.lock
	$(NODE) npm install --package-lock-only
	$(NODE) node lock.mjs

COMPILE := --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header --no-annotate

.venv/runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

.venv/development: .venv/runtime requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

.venv/soak: .venv/development requirements-soak.lock
	$(PIP) --require-hashes -r requirements-soak.lock
	touch $@

# `.runtime` has what builds the pages, `.development` also what checks them.
$(WEB)/dist/manifest.json: $(WEB)/node_modules/.runtime $(WEB)/build.mjs $(WEB)/numbering.mjs $(shell find $(WEB)/src -type f)
	$(NODE) node build.mjs

$(WEB)/node_modules/.runtime: $(WEB)/package-lock.json .venv/runtime
	test -e $(WEB)/node_modules/.development || { $(NODE) npm ci --omit=dev; }
	touch $@

$(WEB)/node_modules/.development: $(WEB)/package-lock.json .venv/runtime
	$(NODE) npm ci
	touch $@ $(WEB)/node_modules/.runtime

clean:
	rm -rf .venv build dist $(WEB)/dist $(WEB)/node_modules
