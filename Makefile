# Two commands, each does all set-up on a fresh checkout: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two workers share the cores: threads of linear algebra that wait for each other would only burn them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

.PHONY: help setup demo demo-full workbench test fast lint docs bench constraints clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@start=$$(date +%s); \
	command -v $(PYTHON) >/dev/null 2>&1 && python=$(PYTHON) || python=python3; \
	$$python -m venv $(VENV) && \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
	touch $(READY) && echo "set-up: $$(( $$(date +%s) - start )) s"

setup: $(READY) ## the environment alone, which every other command makes where it is not there

demo: $(READY) ## a virtual patient from the scout to the next treatment, beside the truth, to demo-output/
	$(BIN)/hepatica demo --out demo-output --force

demo-full: $(READY) ## the same with Monte Carlo projections and Monte Carlo scatter correction, some minutes
	$(BIN)/hepatica demo --scan montecarlo --out demo-output --force

workbench: $(READY) ## the demonstration's case in the browser; makes it first if it is not there
	@test -f demo-output/case/case.toml || $(BIN)/hepatica demo --out demo-output --force
	$(BIN)/hepatica workbench demo-output/case

test: $(READY) ## every test
	PYTHONDONTWRITEBYTECODE= $(PYTEST) --dist worksteal

fast: $(READY) ## unit tests that take no Monte Carlo, in under a minute
	$(PYTEST) --dist worksteal -m "not slow" tests/unit

lint: $(READY) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY) ## the reference page from the options, and every code block of the pages run
	$(BIN)/python tools/build_reference.py
	$(PYTEST) tests/e2e/test_documentation.py

bench: $(READY) ## every benchmark, one after another
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

constraints: ## renew the pins from the versions that the environment holds
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean: ## remove everything that is made
	rm -rf $(VENV) demo-output build dist
