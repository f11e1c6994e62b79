# Everything a stranger needs. `make demo` and `make test` work from a fresh clone on a bare machine with Python 3.11-3.13.
# ARGS is passed on:  make -s bench-cache ARGS=--json   prints JSON alone on stdout (installation talks on stderr).

VENV ?= .venv
ARGS ?=
PY = $(VENV)/bin/python
RAYDISTILL = $(VENV)/bin/raydistill
BASE = $(VENV)/.installed-base
DEV = $(VENV)/.installed-dev

# First interpreter that is new enough and can make environments; looked for only when an environment has to be made.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo demo-again demo-seeds test lint format golden chaos guards clean

help:  ## this list
	@grep -hE '^[a-z-]+%?:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+%?):.*## /  make \1 | /' | awk -F'|' '{printf "%-22s%s\n", $$1, $$2}'

$(PY):
	@test -n "$(PYTHON)" || { echo "raydistill needs Python 3.11, 3.12 or 3.13 with the venv module; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv --clear $(VENV) >&2

$(BASE): pyproject.toml constraints-cpu.txt | $(PY)
	@echo "installing raydistill into $(VENV) (a few minutes the first time)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints-cpu.txt -e ".[onnx]" >&2
	@touch $@

$(DEV): pyproject.toml constraints-cpu.txt | $(PY)
	@echo "installing raydistill and its development tools into $(VENV) (a few minutes the first time)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints-cpu.txt -e ".[onnx,dev]" >&2
	@touch $(BASE) $@

install: $(BASE)  ## environment in .venv, installed once and again when requirements change
install-dev: $(DEV)  ## the same with the tools for tests

demo: $(BASE)  ## install, make the data, run the main example, print where the report is
	@$(PY) examples/digits/make_data.py
	@$(RAYDISTILL) run examples/digits/trust.yaml $(ARGS)

demo-again: $(BASE)  ## another search over the same cache: no teacher is loaded
	@$(PY) examples/digits/make_data.py
	@$(RAYDISTILL) run examples/digits/trust.yaml --set search.seed=1 $(ARGS)

demo-seeds: $(BASE)  ## the demo on five fixed splits, with its bar
	@$(PY) -m benchmarks.demo_seeds $(ARGS)

bench-%: $(BASE)  ## one benchmark by name
	@$(PY) -m benchmarks.$(subst -,_,$*) $(ARGS)

golden: $(DEV)  ## our losses against the originals' numbers (GOLDEN_DIR: another folder; ARGS=--json)
	@$(PY) -m tests.golden $(ARGS)

chaos: $(DEV)  ## kill drivers and actors at random and check what is left (about an hour)
	@$(PY) -m tests.chaos.run $(ARGS)

guards: $(DEV)  ## remove each guard in turn and show the test that turns red
	@$(PY) -m benchmarks.guards $(ARGS)

lint: $(DEV)  ## ruff, formatting, types, layers
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

test: lint  ## everything CI runs
	@$(PY) -m pytest $(ARGS)

format: $(DEV)  ## put the code into its usual form
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .

clean:  ## remove what tools left behind (keeps the environment, caches of labels and runs)
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .work
	@find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
