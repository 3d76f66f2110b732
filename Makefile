# Everything a checkout needs: Python 3.11 or newer, git and make.
#   make demo    build the environment, aggregate two sample jobs, compare them, write the report
#   make test    run the tests
#   make check   lint and type-check
.DEFAULT_GOAL := demo
.PHONY: demo test check bench coverage clean

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Building the environment in .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Adding the development tools to .venv (once) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: .venv/installed-dev
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/installed-dev
	@status=0; for script in run memory growth comparing recording; do \
	  $(BIN)/python benchmarks/$$script.py || status=1; done; exit $$status

coverage: .venv/installed-dev
	@$(BIN)/python benchmarks/coverage.py

clean:
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
