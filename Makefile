# Two commands, each does all set-up on a fresh checkout: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint clean constraints

$(READY): pyproject.toml constraints.txt
	@start=$$(date +%s); \
	command -v $(PYTHON) >/dev/null 2>&1 && python=$(PYTHON) || python=python3; \
	$$python -m venv $(VENV) && \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
	touch $(READY) && echo "set-up: $$(( $$(date +%s) - start )) s"

demo: $(READY)
	$(BIN)/hepatica demo --out demo-output --force

test: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

constraints: ## renew the pins from the versions that the environment holds
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) demo-output build dist
