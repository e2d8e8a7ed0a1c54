"""Images that exactly one of two networks gets wrong: which they are, what is said of them, and their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench import cards
from xrbench.data.cache.build import open_cache
from xrbench.errors import UnknownNameError, UsageError
from xrbench.report.figures.discordant_errors import discordant_errors as panel
from xrbench.report.figures.layout.image_access import cached_images
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.discordant_errors import chosen, discordant_errors, two_models

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
LAYOUT = cards.TableLayout(name="t2", kind="discordant-errors", digits=3)
SUITE = cards.SuiteCard(title="Two", name="two", labels=("Cardiomegaly",), models=("first", "second"))

TRUTH = [0, 1, 0, 0, 1, 0]
FIRST = [0.496, 0.605, 0.472, 0.565, 0.90, 0.80]
SECOND = [0.696, 0.477, 0.553, 0.419, 0.80, 0.70]
"""The four images of the paper's Table 2, one that both networks get right and one that both get wrong."""


def pair(findings: Frames, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"model": name, "frame": findings("c", Cardiomegaly=(TRUTH, score)).assign(**columns)}
        for name, score in (("first", FIRST), ("second", SECOND))
    ]


def rows(run: Run, **options: Any) -> list[list[str]]:
    table = discordant_errors(run, LAYOUT, label="Cardiomegaly", **options)
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block]


def test_the_papers_four_images_are_found(made_run: Make, findings: Frames) -> None:
    found = {row[1]: row[2:] for row in rows(made_run(SUITE, pair(findings)))}
    assert found == {
        "c-0": ["no Cardiomegaly", "0.496", "0.696", "second", "0.004", "0.196"],
        "c-1": ["Cardiomegaly", "0.605", "0.477", "second", "0.105", "0.023"],
        "c-2": ["no Cardiomegaly", "0.472", "0.553", "second", "0.028", "0.053"],
        "c-3": ["no Cardiomegaly", "0.565", "0.419", "first", "0.065", "0.081"],
    }
    table = discordant_errors(made_run(SUITE, pair(findings)), LAYOUT, label="Cardiomegaly")
    assert table is not None
    assert "Exactly one is wrong in 4 images, both in 1, neither in 1" in table.notes[0]
    # Nearer distances: 0.004, 0.023, 0.028, 0.065 where one is wrong; 0.3 and 0.2 elsewhere.
    assert "0.026 where exactly one is wrong, 0.250 elsewhere" in table.notes[1]


def test_the_same_seed_shows_the_same_images_whatever_their_order(made_run: Make, findings: Frames) -> None:
    truth = [0] * 60
    cells: list[dict[str, Any]] = [
        {"model": name, "frame": findings("c", Cardiomegaly=(truth, [score] * 60))}
        for name, score in (("first", 0.4), ("second", 0.6))
    ]
    turned = [{**cell, "frame": cell["frame"].iloc[::-1].reset_index(drop=True)} for cell in cells]
    one, two = (rows(made_run(SUITE, each), count=5, seed=3) for each in (cells, turned))
    assert one == two
    others = rows(made_run(SUITE, cells), count=5, seed=4)
    assert {row[1] for row in others} != {row[1] for row in one}
    # Leaving out images that are not shown changes nothing.
    shown = {row[1] for row in one}
    fewer = [{**cell, "frame": cell["frame"][lambda f: f["image"].isin(shown) | (f.index > 40)]} for cell in cells]
    kept = [row[1] for row in rows(made_run(SUITE, fewer), count=60, seed=3) if row[1] in shown]
    assert kept == [row[1] for row in one]


def test_what_is_not_measured_or_not_known(made_run: Make, findings: Frames) -> None:
    run = made_run(SUITE, pair(findings))
    assert discordant_errors(made_run(SUITE, pair(findings)[:1]), LAYOUT, label="Cardiomegaly") is None
    with pytest.raises(UnknownNameError, match="did you mean 'Cardiomegaly'"):
        discordant_errors(run, LAYOUT, label="Cardiomegalia")
    with pytest.raises(UnknownNameError, match="configuration 'on'; did you mean 'one'"):
        discordant_errors(run, LAYOUT, label="Cardiomegaly", configuration="on")
    with pytest.raises(UsageError, match="models: expected two, got 1"):
        discordant_errors(run, LAYOUT, label="Cardiomegaly", models=["first"])


def test_the_last_training_set_is_shown_by_default(made_run: Make, findings: Frames) -> None:
    suite_ = SUITE
    protocol = cards.Protocol(
        kind="internal-external",
        external=("c",),
        configurations=tuple(cards.Configuration(name=name, train=("a",)) for name in ("one", "two")),
    )
    suite_ = cards.SuiteCard(title="Two", name="two", labels=SUITE.labels, models=SUITE.models, protocol=protocol)
    cells = [{**cell, "configuration": name} for name in ("two", "one") for cell in pair(findings)]
    found = two_models(made_run(suite_, cells), label="Cardiomegaly", where="test")
    assert found is not None
    assert found.configuration == "two"
    assert [one.model for one in found.cells] == ["first", "second"]
    part = made_run(suite_, [{**cell, "configuration": "one"} for cell in pair(findings)])
    assert discordant_errors(part, LAYOUT, label="Cardiomegaly", configuration="two") is None


