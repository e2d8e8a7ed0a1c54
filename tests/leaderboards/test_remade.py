"""What leaderboards say is what the present code makes of their stored predictions, and what it said before words were renamed.

``before.tar.xz`` holds the leaderboards as they were remade before the words of ``renames.toml`` were renamed. When figures change
for a reason (boards are trained anew, a metric is corrected), their evidence has been given: write the archive again and empty the
table, in the same commit as the boards::

    python tests/leaderboards/remake.py OUT
    python tests/leaderboards/compare.py --pack tests/leaderboards/before.tar.xz OUT
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from xrbench.catalogue import open_catalogue
from xrbench.compare.scores_io import PREDICTIONS
from xrbench.runs import store

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"leaderboards_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


remake, compare = load("remake"), load("compare")
BOARDS = sorted(path.parent.name for path in remake.LEADERBOARDS.glob("*/scores.csv"))
ADDED = ("tables/", "predictions.csv")
"""What is remade beside the files of a leaderboard."""


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All leaderboards, made again by the present code."""
    out, catalogue = tmp_path_factory.mktemp("remade"), open_catalogue()
    for name in BOARDS:
        remake.remake(remake.LEADERBOARDS / name, out, catalogue)
    return out


def different(old: dict[str, str], new: dict[str, str]) -> str:
    return "\n".join(compare.differences(old, new))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOARDS)
def test_a_leaderboard_is_what_its_predictions_give(remade: Path, name: str) -> None:
    committed = compare.read_files(remake.LEADERBOARDS / name)
    made = compare.read_files(remade / name)
    assert not different(committed, {file: text for file, text in made.items() if not file.startswith(ADDED)})
    stored, _ = store.read_predictions(remake.LEADERBOARDS / name / PREDICTIONS)
    again, _ = store.read_predictions(remade / name / PREDICTIONS)
    pd.testing.assert_frame_equal(stored, again, check_exact=True)


@pytest.mark.slow
def test_nothing_but_words_has_changed(remade: Path) -> None:
    renames = compare.read_renames()
    before = renames.apply_all(compare.read_files(HERE / "before.tar.xz"))
    assert not different(before, compare.read_files(remade))
    assert renames.unused() == []


def test_the_archive_holds_every_leaderboard() -> None:
    before = compare.read_renames().apply_all(compare.read_files(HERE / "before.tar.xz"))
    assert {name.split("/")[0] for name in before} == set(BOARDS)
    for name in BOARDS:
        made = {file.split("/")[1] for file in before if file.startswith(f"{name}/")}
        assert made >= {"README.md", "analyses", "meta.json", "predictions.csv", "scores.csv", "tables"}


@pytest.mark.parametrize(
    "words",
    [
        {"film": "image1"},
        {"top 5": "top"},
        {"film": ""},
        {"": "film"},
        {"film": "film"},
        {"film": "a, b"},
        {"films.": "images"},
        {"film": "image²"},
    ],
)
def test_what_no_row_may_be(words: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"digit|whole words|itself"):
        compare.Renames(words)


def test_words_are_renamed_whole_once_and_the_longest_first() -> None:
    renames = compare.Renames(
        {"inside": "internal", "inside and outside": "everywhere", "internal": "own", "x_a": "y_a"}
    )
    old = {
        "inside/table-inside.csv": "inside,inside_n,Inside,insides,x_a\n",
        "t.md": "inside and outside; inside, internal; x\\_a x\\_a\\_b in\\_inside 0.5\n",
    }
    assert renames.apply_all(old) == {
        "internal/table-internal.csv": "internal,inside_n,Inside,insides,y_a\n",
        "t.md": "everywhere; internal, own; y\\_a x\\_a\\_b in\\_inside 0.5\n",
    }
    assert renames.unused() == []


@pytest.mark.parametrize(
    ("rows", "status", "said"),
    [
        ("", 1, '  perhaps  "film" = "image"\n'),
        ('film = "image"', 0, "the same: 1 files, 8 characters\n"),
        ('film = "image"\nplate = "image"', 1, "renames.toml: 'plate' is found nowhere\n"),
    ],
)
def test_the_command_wants_every_difference_explained_and_every_row_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, status: int, said: str
) -> None:
    files = {"before/scores.csv": "film,1\n", "after/scores.csv": "image,1\n", "renames.toml": f"[words]\n{rows}\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before, after, table = (str(tmp_path / name) for name in ("before", "after", "renames.toml"))
    assert compare.main([before, after, "--renames", table]) == status
    assert capsys.readouterr().out.endswith(said)


def test_nothing_is_renamed_in_a_phrase_that_is_kept() -> None:
    renames = compare.Renames({"borderline": "discordant-errors"}, ["borderline cases"])
    assert renames.apply("borderline cases, borderline") == "borderline cases, discordant-errors"
    assert renames.unused() == []
    assert compare.Renames({"borderline": "discordant-errors"}, ["never seen"]).unused() == ["borderline", "never seen"]


def test_two_files_cannot_get_one_name() -> None:
    with pytest.raises(ValueError, match=r"film\.csv: another file is called 'image\.csv'"):
        compare.Renames({"film": "image"}).apply_all({"image.csv": "", "film.csv": ""})


def test_differences_are_told_by_their_first_line_with_a_suggestion() -> None:
    old = {"same.csv": "a\n", "t.csv": "test,n\nfilms of a,1\nfilm,2\n", "film.md": "", "n.csv": "1\n"}
    new = {"same.csv": "a\n", "t.csv": "test,n\nimages of a,1\nimage,2\n", "films.md": "", "n.csv": "1\n2\n"}
    assert list(compare.differences(old, new)) == [
        "film.md: not written any more; perhaps renamed: films.md",
        "films.md: not there before; perhaps renamed: film.md",
        "n.csv: 0 of 1 lines differ, and 2 lines instead of 1",
        't.csv, line 2 (2 of 3 lines differ):\n  old  films of a,1\n  new  images of a,1\n  perhaps  "films" = "images"',
    ]


def test_an_archive_is_read_as_it_was_packed(tmp_path: Path) -> None:
    files = {"a/scores.csv": "größe,1\r\n", "b/README.md": "two\nlines"}
    compare.pack(files, tmp_path / "one.tar.xz")
    assert compare.read_files(tmp_path / "one.tar.xz") == files
    compare.pack(dict(reversed(files.items())), tmp_path / "two.tar.xz")
    assert (tmp_path / "one.tar.xz").read_bytes() == (tmp_path / "two.tar.xz").read_bytes()
