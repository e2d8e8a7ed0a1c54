"""CONTRIBUTING's recipes, done just as they stand there in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"<!-- recipe: ([\w-]+) -->(.*?)<!-- /recipe -->", re.DOTALL)
FILE = re.compile(r"`(?P<path>[\w./-]+\.\w+)`:\n```\w+\n(?P<text>.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
RECIPES = dict(RECIPE.findall(TEXT))
SHOWN = {
    "dataset": ["of 60 years and more", "2019 to 2023"],
    "model": ["mobilenetv3_small_050", "mobilenet-scratch"],
    "method": ["stochastic gradient descent", "balanced-sgd"],
    "suite": ["one after the other", "6 fits"],
    "paper": ["two-hospitals", "Nobody N."],
}
"""Recipe -> what each of its commands prints."""


class Done(NamedTuple):
    code: int
    out: str


class Project:
    """A copy of the project in which a recipe is carried out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("benchmark", "registry", "baselines", "leaderboards"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, recipe: str) -> list[Path]:
        """Write the files that the recipe shows; none may be there yet."""
        written = []
        for match in FILE.finditer(recipe):
            path = self.folder / match["path"]
            assert not path.exists(), f"{match['path']} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(match["text"], encoding="utf-8")
            written.append(path)
        return written

    def run(self, line: str) -> Done:
        """Run one command of the recipe with the code and the cards of the copy."""
        program, *words = shlex.split(line, comments=True)
        assert program == "xrbench"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("XRBENCH")}
        environment |= {"PYTHONPATH": str(self.folder / "benchmark"), "COLUMNS": "160"}
        command = [sys.executable, "-c", "from xrbench.cli import main; main()", *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_works_as_it_stands(name: str, copy: Project) -> None:
    recipe = RECIPES[name]
    commands = [line for block in COMMANDS.findall(recipe) for line in block.strip().splitlines()]
    assert len(commands) == len(SHOWN[name])
    first = next(line for line in commands if "show" in line)
    assert copy.run(first).code == 3, "what is to be added is there already"
    assert copy.write(recipe)
    for line, words in zip(commands, SHOWN[name], strict=True):
        done = copy.run(line)
        assert done.code == 0, f"{line}: {done.out}"
        assert words in done.out, line


def test_every_file_that_a_recipe_shows_is_written() -> None:
    for name, recipe in RECIPES.items():
        fences = len(re.findall(r"^```(?!sh)\w+", recipe, re.MULTILINE))
        assert len(FILE.findall(recipe)) == fences, name


def test_every_kind_of_card_has_a_recipe() -> None:
    assert set(RECIPES) >= {"dataset", "model", "method", "suite", "paper"}


def test_every_command_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([\w-]+)", TEXT))
    assert named
    assert named <= targets


def test_every_folder_that_is_named_exists() -> None:
    tree = re.search(r"## Where things live\n\n```\n(.*?)```", TEXT, re.DOTALL)
    assert tree
    for line in tree[1].splitlines():
        name = line.split()[0]
        place = ROOT / "benchmark" / "xrbench" / name if line.startswith("  ") else ROOT / name
        assert place.is_dir(), name
