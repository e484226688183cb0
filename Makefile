# `make demo` segments the sample and `make test` runs the tests; each sets up what it needs first.

VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
READY = $(VENV)/.set-up
SYSTEM = $(VENV).system
# a display that nobody sees, where there is none
SCREEN = $(if $(DISPLAY),,xvfb-run -a -s "-screen 0 1600x1000x24")
# PySide6 draws with these; xvfb gives the tests a screen
PACKAGES = python3-venv xvfb xauth libegl1 libgl1 libglx-mesa0 libgl1-mesa-dri libxkbcommon-x11-0 \
	libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 libxcb-image0 \
	libxcb-render-util0 libxcb-randr0 libfontconfig1 fonts-dejavu-core

# threads that wait sleep: other programs on the machine would slow the tests down many times otherwise
export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo test test-all setup system lint types docs screenshots sample benchmarks figures oldest next-python clean

demo: $(READY)  ## segment the sample scan without a display
	$(BIN)/tumorseg demo --output demo_output --overwrite

test: $(READY)  ## the tests but for the slow ones, on all cores, the viewer's in a real window
	$(SCREEN) $(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-all: $(READY)  ## all tests
	$(SCREEN) $(BIN)/python -m pytest -n auto --dist worksteal

setup: $(READY)  ## a virtual environment with all that users and tests need

$(READY): pyproject.toml constraints.txt | $(SYSTEM)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

system:  ## Debian or Ubuntu packages that a window and its tests need (root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES)

# as root install them; otherwise only check that they are there, or that the system is another one
$(SYSTEM): Makefile
	@if ! command -v apt-get >/dev/null || xvfb-run --help >/dev/null 2>&1 && ldconfig -p | grep -q libxcb-cursor; \
		then :; \
	elif [ "$$(id -u)" = 0 ]; then $(MAKE) system; \
	else echo "Some system packages are missing; install them first: sudo make system" >&2; exit 1; fi
	@touch $@

lint: $(READY)  ## style, and the floors of the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

docs: $(READY)  ## the documentation site, in site/; strict, without network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

oldest:  ## the oldest versions that pyproject.toml promises, without the viewer
	.ci/oldest

next-python:  ## the command line on newer Pythons, where they are installed
	.ci/next-python

screenshots: $(READY)  ## the pictures of the guide, from a real window
	$(SCREEN) $(BIN)/python docs/make_screenshots.py

sample: $(READY)  ## the sample data, anew
	$(BIN)/python sample_data/make_sample.py

figures: $(READY)  ## figures of the code: lengths, floors, docstrings
	$(BIN)/python benchmarks/code.py

benchmarks: $(READY)
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/inference.py
	$(SCREEN) $(BIN)/python benchmarks/viewer.py
	$(BIN)/python benchmarks/training.py

clean:
	rm -rf $(VENV) $(SYSTEM) demo_output site .pytest_cache .mypy_cache .ruff_cache
