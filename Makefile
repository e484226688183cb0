# Two commands set up a fresh machine (`make system`, `make setup`), one runs the main job on the sample
# (`make demo`), one the tests (`make test`).

VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
STAMP = $(VENV)/.set-up
# a display that nobody sees, where there is none
SCREEN = $(if $(DISPLAY),,xvfb-run -a -s "-screen 0 1600x1000x24")
# PySide6 draws with these; xvfb gives the tests a screen
PACKAGES = python3-venv xvfb xauth libegl1 libgl1 libglx-mesa0 libgl1-mesa-dri libxkbcommon-x11-0 \
	libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 libxcb-image0 \
	libxcb-render-util0 libxcb-randr0 libfontconfig1 fonts-dejavu-core

# threads that wait sleep: other programs on the machine would else slow the tests down many times
export OMP_WAIT_POLICY = PASSIVE

.PHONY: system setup demo test lint types screenshots sample benchmarks clean

system:  ## Debian/Ubuntu packages that a window needs (root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES)

setup: $(STAMP)  ## a virtual environment with all that users and tests need

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: $(STAMP)  ## the main job on the sample, without a display
	$(BIN)/tumorseg demo --output demo_output --overwrite

test: $(STAMP)  ## all tests, on all cores, the viewer's in a real window
	$(SCREEN) $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

screenshots: $(STAMP)  ## the pictures of the guide, from a real window
	$(SCREEN) $(BIN)/python docs/make_screenshots.py

sample: $(STAMP)  ## the sample data, anew
	$(BIN)/python sample_data/make_sample.py

benchmarks: $(STAMP)
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/inference.py
	$(SCREEN) $(BIN)/python benchmarks/viewer.py
	$(BIN)/python benchmarks/training.py

clean:
	rm -rf $(VENV) demo_output .pytest_cache .mypy_cache .ruff_cache
