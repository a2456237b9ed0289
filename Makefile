# Two commands do all the set-up: `make demo` and `make test`. Nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE := $(CURDIR)/$(VENV)/cache
ARGS ?=

# With Ray: whole fleets of real processes, one at a time.
FLEET := tests/integration/fleet tests/e2e/test_fleet_demo.py

.PHONY: help demo fleet-demo test test-fleet test-long lint format types imports unit bench wheel variants train lock clean

help: ## Lists these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## Starts a box, deploys the three functions, calls each (ARGS=--once: and exits)
	$(BIN)/python examples/demo.py $(ARGS)

fleet-demo: $(VENV)/.installed-$(if $(findstring --no-ray,$(ARGS)),litert,ray) ## Starts a hub, a cloud box, two edge boxes and Ray; shows what they do (ARGS=--once, --no-ray)
	$(BIN)/python examples/fleet_demo.py $(ARGS)

test: lint types imports unit ## Runs lint, types, import contracts and all tests but those with Ray

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

unit: $(VENV)/.installed-converter ## Runs the tests (ARGS=-k name: some of them)
	XDG_CACHE_HOME=$(CACHE) $(BIN)/pytest -n 3 --dist loadfile $(FLEET:%=--ignore=%) $(ARGS)

test-fleet: $(VENV)/.installed-dev ## Runs the tests with Ray; CI does, too
	$(BIN)/pytest -n 1 -o faulthandler_timeout=1500 $(FLEET) $(ARGS)

test-long: $(VENV)/.installed-dev ## Runs the tests that take minutes
	TEST_LONG=1 $(BIN)/pytest -o faulthandler_timeout=1500 tests/integration/events/test_cut.py tests/integration/compiled $(FLEET) $(ARGS)

# A few minutes. The others take longer, or want the machine for themselves: docs/performance.md.
bench: $(VENV)/compiled ## Measures a decision; compares a box with plain aiohttp (ARGS=--quick). More: docs/performance.md
	$(BIN)/python tests/bench/routing.py --compiled $(VENV)/compiled
	$(BIN)/python tests/bench/run.py --compiled $(VENV)/compiled $(ARGS)

wheel: $(VENV)/.installed-dev ## Builds a wheel that is compiled for this platform, into dist/ (needs a C compiler)
	EDGEFN_COMPILE=1 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .

variants: $(VENV)/.installed-train $(VENV)/.installed-converter ## Compresses the three functions again
	for name in diagnosis monitoring voice; do \
	  XDG_CACHE_HOME=$(CACHE) $(BIN)/edgefn build functions/$$name $(ARGS) --output $(CACHE)/$$name.edgefn || exit 1; \
	done
	$(BIN)/python functions/variants_table.py

train: $(VENV)/.installed-train ## Trains and evaluates the three functions again
	sh functions/train.sh $(BIN)/python

lock: ## Pins what `make` and `edgefn build --get-tools` install (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url -o requirements/base.lock
	uv pip compile pyproject.toml requirements/build.in --extra dev --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url -c requirements/base.lock -c requirements/constraints.in -o requirements/dev.lock
	cd edgefn/compress/converter && uv pip compile converter.in --no-deps --generate-hashes --python-version 3.12 --only-binary :all: --no-header --no-annotate --no-emit-index-url -o lock.txt

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

$(VENV)/.installed-litert: requirements/dev.lock | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c requirements/dev.lock -e '.[litert]'
	@touch $@

$(VENV)/.installed-ray: requirements/dev.lock | $(VENV)/.installed-litert
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c requirements/dev.lock -e '.[ray]'
	@touch $@

# The LiteRT converter clashes with what else is installed, and so lives in an environment of its own.
$(VENV)/.installed-converter: edgefn/compress/converter/lock.txt | $(VENV)/.installed-dev
	XDG_CACHE_HOME=$(CACHE) $(BIN)/python -m edgefn.compress.converter
	@touch $@

# Both packages compiled, as `make wheel` has them; it needs a C compiler.
$(VENV)/compiled: hatch_build.py pyproject.toml $(wildcard edgefn/routing/*.py edgefn/scaling/*.py edgefn/simulate/*.py edgefn/simulate/engine/*.py runtime/edgefn_runtime/*.py) | $(VENV)/.installed-dev
	rm -rf $@
	$(BIN)/python hatch_build.py $@ || { rm -rf $@; exit 1; }
	@touch $@

$(VENV)/.installed-train: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[train]'
	@touch $@
