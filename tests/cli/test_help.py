"""What --help says, and that its examples do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pandas as pd
import pytest

from xrbench import cli
from xrbench.data.fixture import write_fixture

if TYPE_CHECKING:
    from tests.cli.conftest import Lab


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """List all commands, those of groups behind their group."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


cli.invoke(["--version"])
COMMANDS = sorted(commands(cli.group))
NEEDS_RUN = ("report", "reproduce", "leaderboard", "compare", "explain")


def helped(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.invoke([*command, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [(), ("data",), *COMMANDS], ids=" ".join)
def test_help_is_there(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert helped(command, capsys).startswith(f"Usage: {' '.join(('xrbench', *command))} ")
    assert cli.invoke([*command, "-h"]) == 0


@pytest.mark.parametrize("group", [[], ["data"]], ids=" ".join)
def test_a_group_without_a_command_shows_its_help_and_is_no_success(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.invoke(group) == 3
    said = capsys.readouterr()
    assert (said.out, said.err[:6]) == ("", "Usage:")


@pytest.fixture(scope="session")
def desk(first_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which every example can be tried: the fixture as data, a small suite in the place of ood-cxr."""
    desk = tmp_path_factory.mktemp("desk")
    write_fixture(desk / "phantoms")
    (desk / "xrbench.toml").write_text(f'catalogues = ["{first_lab.catalogue}"]\ndata-root = "phantoms"\n')
    rng = np.random.default_rng(0)
    for name, site in (("vendor", "site_b"), ("vendor_site_a", "")):
        truth = rng.random(200) < 0.4
        scores = pd.DataFrame({"image": [f"{name}{i}" for i in range(200)], "patient_id": np.arange(200) // 2})
        scores["Effusion"] = 1 / (1 + np.exp(-rng.normal(2.0 * truth)))
        if site:
            scores[["image", "patient_id"]].assign(Effusion=truth.astype(int)).to_csv(desk / f"{site}.csv", index=False)
        else:
            scores = scores.rename(columns={"Effusion": "score:Effusion"}).assign(**{"truth:Effusion": truth * 1})
        scores.to_csv(desk / f"{name}.csv", index=False)
    return desk


@pytest.fixture(scope="session")
def desk_with_run(desk: Path) -> Path:
    """The working folder after the example of `run`, with its result as a leaderboard too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        assert cli.invoke(["run", "--suite", "ood-tiny", "--only", "seed=0", "--quiet"]) == 0
        assert cli.invoke(["leaderboard", "--suite", "ood-tiny", "--predictions"]) == 0
    shutil.move(desk / "leaderboards" / "ood-tiny", desk / "leaderboards" / "ood-cxr")
    return desk


@pytest.mark.train
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_example_works(
    command: tuple[str, ...],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(request.getfixturevalue("desk_with_run" if command[0] in NEEDS_RUN else "desk"))
    found = re.findall(r"^  Example:  (xrbench .*(?:\n  +\S.*)*)\n\nOptions", helped(command, capsys), flags=re.M)
    assert len(found) == 1
    words = shlex.split(found[0])
    assert tuple(words[1 : 1 + len(command)]) == command
    small = ["ood-tiny" if word == "ood-cxr" else word for word in words[1:]]
    assert cli.invoke(small) == 0
    assert capsys.readouterr().out


JUDGING = """
import sys
from xrbench import cli
for words in {lines!r}:
    assert cli.invoke(words) == 0, words
    loaded = sorted({{"torch", "torchvision", "timm", "torchxrayvision"}} & set(sys.modules))
    assert not loaded, (words, loaded)
"""


@pytest.mark.train
def test_scoring_loads_no_torch(desk_with_run: Path, first_lab: Lab) -> None:
    run = str(first_lab.folder)
    lines = [
        ["--help"],
        *(["list", kind] for kind in ("suites", "datasets", "methods", "blocks", "metrics")),
        ["show", "suite", "ood-cxr"],
        ["show", "settings"],
        ["data", "describe", "nih"],
        ["plan", "--suite", "ood-tiny"],
        ["score", "vendor.csv", "--labels", "site_b.csv"],
        ["compare", run],
        ["report", run],
        ["reproduce", "--suite", "ood-tiny"],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", JUDGING.format(lines=lines)], cwd=desk_with_run, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_help_loads_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "numba", "PIL", "rich")
    code = f"import sys\nfrom xrbench import cli\ncli.invoke(['--help'])\nsys.exit(str([m for m in {heavy} if m in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr.strip() == "[]"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = str(Path(sys.executable).with_name("xrbench"))
    ended = subprocess.run(
        ["bash", "-c", f"{program} list blocks | head -1; exit ${{PIPESTATUS[0]}}"], capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
