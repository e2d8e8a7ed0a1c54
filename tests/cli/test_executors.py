"""What does the work of a run: chosen by name, and the same results whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from xrbench.progress import Silent
from xrbench.runs import executor_choice
from xrbench.runs.executors import Processes, Serial

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train
Said = Callable[[], str]
ONLY = ("--only", "method=random-batching,train=east+west", "--quiet")
EXECUTORS = """
from xrbench.runs.executors import Serial


class Written(Serial):
    def __init__(self, count, environment):
        super().__init__(count, environment)
        self.count = count

    def run(self, nodes, ended, reporter):
        with open("nodes.txt", "w") as file:
            file.write(f"{self.count} {len(nodes)}")
        super().run(nodes, ended, reporter)


class Lazy(Serial):
    def run(self, nodes, ended, reporter):
        super().run(nodes[:1], ended, reporter)


class Nothing:
    def __init__(self, count, environment):
        pass


def one(count):
    return None
"""


@pytest.fixture
def staffed(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    # a module name of its own: that of another laboratory may be loaded already
    (lab.catalogue.parent / f"executors_of_{tmp_path.name}.py").write_text(EXECUTORS)
    monkeypatch.chdir(tmp_path)
    return lab


def module(tmp_path: Path) -> str:
    return f"executors_of_{tmp_path.name}"


@pytest.mark.suites
def test_one_of_another_package_gives_the_same_figures(staffed: Lab, tmp_path: Path) -> None:
    assert staffed.run(*ONLY, "--jobs", "2", "--executor", f"{module(tmp_path)}:Written") == 0
    count, nodes = (tmp_path / "nodes.txt").read_text().split()
    assert (count, int(nodes) > 1) == ("1", True), "one fit, with its cells"
    plain = type(staffed)(staffed.catalogue, staffed.data, tmp_path / "plain")
    assert plain.run(*ONLY, "--executor", "serial", "--jobs", "2") == 0
    ours, theirs = (pd.read_csv(lab.folder / "scores.csv") for lab in (staffed, plain))
    assert len(ours)
    pd.testing.assert_frame_equal(ours, theirs)


def test_what_an_executor_leaves_undone_is_named(staffed: Lab, said: Said, tmp_path: Path) -> None:
    assert staffed.run(*ONLY, "--executor", f"{module(tmp_path)}:Lazy") == 1
    words = said()
    assert "Lazy left it undone" in words
    assert words.count("left it undone") == sum(line.startswith("failed: ") for line in words.splitlines())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("proceses", "--executor: unknown executor 'proceses'; did you mean 'processes'?"),
        ("nowhere.at_all:X", "--executor: executor 'nowhere.at_all:X': no module 'nowhere'"),
        ("MODULE:Writen", "has no 'Writen'; did you mean 'Written'?"),
        ("MODULE:one", "expected a class of (count, environment)"),
        ("MODULE:Nothing", "expected a class with a method run, got Nothing"),
    ],
)
def test_what_is_wrong_with_an_executor_is_said(
    name: str, words: str, staffed: Lab, said: Said, tmp_path: Path
) -> None:
    assert staffed.run(*ONLY, "--executor", name.replace("MODULE", module(tmp_path))) == 3
    lines = said().strip().splitlines()
    assert words in lines[-1]
    assert not list(tmp_path.glob("runs/fits/*"))


class Heard(Silent):
    """Remembers the lines that it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(
    ("name", "jobs", "kind", "shared"),
    [
        ("", 1, Serial, False),
        ("", 2, Processes, False),
        ("", 4, Processes, True),
        ("serial", 4, Serial, False),
        ("processes", 1, Processes, False),
    ],
)
def test_several_at_once_are_processes_unless_a_name_says_otherwise(
    name: str, jobs: int, kind: type, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_choice, "processors", lambda: 2)
    say = Heard()
    chosen = executor_choice.build(name, [1] * 8, jobs=jobs, device="cpu", say=say)
    assert type(chosen) is kind
    assert any("the fits share them" in line for line in say.lines) == shared
    if isinstance(chosen, Processes):
        assert chosen.count == jobs
