# The one door to every job. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
FAST := -m "not slow and not gpu" -n 2 --dist loadfile --max-worker-restart 0
# Spinning barriers make small models up to 16 times slower when a core is busy.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the doors
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 …"; exit 1; }
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --no-compile torch -c constraints.txt
	$(RUN)/python -m pip install --quiet --no-compile -e '.[dev]' -c constraints.txt
	touch $@

.PHONY: install
install: $(VENV)/.installed ## Create .venv and install everything into it

.PHONY: demo
demo: install ## The whole system in small, from nothing to answers (13 minutes on 2 cores with AVX2)
	$(RUN)/unite demo

.PHONY: check
check: install ## Format, lint, types, layers
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

.PHONY: test
test: install ## All fast tests
	$(RUN)/python -m pytest $(FAST)

.PHONY: coverage
coverage: install ## The same, with the lines and branches that none of them reaches
	$(RUN)/python -m pytest $(FAST) --cov --cov-report=term

.PHONY: slow
slow: install ## What takes longer: kill and fuzz cycles, many processes
	$(RUN)/python -m pytest -m "slow and not gpu" --timeout 3600

.PHONY: format
format: install ## Format and mend what can be mended
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

.PHONY: docs
docs: install ## Renew the page of all verbs and options
	COLUMNS=100 $(RUN)/python -m typer unite.cli.main utils docs --name unite > docs/cli.md

.PHONY: clean
clean: ## Remove the demo's output and all caches, but not .venv
	rm -rf demo build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
