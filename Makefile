# Etapa: `make` lists what can be typed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
export UV_LINK_MODE ?= copy

.PHONY: help setup lock protos drift format lint types contracts sizes check sdk-bounds deploy image map unit integration e2e browser chromium test demo up bench-setup bench new-tool clean
CODE := services sdk/src/etapa_client tests scripts bench
PYTEST := $(BIN)/pytest -n 2 --dist loadgroup

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make .venv with everything that Etapa and its tests need

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready: requirements.lock pyproject.toml sdk/pyproject.toml | $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable sdk --editable .
	touch $@

lock: | $(VENV)/bin/uv ## pin all dependencies anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group dev --no-emit-package etapa --generate-hashes --upgrade pyproject.toml --output-file requirements.lock

.venv-protos/.ready: requirements-protos.txt | $(VENV)/bin/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-protos
	$(BIN)/uv pip install --quiet --python .venv-protos/bin/python --requirement requirements-protos.txt
	touch $@

protos: setup .venv-protos/.ready ## rebuild sdk/src/etapa from protos/
	.venv-protos/bin/python scripts/generate_protos.py sdk/src/etapa

format: setup ## rewrite the code in the house form
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix --quiet $(CODE)

lint: setup
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/buf lint

types: setup
	$(BIN)/mypy services sdk/src/etapa_client tests bench

contracts: setup
	$(BIN)/lint-imports

sizes: setup
	$(BIN)/python scripts/check_sizes.py

# The pinned generator has no build for Pythons after 3.13; there the committed code is used as it is.
HAS_GENERATOR := $(shell $(PYTHON) -c 'import sys; print(1 if sys.version_info < (3, 14) else "")')

ifeq ($(HAS_GENERATOR),)
drift:
	@echo "drift: not checked, the pinned generator does not run on this Python"
else
drift: setup .venv-protos/.ready
	rm -rf out/drift && mkdir -p out/drift
	.venv-protos/bin/python scripts/generate_protos.py out/drift/etapa
	diff -r -x __pycache__ out/drift/etapa sdk/src/etapa
endif

sdk-bounds: setup
	$(BIN)/python scripts/check_sdk_bounds.py

.venv-deploy/.ready: requirements-deploy.txt | $(VENV)/bin/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-deploy
	$(BIN)/uv pip install --quiet --python .venv-deploy/bin/python --requirement requirements-deploy.txt
	touch $@

deploy: setup .venv-deploy/.ready
	$(BIN)/python scripts/check_deploy.py

image: setup ## do the image's steps in a clean folder, without Docker, and run the result
	$(BIN)/python scripts/prove_image.py

map: setup ## rewrite the list of files in ARCHITECTURE.md
	$(BIN)/python scripts/code_map.py

check: lint types contracts sizes drift sdk-bounds deploy ## form, types, import contracts, sizes, generated code

unit: setup ## tests of pure code, in seconds
	$(PYTEST) tests/unit

integration: setup ## tests on a real Postgres and real sockets
	$(PYTEST) tests/integration

e2e: setup ## whole stacks: many jobs, lost callbacks, kill -9
	$(PYTEST) tests/e2e

browser: setup chromium ## the console in Debian's Chromium
	$(PYTEST) tests/browser

chromium:
	@command -v chromium >/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null)

test: check image chromium ## everything that CI runs
	$(PYTEST) tests

bench-setup: setup ## make the peers' own environment, for bench
	bench/peers/setup.sh

bench: bench-setup ## measure Etapa, its peers and the ceiling: QUICK=1 in minutes, ONLY=full_work,idle
	$(BIN)/python -m bench $(if $(filter-out 0,$(QUICK)),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

new-tool: setup ## write the one file of a new tool: NAME=… [APP=… CREDITS=…]
	$(BIN)/python scripts/new_tool.py "$(NAME)" $(if $(APP),--app $(APP)) $(if $(CREDITS),--credits $(CREDITS))

demo: setup ## see all of it at work with the emulator: EXIT=1 ends after the jobs
	$(BIN)/etapa demo $(if $(filter-out 0,$(EXIT)),--exit)

up: setup ## start everything and keep it running: QUEUE=2 runs two queue processes
	$(BIN)/etapa up $(if $(QUEUE),--queue $(QUEUE))
