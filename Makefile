# Each target sets itself up: a machine needs Python 3.11 or later and make, nothing else.
# (`make test` also builds a Kubernetes control plane, once per machine: see tests/kube.)

PYTHON ?= $(shell scripts/find-python)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST_ARGS ?=
SOAK_ARGS ?=
# Tests against clusters wait more than they compute, so there are more workers than cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run check test soak lint format bench venv lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Serve the webhook on localhost with a sample cluster, and show a few verdicts
	@$(BIN)/python -m app serve --embedded

check: lint ## Run what needs no API server: lint and the unit tests, three minutes
	@echo "==> Unit tests"
	@$(PYTEST) --ignore tests/integration --ignore tests/image $(PYTEST_ARGS)

test: $(STAMP) ## Run all tests, those against a real API server included, twelve minutes
	@echo "==> Programs of the test cluster (built once per machine, minutes the first time)"
	@$(BIN)/python -m tests.kube.binaries
	@echo "==> Tests"
	@$(PYTEST) --durations 20 $(PYTEST_ARGS)

soak: $(STAMP) ## Run the long tests, hours; what is done is remembered (SOAK_ARGS=--help)
	@$(BIN)/python -m tests.soak $(SOAK_ARGS)

lint: $(STAMP) ## Check format, rules, types, the direction of imports, and the Dockerfile
	@echo "==> ruff format" && $(BIN)/ruff format --check .
	@echo "==> ruff check" && $(BIN)/ruff check .
	@echo "==> mypy" && $(BIN)/mypy
	@echo "==> import-linter" && $(BIN)/lint-imports
	@if [ -x $(BIN)/hadolint ]; then echo "==> hadolint" && $(BIN)/hadolint Dockerfile; fi

format: $(STAMP) ## Format the code and fix what can be fixed by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure decisions, requests, changes on a real API server, and memory
	@$(BIN)/python -m tests.bench

venv: $(STAMP) ## Create .venv with everything in it (the other targets do that by themselves)

$(STAMP): requirements.txt requirements-dev.txt requirements-build.txt pyproject.toml app/__init__.py
	@scripts/make-venv "$(PYTHON)" $(VENV)
	@touch $@

lock: $(STAMP) ## Resolve the dependencies anew and write requirements*.txt
	@scripts/lock $(VENV)

clean: ## Remove everything that make created here
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
