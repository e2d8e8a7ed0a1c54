"""CONTRIBUTING's recipes, done just as they stand there in a copy of the project."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from xrbench import blocks, metrics, statistics

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"<!-- recipe: ([\w-]+) -->(.*?)<!-- /recipe -->", re.DOTALL)
FILE = re.compile(
    r"`(?P<path>[\w./-]+\.\w+)`(?:, (?:below `(?P<line>[^`\n]+)`|(?P<end>at the end)))?:\n```\w+\n(?P<text>.*?)```",
    re.DOTALL,
)
"""A file that is written, or the line of a file below which the text is added, or its end."""
STATED = re.compile(r"^\| ([a-z -]+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
"""What is added, files, and how many of them are cards or tables."""
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
RECIPES = dict(RECIPE.findall(TEXT))
SHOWN = {
    "slice": ["of 60 years and more"],
    "dataset": ["2019 to 2023"],
    "model": ["mobilenetv3_small_050", "mobilenet-scratch"],
    "method": ["stochastic gradient descent", "balanced-sgd"],
    "suite": ["one after the other", "6 fits"],
    "paper": ["two-hospitals", "Nobody N."],
    "colour-dataset": ["dermoscopy"],
}
"""Recipe of cards -> what each of its commands prints."""
CODE = {"metric", "interval-kind", "figure", "table", "claim", "page", "reader"}
TRAINED = {
    "protocol": "What one more hospital",
    "sampler": "One image of each patient",
    "one-group-objective": "Smoothed labels",
    "all-group-objective": "V-REx",
    "pretext": "after the pretext",
    "pruning-method": "Half of the weights",
    "executor": "",
}
"""Recipe of code that a training uses -> what its command prints."""
ROWS = ("benchmark/xrbench/blocks.py", "benchmark/xrbench/metrics/table.py")
"""Files whose rows name functions."""


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
        """Write the files that the recipe shows, none of which may be there yet, and add to those that it says to add to."""
        written = []
        for match in FILE.finditer(recipe):
            path, text = self.folder / match["path"], match["text"]
            if match["line"] or match["end"]:
                text = added(path.read_text(encoding="utf-8"), match["line"], text)
            else:
                assert not path.exists(), f"{match['path']} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        return written

    def environment(self, *more: Path) -> dict[str, str]:
        """Variables under which the code and the cards of the copy are used."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XRBENCH")}
        folders = [self.folder / "benchmark", *more]
        return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders)), "COLUMNS": "160"}

    def run(self, line: str) -> Done:
        """Run one command of the recipe with the code and the cards of the copy."""
        program, *words = shlex.split(line, comments=True)
        assert program == "xrbench"
        environment = self.environment()
        command = [sys.executable, "-c", "from xrbench.cli import main; main()", *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout + done.stderr)


def added(text: str, line: str | None, more: str) -> str:
    """Add lines below the one line of a text that begins like this, or at its end."""
    if line is None:
        return f"{text}\n\n{more}"
    lines = text.splitlines(keepends=True)
    places = [place for place, one in enumerate(lines) if one.strip() == line]
    assert len(places) == 1, f"{line}: stands {len(places)} times"
    return "".join([*lines[: places[0] + 1], more, *lines[places[0] + 1 :]])


