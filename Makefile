# Commands for people. `make demo` and `make test` need Python 3.11 or newer; the rest is installed from the package registry.

# The first Python on this machine that is new enough; set PYTHON=... to choose another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; exit; }; done; echo python3)
BIN := .venv/bin

# Compiled modules are kept: the tests start some hundred processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-stacks check docs lock setup setup-dev clean

help:
	@echo 'make demo               run the whole stack on this machine, send alerts, check the outcome (ARGS=--keep: keep it running)'
	@echo 'make test               run the tests (ARGS=...: for pytest; COVERAGE=1: fail when they reach less than 90% of the lines)'
	@echo 'make test-stacks        run the tests that start whole stacks of processes, which takes minutes'
	@echo 'make check              check style, types, import rules and generated pages'
	@echo 'make docs               build the documentation site'
	@echo 'make lock               resolve the dependencies again (needs uv)'

setup:
	@$(PYTHON) scripts/setup.py runtime

setup-dev:
	@$(PYTHON) scripts/setup.py dev

demo: setup
	@$(BIN)/tocsin demo $(ARGS)

test: setup-dev
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m 'not stack' $(if $(COVERAGE),$(COVERED)) $(ARGS)

test-stacks: setup-dev
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m stack $(ARGS)

# The lines that the tests reach in their own processes; what runs in others is not counted.
COVERED := --cov orchestrator --cov api --cov connectors --cov-report term:skip-covered --cov-fail-under 90

# Every check runs, so that one run names everything to fix.
check: setup-dev
	@failed=; \
	try() { printf '\n== %s\n' "$$*"; "$$@" || failed="$$failed $$(basename "$$1")"; }; \
	try $(BIN)/ruff check .; \
	try $(BIN)/ruff format --check .; \
	try $(BIN)/mypy orchestrator connectors api; \
	try $(BIN)/lint-imports; \
	try $(BIN)/python -m connectors.readme --check; \
	try $(BIN)/python -m orchestrator.cli.docs --check; \
	try $(BIN)/python -m tests.architecture.language; \
	test -z "$$failed" || { printf '\nfailed:%s\n' "$$failed"; exit 1; }

# Builds the documentation site offline; a broken link is an error.
docs: setup-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The runtime uses the versions that were tested.
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet
lock:
	$(LOCK) --extra build --extra dev --output-file requirements-dev.lock
	$(LOCK) --extra build --constraint requirements-dev.lock --output-file requirements.lock

clean:
	rm -rf .venv .demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
