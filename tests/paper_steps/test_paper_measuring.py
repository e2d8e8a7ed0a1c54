"""The command on a suite so small that it takes seconds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.train, pytest.mark.slow]

from tests.paper_steps import records  # noqa: E402
from tests.paper_steps.__main__ import main  # noqa: E402

SUITE = """
title = "A suite of the tests"
labels = ["Edema", "Effusion"]
models = ["small-scratch"]
methods = ["balanced-batching", "random-batching"]
[protocol]
kind = "leave-datasets-out"
settings = [{ train = ["nih", "chexpert"], valid = "mimic", test = "padchest", seed = 0 }]
[profiles.paper]
image_size = 32
epochs = 2
batch_size = 6
threads = 1
"""
MODEL = """
title = "A network of the tests"
network = { block = "timm", name = "resnet10t", stem_type = "deep", stem_width = 16, widths = [8, 16, 16, 16] }
scale = [-1.0, 1.0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, text in (("suites/tiny-steps", SUITE), ("models/small-scratch", MODEL)):
        path = tmp_path / "registry" / f"{place}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.suites
def test_the_command_measures_a_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "table.csv"
    only = "tiny-steps/paper/small-scratch/balanced"
    arguments = ["--catalogue", str(folder), "--only", only, "--csv", str(table), "--page", "", "--repeats", "1"]
    assert main(arguments) == 0
    (record,) = records.read(table)
    assert record.key == ("tiny-steps", "paper", "small-scratch", "balanced-batching", "cpu")
    assert (record.image_size, record.batch, record.groups, record.accumulate, record.threads) == (32, 6, 2, 1, 1)
    assert 0 < record.step_seconds < 60
    assert 0 < record.evaluation_seconds < 60
    assert record.repeated_step_seconds > 0, "the slowest case is measured again"
    # on one thread the clock runs at least as fast as the processor, but for the resolution of both
    assert record.step_cpu_seconds < record.step_seconds + 0.05
    assert 100 < record.start_memory_mib <= record.peak_memory_mib
    assert not math.isnan(record.peak_memory_mib)
    assert capsys.readouterr().out.count("tiny-steps") == 2


def test_a_case_that_does_not_exist_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nothing-of-the-kind", "--page", ""]) == 3
    assert "nothing-of-the-kind: in no name" in capsys.readouterr().err
