# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
READY := .venv/.ready
FLOOR := 90

.PHONY: run test coverage check perf validation mutation docs lock clean

run: $(READY)
	$(BIN)/xrbench run --suite ood-cxr

test: check
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not perf"

# Fails where the tests reach less of the code than FLOOR says, in percent of its lines.
coverage: check
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not perf" --cov --cov-report=term:skip-covered --cov-fail-under=$(FLOOR)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) docs

# Only pages whose code has changed are made again; after a warning all are, so that it is not forgotten.
docs: $(READY)
	$(BIN)/sphinx-build -q -W --keep-going -j auto docs docs/_build || { rm -rf docs/_build; exit 1; }

perf: $(READY)
	$(BIN)/pytest -q -p no:xdist -m perf tests/perf

validation: $(READY)
	$(BIN)/python tests/validation/simulate.py

mutation: $(READY)
	$(BIN)/python -m tests.mutation run

lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra train --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv runs docs/_build docs/api

# The installer is pinned like everything else; it fills the environment by hard links where it can.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 3; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync -q --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@
