# make demo: set up, separate a drum loop, say where the stems are
# make test: set up, check style and types, run the tests, build the plugin and run it in hosts
# make check: style, types and the tests that start no process, in about a minute
# make test-pythons: a selection of what needs no torch, on every Python from 3.10 to 3.13 that is installed
# make docs: build the documentation site into build/site
# make release-check: what a release needs and Linux can check: packages, workflows, licences, the
#   site, networks without PyTorch, rules of other systems; the container, where docker runs
# make plugin: build the VST3 and the standalone program, install the VST3 into VST3_DIR, and set up
#   the engine that they start (ENGINE= to leave that out)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The product (1.6 GB, most of it PyTorch), and what tests, checks and documentation need beside it.
STAMP := $(VENV)/.lars-installed
DEV := $(VENV)/.lars-dev
EXTRAS := openvino,studio,formats,evaluation
# An index of torch builds, for instance one without CUDA; empty: pip's own.
TORCH_INDEX ?=

.PHONY: release-check demo test check docs test-pythons npm studio studio-lint browser jack vst3 formats lint clean plugin test-plugin juce hosts
.DELETE_ON_ERROR:

demo: $(STAMP) studio
	$(BIN)/lars demo -o lars-demo

test: $(DEV) studio browser jack vst3 formats lint studio-lint hosts
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest tests/host

# The page of `lars studio` is built by npm. Debian, as root: installed; elsewhere the page is left
# out, which is said, and `lars studio` says what to do.
npm:
	@{ command -v node && command -v npm; } >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; \
	else echo "no npm: the page of lars studio is not built, its tests will be skipped, and the"; \
		echo "workflows and the Dockerfile are not linted"; fi

studio: $(STAMP) npm
	@$(BIN)/python scripts/build_studio.py

# Types and style of the page.
studio-lint: studio
	@if [ ! -d studio/node_modules ]; then \
		echo "no studio/node_modules: types and style of the page are not checked"; \
	elif [ "$$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then \
		echo "Node.js is older than 20: types and style of the page are not checked"; \
	else npm --prefix studio run --silent types && npm --prefix studio run --silent lint; fi

# Tests open the HTML report and the studio in a real browser. Debian, as root: installed;
# elsewhere they are skipped and say so.
browser:
	@command -v chromium >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else echo "no chromium: the tests in a browser will be skipped"; fi

# Two tests play MIDI into a real port, JACK's, which needs no hardware. Debian, as root: installed.
jack:
	@command -v jackd >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends jackd2 >/dev/null; \
	else echo "no jackd: the tests of a live MIDI port will be skipped"; fi

# Two tests put somebody else's VST3 on a stem of a live session. Debian, as root: installed.
vst3:
	@ls -d /usr/lib/vst3/ZaMaximX2.vst3 >/dev/null 2>&1 || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends zam-plugins >/dev/null; \
	else echo "no zam-plugins: the tests of a third-party VST3 will be skipped"; fi

check: lint
	$(BIN)/python -m pytest -q tests/test_files.py tests/audio/test_reader.py \
		tests/audio/test_writer.py tests/midi/test_tempo_and_file.py tests/networks/test_mdx23c.py \
		tests/separation/streams/test_chunked.py tests/bridge/protocol/test_wire.py \
		tests/bridge/client/test_alignment.py \
		tests/evaluation/test_metrics.py tests/evaluation/test_scoring.py tests/test_public_names.py

RELEASE_TESTS := tests/packaging tests/docs/test_site.py tests/test_other_systems.py \
	tests/bridge/protocol/test_windows_vectors.py tests/backends/test_installations.py \
	tests/zoo/test_prepare.py
release-check: $(DEV) npm
	$(BIN)/python scripts/build_packages.py --strict build/dist
	LARS_DIST=build/dist $(BIN)/python -m pytest -q $(RELEASE_TESTS)
	scripts/container.sh

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "documentation: build/site/index.html"

test-pythons:
	$(PYTHON) scripts/test_pythons.py

# Tests of other formats compare with what ffmpeg decodes, and read what ffmpeg and SoX write
# into a pipe. Debian, as root: installed.
formats:
	@{ command -v ffmpeg && command -v sox; } >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends ffmpeg sox >/dev/null; \
	else echo "no ffmpeg or SoX: the tests of the formats they write will be skipped"; fi

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable ".[$(EXTRAS)]"
	touch $@

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# The second half of `make test` alone: the plugin, built into build/juce, in real hosts.
test-plugin: $(DEV) hosts
	$(BIN)/python -m pytest tests/host

# After this the plugin works from a desktop: it is where hosts look, and knows where its engine is.
VST3_DIR ?= $(if $(filter Darwin,$(shell uname)),$(HOME)/Library/Audio/Plug-Ins/VST3,$(HOME)/.vst3)
ENGINE ?= $(STAMP)
plugin: juce $(ENGINE)
	cmake -S bridge/juce -B build/juce -DCMAKE_BUILD_TYPE=Release -DLARS_TESTS=OFF \
		$(if $(LARS_JUCE_DIR),-DLARS_JUCE_DIR=$(LARS_JUCE_DIR))
	cmake --build build/juce --parallel --target LARS_VST3 LARS_Standalone
	mkdir -p "$(VST3_DIR)"
	rm -rf "$(VST3_DIR)/LARS.vst3"
	cp -R build/juce/LARS_artefacts/Release/VST3/LARS.vst3 "$(VST3_DIR)/"
	$(if $(ENGINE),$(BIN)/lars serve --record)
	@echo; echo "VST3:       $(VST3_DIR)/LARS.vst3"
	@echo "standalone: build/juce/LARS_artefacts/Release/Standalone/LARS"

# Debian, as root: installed. Elsewhere give LARS_JUCE_DIR, the path of a JUCE checkout.
have = ( for tool in $(1); do command -v $$tool >/dev/null || exit 1; done )
BUILD_PACKAGES := juce-modules-source cmake g++ make pkg-config
juce:
	@{ test -n "$(LARS_JUCE_DIR)" || ls -d /usr/lib/*/cmake/JUCE-* >/dev/null 2>&1; } && \
	$(call have,cmake g++ pkg-config) || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(BUILD_PACKAGES) >/dev/null; \
	else echo "no JUCE: apt-get install --no-install-recommends $(BUILD_PACKAGES);" \
		"the tests of the plugin in hosts will be skipped"; fi

# What the plugin is tried in: a screen that needs no monitor, hands for it, a window manager, Ardour,
# and what reads LV2 bundles; and what the C++ tests are written with.
HOST_PACKAGES := ardour xvfb xdotool openbox catch2 lilv-utils
hosts: juce
	@{ $(call have,ardour7-lua Xvfb xdotool openbox lv2info) && \
	find /usr/lib /usr/local -name Catch2Config.cmake 2>/dev/null | grep -q .; } || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(HOST_PACKAGES) >/dev/null; \
	else echo "no Ardour, Xvfb, xdotool, openbox, lv2info or Catch2:" \
		"apt-get install --no-install-recommends" \
		"$(HOST_PACKAGES); the tests that need them will be skipped"; fi

clean:
	rm -rf $(VENV) build dist lars-demo
