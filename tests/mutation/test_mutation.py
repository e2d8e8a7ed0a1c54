"""The mutation run itself: its changes are what they are called, and it tells a test that looks from one that does not."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants, mutated
from tests.mutation.operators import OPERATORS
from tests.mutation.sample import Target, read_sample, read_setup

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SOURCE = '''
def spread(low: float, high: float, *, times: int = 2) -> float:
    """Say how far.

    >>> spread(1.0, 3.0)
    4.0
    """
    if low > high and times:
        raise ValueError(f"low {low + 1}")
    total = 0.0
    for _ in range(times):
        total += high - low
    return max(total, round(total, ndigits=3)) if not times < 0 else min([total][:1])
'''
EXPECTED = {
    "comparison": "low > high -> low >= high",
    "arithmetic": "high - low -> low - high",
    "constant": "2 -> 3",
    "boolean": "low > high and times -> low > high or times",
    "sign": "not times < 0 -> times < 0",
    "opposite": "max -> min",
    "keyword": "round(total, ndigits=3) -> round(total)",
    "parameter": "low -> high",
    "bounds": ":1 -> :",
    "statement": "total += high - low -> pass",
    "loop": "for _ in range(times): -> only its first pass",
}


@pytest.mark.parametrize("operator", EXPECTED)
def test_each_operator_makes_the_change_that_it_names(operator: str) -> None:
    found = {mutant.change: mutant for mutant in mutants("a.py", SOURCE) if mutant.operator == operator}
    mutant = found[EXPECTED[operator]]
    text = mutated(SOURCE, mutant)
    assert text is not None
    compile(text, "a.py", "exec")
    _, new = mutant.change.split(" -> ")
    assert operator == "loop" or new.removesuffix(":") in text
    assert mutant.anchor in SOURCE
    assert mutant.function == "spread"
    assert operator in OPERATORS


def test_texts_annotations_and_messages_stay() -> None:
    anchors = {mutant.anchor for mutant in mutants("a.py", SOURCE)}
    assert not any("spread(1.0" in anchor for anchor in anchors)
    assert not any(mutant.change == "1 -> 2" and "ValueError" in mutant.anchor for mutant in mutants("a.py", SOURCE))


def test_a_mutant_is_found_again_after_edits_elsewhere_and_not_after_its_own_line_is_edited() -> None:
    later = "import math\n\n\ndef first() -> int:\n    return 2 + 2\n" + SOURCE
    assert {mutant.id for mutant in mutants("a.py", SOURCE)} < {mutant.id for mutant in mutants("a.py", later)}
    gone = next(mutant for mutant in mutants("a.py", SOURCE) if mutant.operator == "boolean")
    assert mutated(SOURCE.replace("low > high and times", "times and low > high"), gone) is None


def test_no_two_mutants_have_the_same_name_and_each_can_be_compiled() -> None:
    for file in ("statistics/power.py", "metrics/ranking.py"):
        matches = list((ROOT / "benchmark" / "xrbench").rglob(Path(file).name))
        source = matches[0].read_text()
        found = mutants(file, source)
        assert len({mutant.id for mutant in found}) == len(found) > 20
        for mutant in found[::7]:
            text = mutated(source, mutant)
            assert text is not None
            compile(text, file, "exec")


def test_tests_named_after_the_module_come_first(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py", "test_b_edges.py"):
        (tmp_path / name).touch()
    (tmp_path / "b.py").write_text('"""Say.\n\n>>> 1\n1\n"""\n')
    target = Target("t", 1, ("b.py",), (".",))
    assert target.tests_of(tmp_path, "b.py") == (["b.py", "test_b.py", "test_b_edges.py"], ["test_a.py"])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Lay out a project with one module and one test."""
    files = {
        "code/toy.py": "def above(x: int, limit: int = 3) -> bool:\n    while x > 9:\n        x -= 1\n    return x > limit\n",
        "tests/test_toy.py": "from toy import above\n\ndef test_above():\n    assert above(9) and not above(2) and above(11)\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
        "tests/mutation/targets.toml": (
            'source = "code"\ncopied = ["code", "tests", "pyproject.toml"]\npreloaded = []\ncompiled = []\n'
            '[toy]\nmutants = 40\nfiles = ["code/toy.py"]\ntests = ["tests/test_toy.py"]\n'
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def mutation(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.mutation", "--root", str(root), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


KILLED, ENDLESS, MISSED = "x > limit -> x <= limit", "x -= 1 -> pass", "x > limit -> x >= limit"


def drawn(root: Path) -> dict[str, str]:
    """Draw a sample and return the ids of three of its mutants by their change."""
    assert mutation(root, "draw").returncode == 0
    found = {mutant.change: mutant.id for mutant in read_sample(root / "tests/mutation/sample.csv")}
    return {change: found[change] for change in (KILLED, ENDLESS, MISSED)}


def test_a_run_tells_what_the_tests_find_and_what_they_do_not(small: Path) -> None:
    names = drawn(small)
    only = [word for name in names.values() for word in ("--only", name)]
    run = mutation(small, "run", *only, "--jobs", "1", "--least", "5")
    with (small / "tests/mutation/result.csv").open() as stream:
        rows = {row["id"]: (row["outcome"], row["by"]) for row in csv.DictReader(stream)}
    assert rows[names[KILLED]] == ("killed", "tests/test_toy.py::test_above"), run.stdout + run.stderr
    assert rows[names[ENDLESS]][0] == "timeout"
    assert rows[names[MISSED]] == ("survived", "")
    assert run.returncode == 1
    assert f"survived: {names[MISSED]} code/toy.py above: {MISSED}\n2 of 3 mutants found (66.7 %)" in run.stdout
    assert "return x > limit" in (small / "code/toy.py").read_text()
    (small / "tests/mutation/equivalent.toml").write_text(f'{names[MISSED]} = "why"\n')
    again = mutation(small, "run", "--survivors", "--only", names[MISSED])
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "2 of 2 mutants found (100.0 %)")


def test_an_argument_that_a_test_refutes_fails(small: Path) -> None:
    name = drawn(small)[KILLED]
    (small / "tests/mutation/equivalent.toml").write_text(f'{name} = "wrongly"\n')
    refuted = mutation(small, "run", "--only", name, "--at-least", "0")
    assert refuted.returncode == 1
    assert f"{name} is said to change nothing, but a test found it" in refuted.stdout


def test_tests_that_fail_unchanged_and_edited_lines_are_refused_in_one_line(small: Path) -> None:
    mutation(small, "draw")
    (small / "tests/test_toy.py").write_text("def test_fails():\n    assert False\n")
    run = mutation(small, "run", "--limit", "1")
    assert (run.returncode, run.stderr.count("\n")) == (3, 1)
    assert "toy: its tests fail on the unchanged code: killed tests/test_toy.py::test_fails" in run.stderr
    (small / "tests/test_toy.py").write_text("def test_passes():\n    assert True\n")
    (small / "code/toy.py").write_text("def above(x: int) -> bool:\n    return x > 3\n")
    run = mutation(small, "run")
    assert (run.returncode, run.stderr.count("\n")) == (3, 1)
    assert "sample.csv: edits have removed " in run.stderr


def test_the_committed_sample_is_what_its_table_of_targets_asks_for() -> None:
    setup = read_setup(ROOT, HERE / "targets.toml")
    sample = read_sample(HERE / "sample.csv")
    assert (
        len({mutant.id for mutant in sample}) == len(sample) == sum(target.mutants for target in setup.targets) == 200
    )
    for target in setup.targets:
        assert target.tests_of(ROOT, target.sources(ROOT)[0].relative_to(ROOT).as_posix())[1]
        assert sum(setup.target_of(mutant.file) == target for mutant in sample) == target.mutants