def test_devices_are_weighed_where_they_are_known(made_run: Make, findings: Frames) -> None:
    def note(cells: Sequence[dict[str, Any]]) -> str:
        table = discordant_errors(made_run(SUITE, cells), LAYOUT, label="Cardiomegaly")
        assert table is not None
        return next(text for text in table.notes if "device" in text.lower())

    assert "'Support Devices' is not in the predictions" in note(pair(findings))
    # Without Cardiomegaly: images 0, 2, 3, 5; devices on 0 and 5: (0.496 + 0.8) / 2 - (0.472 + 0.565) / 2.
    shown = note(pair(findings, **{"raw:Support Devices": [1, 1, np.nan, 0, 1, 1]}))
    assert f"first {(0.496 + 0.8) / 2 - (0.472 + 0.565) / 2:+.3f}" in shown
    assert f"second {(0.696 + 0.7) / 2 - (0.553 + 0.419) / 2:+.3f}" in shown


def test_the_papers_images_are_mentioned_beside_real_ones_only(
    made_run: Make, findings: Frames, paper_named: Callable[[str], Reported]
) -> None:
    paper = paper_named("internal-external-cxr")
    notes = []
    for fixture in (False, True):
        run = made_run(SUITE, pair(findings), paper=paper, fixture=fixture)
        table = discordant_errors(run, LAYOUT, label="Cardiomegaly")
        assert table is not None
        notes.append(" ".join(table.notes))
    assert "The paper shows 4 such images, called Borderline Cardiomegaly" in notes[0]
    assert "0.496, 0.605, 0.472, 0.565" in notes[0]
    assert "The paper shows" not in notes[1]
    assert "synthetic" in notes[1]


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def cached(
    request: pytest.FixtureRequest, made_run: Make, findings: Frames, tmp_path: Path
) -> tuple[Run, dict[str, np.ndarray]]:
    """A run whose images are still in the pixel cache beside it."""
    root, drawn, shape = tmp_path / "c", {}, (32, 32) if request.param == 1 else (32, 32, 3)
    for number in range(len(TRUTH)):
        image = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        drawn[f"c-{number}"] = image
        path = root / "images" / f"c-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    suite = cards.SuiteCard(
        title="Two", name="two", labels=SUITE.labels, models=SUITE.models, preprocessing=("resize",)
    )
    run = made_run(suite, pair(findings), fixture=True)
    open_cache(
        tmp_path / "cache" / "copy" / "c", root=root, paths=[f"images/{name}.png" for name in drawn], steps=("resize",),
        image_size=32, channels=request.param,
    )  # fmt: skip
    return run, drawn


def test_images_come_from_the_pixel_cache(cached: tuple[Run, dict[str, np.ndarray]]) -> None:
    run, drawn = cached
    found = cached_images(run, [("c", "c-0"), ("c", "c-4"), ("c", "absent"), ("d", "c-0")])
    assert set(found) == {("c", "c-0"), ("c", "c-4")}
    assert np.array_equal(found["c", "c-4"], drawn["c-4"])


def test_images_of_another_preprocessing_are_not_taken(cached: tuple[Run, dict[str, np.ndarray]]) -> None:
    run, _ = cached
    other = cards.SuiteCard(title="Two", name="two", labels=SUITE.labels, preprocessing=("equalize", "resize"))
    changed = Run(run.folder, run.manifest, other, run.results, run.paper)
    assert cached_images(changed, [("c", "c-0")]) == {}


def test_the_panel_shows_the_images_of_the_table(cached: tuple[Run, dict[str, np.ndarray]], tmp_path: Path) -> None:
    run, _ = cached
    layout = cards.FigureLayout(name="images", kind="discordant-errors")
    written = panel(run, layout, tmp_path / "figures", label="Cardiomegaly", count=3, seed=1)
    assert [path.name for path in written] == ["images.svg", "images.png", "images.csv"]
    numbers = pd.read_csv(written[2])
    found = two_models(run, label="Cardiomegaly", where="test")
    assert found is not None
    assert list(numbers["image"]) == list(chosen(found, count=3, seed=1)["image"])
    assert numbers["stamp"].str.startswith("FIXTURE").all()
    assert "FIXTURE" in written[0].read_text()
    assert "(wrong)" in written[0].read_text()


def test_without_images_there_is_no_panel(made_run: Make, findings: Frames, tmp_path: Path) -> None:
    layout = cards.FigureLayout(name="images", kind="discordant-errors")
    assert panel(made_run(SUITE, pair(findings)), layout, tmp_path, label="Cardiomegaly") == []
