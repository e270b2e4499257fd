# make demo: set up, separate a drum loop, say where the stems are
# make test: set up, check style and types, run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.lars-installed
# The CPU build of torch is a tenth of the size of the CUDA one, and enough for all of this.
# Where the index of CPU builds cannot be reached, pip takes what its own index has.
TORCH ?= torch==$(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: demo test lint clean bench
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/lars demo -o lars-demo --overwrite

test: $(STAMP) lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist lars-demo
