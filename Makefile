# make demo   four releases under load, with your own eyes
# make test   everything, and what it needs is installed first
PYTHON ?= python3
BIN    := .venv/bin
.DEFAULT_GOAL := setup
include tests/parts.mk

.PHONY: setup demo test test-fast check bench docs clean

setup: .venv/.ready  ## the virtual environment in .venv

demo: setup          ## KEEP=1 leaves it running
	@$(BIN)/turnout demo

test: setup .cache/debian.ready $(CLIENTS)  ## every test, with the real clients
	$(BIN)/pytest -n 2 -m "not real"
	$(BIN)/pytest --durations 20 -m "real and not terraform"
	$(BIN)/pytest --durations 20 -n 3 --dist loadfile -m terraform

test-fast: setup     ## without the parts from outside: seconds
	$(BIN)/pytest -n 2 -m "not real and not crash"

check: setup         ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: setup .cache/debian.ready .cache/ministack/.ready .cache/moto/.ready  ## measures, and writes docs/benchmarks.md
	$(BIN)/python -m bench

docs: setup          ## docs/cli.md and docs/operations.md, from the code
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .cache

.venv/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "turnout needs Python 3.11 or newer: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