def commands_of(recipe: str) -> list[str]:
    return [line for block in COMMANDS.findall(recipe) for line in block.strip().splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def additions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Carry out all recipes of code in one copy, and use what they add (see ``tests.additions``)."""
    return used(tmp_path_factory, "tests.additions", sorted(CODE))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Carry out all recipes that a training uses in one copy, and train with them (see ``tests.trained_additions``)."""
    pytest.importorskip("torch")
    return used(tmp_path_factory, "tests.trained_additions", sorted(TRAINED))


def used(tmp_path_factory: pytest.TempPathFactory, module: str, names: list[str]) -> dict[str, Any]:
    """Carry out recipes in one copy, and use what they add by a module."""
    project = Project(tmp_path_factory.mktemp("project"))
    for name in names:
        assert project.write(RECIPES[name])
    commands = json.dumps([line for name in names for line in commands_of(RECIPES[name])])
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path_factory.mktemp("used")), commands],
        cwd=project.folder,
        env=project.environment(ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_recipe_works_as_it_stands(name: str, copy: Project) -> None:
    recipe = RECIPES[name]
    commands = commands_of(recipe)
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


def test_every_recipe_is_carried_out() -> None:
    assert set(RECIPES) == {*SHOWN, *CODE, *TRAINED}
    assert len(RECIPES) == len(SHOWN) + len(CODE) + len(TRAINED)


def test_the_files_that_each_addition_touches_are_counted() -> None:
    stated = {name.replace(" ", "-"): (int(files), int(named)) for name, files, named in STATED.findall(TEXT)}
    touched = {name: {match["path"] for match in FILE.finditer(recipe)} for name, recipe in RECIPES.items()}
    counted = {
        name: (len(paths), sum(path in ROWS or not path.endswith(".py") for path in paths))
        for name, paths in touched.items()
    }
    assert stated == counted


def test_nothing_that_the_recipes_of_code_add_is_there() -> None:
    assert "youden" not in metrics.TABLE
    assert "basic" not in statistics.KINDS
    names = {"figure": "score-histogram", "table": "unlabelled", "claim": "patients-at-least", "page": "every-metric"}
    assert not [name for kind, name in names.items() if name in blocks.known(kind)]


def test_the_metric_is_computed_and_listed(additions: dict[str, Any]) -> None:
    assert additions["metric"] == pytest.approx(1 / 2 + 2 / 3 - 1)
    code, listed = additions["commands"]["xrbench list metrics"]
    row = next(line for line in listed.splitlines() if line.startswith("youden"))
    assert code == 0
    assert "-1 to 1" in row


def test_the_interval_kind_reflects_the_percentiles(additions: dict[str, Any]) -> None:
    plain, basic = additions["interval"]["bootstrap"], additions["interval"]["basic"]
    assert basic["interval"] == "basic"
    assert basic["low"] == pytest.approx(2 * plain["value"] - plain["high"])
    assert basic["high"] == pytest.approx(2 * plain["value"] - plain["low"])
    assert "basic intervals are known to hold from 100" in basic["caution"]


def test_the_figure_counts_the_scores(additions: dict[str, Any]) -> None:
    run = Path(additions["run"])
    scores = pd.concat(external(run)).filter(like="score:").to_numpy()
    numbers = pd.read_csv(run / "figures" / "histogram.csv")
    assert numbers["scores"].tolist() == [((scores >= k / 4) & (scores < (k + 1) / 4)).sum() for k in range(4)]
    assert {"histogram.svg", "histogram.png"} <= {path.name for path in (run / "figures").iterdir()}


def test_the_table_counts_images_without_a_label(additions: dict[str, Any]) -> None:
    run = Path(additions["run"])
    table = pd.read_csv(run / "tables" / "without.csv")
    without = {
        (frame["dataset"].iloc[0], str(name).removeprefix("truth:")): int(frame[name].isna().sum())
        for frame in external(run)
        for name in frame.filter(like="truth:")
    }
    assert sum(without.values()) > 0
    found = dict(zip(zip(table["test set"], table["label"], strict=True), table["without"], strict=True))
    assert found == without


def test_the_claim_is_judged(additions: dict[str, Any]) -> None:
    fewest = min(frame["patient_id"].nunique() for frame in external(Path(additions["run"])))
    assert 10 <= fewest < 1000
    assert additions["claim"] == ["holds", "does not hold"]


def test_the_page_shows_every_figure(additions: dict[str, Any]) -> None:
    run = Path(additions["run"])
    text = (run / "every-metric.md").read_text(encoding="utf-8")
    scores = pd.read_csv(run / "scores.csv")
    heads = 2 * scores["metric"].nunique()
    assert text.startswith("# Small: every metric\n")
    assert sum(line.startswith("|") for line in text.splitlines()) == len(scores) + heads
    assert (run / "README.md").is_file()


def test_the_reader_reads_a_folder(additions: dict[str, Any]) -> None:
    code, checked = additions["reader"]["check"]
    assert code == 0
    assert "3 images, no patient ids" in checked
    rows = [line.split() for line in additions["reader"]["describe"][1].splitlines()]
    assert {row[0]: row[1] for row in rows if row and row[0] in ("Edema", "Effusion")} == {
        "Edema": "2",
        "Effusion": "1",
    }
    assert additions["commands"]["xrbench show dataset sorted-images"][0] == 0


@pytest.mark.train
@pytest.mark.suites
@pytest.mark.parametrize("name", sorted(set(TRAINED) - {"executor"}))
def test_what_a_training_uses_is_shown(name: str, trained: dict[str, Any]) -> None:
    (line,) = commands_of(RECIPES[name])
    code, out = trained["commands"][line]
    assert code == 0
    assert TRAINED[name] in out


@pytest.mark.train
@pytest.mark.suites
def test_a_run_with_a_further_executor_trains_every_method_under_the_further_protocol(trained: dict[str, Any]) -> None:
    assert trained["run"] == 0
    assert trained["nice"] == 5
    methods = ["after-two-views", "half-of-each-layer", "one-image-a-patient", "smoothed-labels", "vrex"]
    assert trained["cells"] == [[method, train, "north"] for method in methods for train in ("east", "east+west")]
    assert trained["stages"] == {
        "after-two-views": "fine-tuning",
        "half-of-each-layer": "pruning",
        "one-image-a-patient": "training",
        "random-batching": "training",
        "smoothed-labels": "training",
        "two-views": "pre-training",
        "vrex": "training",
    }


@pytest.mark.train
@pytest.mark.suites
def test_the_sampler_draws_a_patient_once_in_a_batch(trained: dict[str, Any]) -> None:
    assert [len(set(patients)) for patients in trained["sampler"]] == [3, 3, 3, 3]


@pytest.mark.train
@pytest.mark.suites
def test_the_objectives_are_their_formulas(trained: dict[str, Any]) -> None:
    # -0.9 log p - 0.1 log(1 - p) at a logit of 2; the second label is unknown
    assert trained["smoothed"] == pytest.approx(0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2)))
    # losses 1 and 3: the mean alone, then with 10 times the variance 1, and again after a state of one step
    assert trained["vrex"] == [2.0, 12.0, 12.0]
    # three orthogonal features, each equal to its other view: cosines 1 and 0 over a temperature of 1/2
    assert trained["contrast"] == pytest.approx(math.log(1 + 2 * math.exp(-2)))


@pytest.mark.train
@pytest.mark.suites
def test_half_of_each_layer_is_0_at_the_end(trained: dict[str, Any]) -> None:
    assert trained["zeros"]
    assert all(zeros == round(count / 2) for zeros, count in trained["zeros"].values())
    assert trained["zeros_of_parent"] == 0


def external(run: Path) -> list[pd.DataFrame]:
    """Read the predictions on external images, a frame a cell."""
    entries = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["cells"]
    return [pd.read_parquet(run / entry["file"]) for entry in entries if entry["protocol"] == "external"]


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
