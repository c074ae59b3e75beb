# From a bare Python ≥ 3.11: `make demo`, `make test`. Every target installs into .venv first when needed;
# the demo the package alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := $(VENV)/.package
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.docs
NPROC ?= 2

.PHONY: docs notebooks install demo test test-slow lint format package bench reproduce clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## create .venv with jaxswarm (editable) and the developers' tools

$(PACKAGE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "jaxswarm needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable .
	@touch $@

$(STAMP): $(PACKAGE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable . --group dev
	@touch $@

$(DOCS): $(PACKAGE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable . --group docs
	@touch $@

docs: $(DOCS) ## the documentation site, in docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

notebooks: $(STAMP) ## execute the notebooks and store their outputs (half an hour)
	$(BIN)/python -m docs.generators.notebooks

demo: $(PACKAGE) ## 256 agents learn digits by gossip: progress bar, table, picture
	$(BIN)/python experiments/gossip_learning.py

test: $(STAMP) ## the whole test suite, minutes-long tests left out
	$(BIN)/python -m pytest -n $(NPROC) --dist loadfile -m "not slow and not gpu"

test-slow: $(STAMP) ## the minutes-long tests
	XLA_FLAGS=--xla_backend_optimization_level=1 $(BIN)/python -m pytest -n $(NPROC) -m "slow and not gpu"

lint: $(STAMP) ## ruff and pyright
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(STAMP) ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

package: $(STAMP) ## build the wheel, check it, run the README's example from a fresh environment
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --group package
	$(BIN)/python -m pytest tests/test_packaging.py -m "slow or not slow"

bench: $(STAMP) ## speed against peers (pip install torch for theirs) and the machine's ceilings
	$(BIN)/python -m benchmarks.gossip --json runs/benchmark.json

reproduce: $(STAMP) ## run every published system and write results/REPRODUCTION.md
	$(BIN)/python -m experiments reproduce --all

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .jax_cache dist build docs/_build
