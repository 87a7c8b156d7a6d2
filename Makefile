# make run    start the app (set up on first use)      make test    all tests, browser included
# make lint   ruff and mypy                            make bench   speed against the peers, into tests/benchmarks/RESULTS.md
# make mutants    breaks the numerics in 200 ways, and lists those that no test notices (an hour or more)
# make recordings   the paper's figures at full size, into assets/recordings (ARGS=--check compares)
SHELL := /bin/sh
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin

# The first Python on the path that is 3.11 or newer and really starts.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	if $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)

.PHONY: run test lint bench mutants recordings browser clean

run: $(VENV)/run.stamp
	$(BIN)/streamlit run app/server.py --server.port $(PORT)

test: $(VENV)/dev.stamp browser
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks $(ARGS)

mutants: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/benchmarks/requirements-mutants.txt
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.mutants $(ARGS)

recordings: $(VENV)/run.stamp
	$(BIN)/python -m ntk_core.recordings assets/recordings $(ARGS)

browser: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.browser.get_browser

clean:
	rm -rf $(VENV) .venv-peers

$(VENV)/python.stamp:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
