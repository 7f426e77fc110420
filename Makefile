# On a fresh machine: `make demo` or `make test`. Both set up what they need.
PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test test-fast test-slow lint format bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt packages/bakeoff-demo/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(CONSTRAINTS) torch torchvision
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(CONSTRAINTS) -e packages/bakeoff-demo -e ".[all,tensorrt-rtx,dev]"
	touch $@

demo: install
	$(BIN)/bakeoff demo

test: install
	$(BIN)/python -m pytest tests packages/bakeoff-demo/tests

test-fast: install
	$(BIN)/python -m pytest tests -m "not slow"

test-slow: install
	$(BIN)/python -m pytest tests -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check_tensorrt_types.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV)
