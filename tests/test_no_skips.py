from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    "test_missing.py": 'import pytest\npytest.importorskip("no_such_library")\n',
    "test_skipped.py": 'import pytest\n\ndef test_one():\n    pytest.skip("no image")\n\ndef test_two():\n    pass\n',
    "test_marked.py": 'import pytest\n\n@pytest.mark.skipif(True, reason="no browser")\ndef test_one():\n    pass\n',
    "test_expected.py": "import pytest\n\n@pytest.mark.xfail\ndef test_one():\n    assert False\n",
    "conftest.py": "from tests.no_skips import pytest_make_collect_report, pytest_runtest_makereport\n",
}


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    for name, text in TESTS.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)]
    kept = {name: value for name, value in os.environ.items() if name != "XRBENCH_NO_SKIPS"}
    variables = {**kept, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_with_the_variable_every_skipped_test_fails_with_its_reason(tmp_path: Path) -> None:
    run_ = run(tmp_path, XRBENCH_NO_SKIPS="1", PYTEST_ADDOPTS="-n 2 --continue-on-collection-errors")
    assert run_.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed, 2 errors" in run_.stdout
    for reason in ("no image", "no browser", "could not import 'no_such_library'"):
        assert reason in run_.stdout
    assert "nothing may be skipped here" in run_.stdout


def test_without_it_they_are_skipped(tmp_path: Path) -> None:
    run_ = run(tmp_path)
    assert run_.returncode == 0
    assert "1 passed, 3 skipped, 1 xfailed" in run_.stdout
