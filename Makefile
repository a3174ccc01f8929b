# make demo   four releases under load, with your own eyes
# make test   everything, and what it needs is installed first
PYTHON ?= python3
BIN    := .venv/bin
CLIENTS := .cache/awscli/.ready .cache/ecs-deploy/.ready .cache/node/.ready .cache/playwright/.ready

.PHONY: setup demo test test-fast check bench docs clean

setup: .venv/.ready  ## the virtual environment in .venv

demo: setup          ## KEEP=1 leaves it running
	@$(BIN)/turnout demo

test: setup .cache/debian.ready $(CLIENTS)  ## every test, with the real clients
	$(BIN)/pytest -n 2 -m "not real"
	$(BIN)/pytest -m real

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

# Only root can install packages, and only where they are missing. Without them their tests say what they lack.
.cache/debian.ready:
	@mkdir -p .cache
	@missing=; for found in git:git node:nodejs npm:npm nginx:nginx-light haproxy:haproxy wrk:wrk chromium:chromium \
    cmake:cmake make:make g++:g++ autoconf:autoconf automake:automake libtoolize:libtool xz:xz-utils dockerd:docker.io docker:docker.io podman:podman skopeo:skopeo busybox:busybox-static; do \
	  command -v $${found%%:*} >/dev/null || missing="$$missing $${found##*:}"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; \
	elif [ -n "$$missing" ]; then echo "not installed, and you are not root:$$missing"; fi
	@touch $@

.cache/%/.ready:
	$(PYTHON) -m venv .cache/$*
	.cache/$*/bin/pip install --quiet $*
	@touch $@

.cache/moto/.ready:
	$(PYTHON) -m venv .cache/moto
	.cache/moto/bin/pip install --quiet 'moto[server]==5.2.5'
	@touch $@

.cache/node/.ready:
	@mkdir -p .cache/node && echo '{"private": true}' > .cache/node/package.json
	npm install --prefix .cache/node --no-audit --no-fund --silent @aws-sdk/client-codepipeline @aws-sdk/client-codedeploy
	@touch $@
