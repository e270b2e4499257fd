# make demo: set up, separate a drum loop, say where the stems are
# make test: set up, check style and types, run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.lars-installed
# An index of torch builds, for instance one without CUDA; empty: pip's own.
TORCH_INDEX ?=

.PHONY: demo test browser lint clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/lars demo -o lars-demo

test: $(STAMP) browser lint
	$(BIN)/python -m pytest

# One test opens the HTML report in a real browser. Debian, as root: installed; elsewhere that
# test is skipped and says so.
browser:
	@command -v chromium >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else echo "no chromium: the test of the HTML report in a browser will be skipped"; fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist lars-demo
