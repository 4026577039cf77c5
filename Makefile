# Etapa: `make` lists what can be typed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
export UV_LINK_MODE ?= copy

.PHONY: help setup lock protos format lint types contracts check unit integration e2e browser test demo up new-tool clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

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
	$(BIN)/ruff format services sdk/src/etapa_client tests scripts
	$(BIN)/ruff check --fix --quiet services sdk/src/etapa_client tests scripts

new-tool: setup ## write the one file of a new tool: NAME=… [APP=… CREDITS=…]
	$(BIN)/python scripts/new_tool.py "$(NAME)" $(if $(APP),--app $(APP)) $(if $(CREDITS),--credits $(CREDITS))

up: setup ## start everything and keep it running: QUEUE=2 runs two queue processes
	$(BIN)/etapa up $(if $(QUEUE),--queue $(QUEUE))
