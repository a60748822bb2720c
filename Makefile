# Two commands, each from a fresh clone with only Python >= 3.10 and make:
#   make test   everything continuous integration runs
#   make demo   train with each miner, print the table, draw the pictures
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install test lint types tests docs demo clean

install: $(INSTALLED)

# The stamp is newer than what it was made from: a second run installs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "metricface needs Python 3.10 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

test: lint types tests docs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# The second run is of what another processor might decide otherwise: tests/shaking.py.
SHAKEN := metricface tests/test_ties.py tests/test_lengths.py tests/test_distances.py \
	tests/miners tests/losses tests/offline tests/evaluation tests/recipes/loop/test_training.py

# What a module prepares for all of its tests, processes most of all, is prepared once.
tests: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --shake 1 --vary 1 $(SHAKEN)

docs: $(INSTALLED)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q docs docs/_build

demo: $(INSTALLED)
	$(BIN)/python -m benchmarks.demo

clean:
	rm -rf $(VENV) docs/_build runs
