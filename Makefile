# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
READY := .venv/.ready
FLOOR := 97

.PHONY: run test suites check docs perf validation mutation check-platforms lowest wheel audit lock clean

run: $(READY)
	$(BIN)/xrbench run --suite ood-cxr

# `make test COVERAGE=yes` fails where the tests reach less of the code than FLOOR says, in percent of its lines.
test: check
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not perf and not suites" \
	  $(if $(COVERAGE),--cov --cov-report=term:skip-covered --cov-fail-under=$(FLOOR))

# Every suite with its quick profile, and the gate against the committed leaderboard.
suites: $(READY)
	$(BIN)/pytest -q -p no:xdist -m suites tests/suites tests/cli/test_chains_of_fits.py tests/cli/test_executors.py tests/test_contributing.py tests/paper_steps

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
	$(BIN)/python tests/validation/groups.py
	for part in trainings gate gaps drift case_mix hospitals; do $(BIN)/python tests/validation/simulate_$$part.py || exit 1; done

mutation: $(READY)
	$(BIN)/python -m tests.mutation run

# The core's code for Windows and macOS; code and tests for each supported version of Python.
check-platforms: $(READY)
	for platform in win32 darwin; do $(BIN)/mypy --cache-dir .mypy_cache/$$platform --platform $$platform benchmark || exit 1; done
	for version in 3.12 3.13; do $(BIN)/mypy --python-version $$version || exit 1; done

# The core's tests with the lowest versions that pyproject.toml allows, without torch.
lowest: $(READY)
	$(BIN)/uv venv -q --clear --python $(BIN)/python build/lowest
	$(BIN)/uv pip install -q --python build/lowest/bin/python --resolution lowest-direct -e ".[dev]"
	build/lowest/bin/pytest -q -n 2 --dist loadfile @tests/core_tests.txt

# The wheel, installed as a user does it, lists, shows and plans from an empty folder.
wheel: $(READY)
	rm -rf dist build/wheel
	$(BIN)/python -m build -q --wheel --no-isolation --outdir dist
	$(BIN)/uv venv -q --python $(BIN)/python build/wheel
	$(BIN)/uv pip install -q --python build/wheel/bin/python dist/*.whl
	mkdir build/wheel/empty
	cd build/wheel/empty && ../bin/xrbench list suites && ../bin/xrbench show suite ood-cxr && ../bin/xrbench plan --suite ood-cxr

# `make audit ADVISORIES=FOLDER`: the pinned versions against advisories in the OSV format.
ADVISORIES ?= advisories
audit: $(READY)
	$(BIN)/python tests/packaging/advisories.py requirements.lock --advisories $(ADVISORIES)

lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra train --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build dist runs docs/_build docs/api

# The installer is pinned like everything else; it fills the environment by hard links where it can.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 3; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync -q --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@
