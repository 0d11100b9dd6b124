# Each target makes .venv when it is missing and installs only the extras that it needs.
# A stamp per set of extras keeps repeats quick; a changed pyproject.toml renews them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-oracles lint bench size clean

demo: $(STAMPS)/demo
	$(BIN)/gemel demo

test: $(STAMPS)/test
	$(BIN)/python -m pytest -n auto -m "not oracle and not oracle_tf"

test-oracles: $(STAMPS)/peers
	$(BIN)/python -m pytest -n auto -m "oracle or oracle_tf"

lint: $(STAMPS)/test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/size.py

bench: $(STAMPS)/peers
	$(BIN)/gemel bench --json gemel-bench.json --html gemel-bench.html
	$(BIN)/python benchmarks/run.py

size:
	$(PYTHON) tools/size.py

clean:
	rm -rf $(VENV) build dist gemel-report.html gemel-bench.json gemel-bench.html .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(STAMPS)/venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gemel needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV) || \
	  { $(PYTHON) -m venv --without-pip --clear $(VENV) && \
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || \
	  { echo "This Python cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: pyproject.toml $(STAMPS)/venv
	$(INSTALL) --editable '.[keras,plot]'
	touch $@

$(STAMPS)/test: pyproject.toml $(STAMPS)/venv
	$(INSTALL) --editable '.[keras,plot,test]'
	touch $@ $(STAMPS)/demo

$(STAMPS)/peers: pyproject.toml $(STAMPS)/venv
	$(INSTALL) --editable '.[keras,plot,test,peers]'
	touch $@ $(STAMPS)/demo $(STAMPS)/test
