PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test torture check docs format lock clean

demo: .venv/run.ready  ## set up, then watch failures and a recovery against the simulator
	@$(BIN)/job-monitor demo

test: .venv/dev.ready  ## set up, then run the whole test suite
	@$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal

torture: .venv/dev.ready  ## a cluster under hundreds of faults, for most of an hour; see TORTURE='--help'
	@$(BIN)/pytest -m long
	@$(BIN)/python -m tests.torture $(TORTURE)

check: .venv/dev.ready  ## style, types and the direction of imports, in seconds
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

docs: .venv/dev.ready  ## write the page of all settings anew, and build the site into site/
	@$(BIN)/python -m documenting.settings
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo 'Open site/index.html'

format: .venv/dev.ready
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lock:  ## pin anew what pyproject.toml asks for (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group build pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv site

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Job Monitor needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv || { echo 'No venv module: on Debian and Ubuntu, apt-get install python3-venv'; rm -rf .venv; exit 1; }

.venv/run.ready: requirements.lock pyproject.toml | .venv/bin/python
	@echo 'Setting up .venv (once) …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.ready: requirements-dev.lock .venv/run.ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
