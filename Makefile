# Everything happens in .venv, made on the first call; the second call starts in seconds.
#
#   make demo [REF=photo.jpg]    portraits, a small dataset and a page that shows them: out/demo/index.html
#   make test [ARGS="-k name"]   the tests
#   make lint types              what else CI looks at

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --constraint constraints.txt
SOURCES := faces gen mien pipelines train ui weights tests bench

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format install clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/installed
	$(BIN)/mien demo $(if $(REF),--reference "$(REF)")

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-for-tests
	$(BIN)/pyright --level error

format: $(VENV)/installed-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Mien needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), which takes a few minutes the first time ..."
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	@echo "Installing what the tests need ..."
	@$(INSTALL) --editable '.[test,render]'
	@touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
