# Two commands do all the set-up: `make demo` and `make test`. Nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help demo test lint format types imports unit bench train lock clean

help: ## Lists these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## Starts a box, deploys the three functions, calls each (ARGS=--once: and exits)
	$(BIN)/python examples/demo.py $(ARGS)

test: lint types imports unit ## Runs lint, types, import contracts and all tests

lint: $(VENV)/.installed-dev ## Checks style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.installed-dev ## Formats the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.installed-dev ## Checks types
	$(BIN)/mypy

imports: $(VENV)/.installed-dev ## Checks which module may import which
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev ## Runs the tests (ARGS=-k name: some of them)
	$(BIN)/pytest $(ARGS)

bench: $(VENV)/.installed-dev ## Compares the running box with a bare loop and plain aiohttp (ARGS=--quick)
	$(BIN)/python tests/bench/run.py $(ARGS)

train: $(VENV)/.installed-train ## Trains and evaluates the three functions again
	sh functions/train.sh $(BIN)/python

lock: ## Pins what `make` installs (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url -o requirements/base.lock
	uv pip compile pyproject.toml requirements/build.in --extra dev --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url -c requirements/base.lock -c requirements/constraints.in -o requirements/dev.lock

clean: ## Removes the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgefn needs Python 3.11 or later; this is %s. Say PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || sh requirements/venv.sh "$(PYTHON)" $(VENV)

$(VENV)/.installed: requirements/base.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/base.lock -r requirements/build.in
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock requirements/torch.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/dev.lock -r requirements/torch.txt
	@touch $@

$(VENV)/.installed-train: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[train]'
	@touch $@
