# Sets everything up in .venv and runs it. `make help` says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
DIR ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
TESTS ?= tests
SCANS ?= 200
HOURS ?= 1
SEEDS ?= 300
export DIR

.PHONY: help run demo test lint docs bench targets soak clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: $(VENV)/.ready ## Watch the beamtime directory DIR; without DIR run the demo.
	@if [ -n "$$DIR" ]; then exec $(BIN)/scicat-watch run "$$DIR"; else exec $(BIN)/scicat-watch demo; fi

demo: $(VENV)/.ready ## A simulated beamtime, the daemon and the catalogue's page.
	@exec $(BIN)/scicat-watch demo

test: $(VENV)/.ready-dev ## Run the tests; TESTS=tests/pipeline runs a part.
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(TESTS)

lint: $(VENV)/.ready-dev ## Check style and types.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(VENV)/.ready-dev ## Make the reference pages, and build the documentation into site/.
	@$(BIN)/python docs/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.ready-dev ## Measure; SCANS=200 is how many scans.
	@$(BIN)/python -m tests.benchmarks.bench --scans $(SCANS)
	@$(BIN)/python -m tests.benchmarks.bench_latency
	@$(BIN)/python -m tests.benchmarks.bench_pipeline
	@$(BIN)/python -m tests.benchmarks.bench_offline
	@$(BIN)/python -m tests.benchmarks.bench_catalogue
	@$(BIN)/python -m tests.benchmarks.bench_scale --idle 20
	@$(BIN)/python -m tests.benchmarks.bench_full

targets: $(VENV)/.ready-dev ## Measure at full size what has a target, in under 10 minutes on a quiet machine.
	@$(BIN)/python -m tests.benchmarks.bench_targets

soak: $(VENV)/.ready-dev ## Run the long tests; HOURS=1 is for how long, SEEDS=300 how many random programs.
	@SCICAT_WATCH_SOAK_HOURS=$(HOURS) SCICAT_WATCH_SEEDS=$(SEEDS) $(BIN)/python -m pytest -m soak --timeout 0 -n 0 $(TESTS)

clean: ## Remove what was made: .venv, caches, site, dist. No data.
	@rm -rf $(VENV) site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "scicat-watch needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) ..."
	@$(PIP) install -e .
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) for tests ..."
	@$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.ready
