"""What is written is read again without torch, and what is damaged is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrbench.cards import FigureLayout
from xrbench.errors import CardError, StoreError
from xrbench.explain import Question, question_of
from xrbench.explain.storage import TEXT, Explained, clear, read, write


def explained(**about: str) -> Explained:
    index = pd.DataFrame({name: ["", "007"] for name in TEXT}).assign(pixels=[0, 0], map=[0, 1], score=[0.25, 0.75])
    rng = np.random.default_rng(0)
    maps = tuple(rng.random((4, 4)).astype(np.float32) for _ in range(2))
    image = rng.integers(0, 256, (4, 4), np.uint8)
    return Explained(index, (image,), maps, pd.DataFrame(), pd.DataFrame(), about)


def test_an_explanation_survives_the_disk(tmp_path: Path) -> None:
    written = explained(stamp="FIXTURE: drawn")
    write(tmp_path / "a", written)
    found = read(tmp_path / "a")
    assert found.stamp == "FIXTURE: drawn"
    pd.testing.assert_frame_equal(found.index.astype(object), written.index.astype(object))
    assert np.array_equal(found.images[0], written.images[0])
    assert np.allclose(found.maps, written.maps, atol=1e-3)
    assert pd.read_csv(tmp_path / "a" / "index.csv")["stamp"].unique().tolist() == ["FIXTURE: drawn"]


def test_the_same_explanation_gives_the_same_files(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, explained()) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_clearing_removes_what_an_explanation_wrote_and_nothing_else(tmp_path: Path) -> None:
    panel = tmp_path / "panel.png"
    panel.write_bytes(b"old")
    write(tmp_path, explained(), panels=[panel])
    (tmp_path / "mine.txt").write_text("kept")
    about = json.loads((tmp_path / "about.json").read_text())
    (tmp_path / "about.json").write_text(json.dumps({**about, "files": [*about["files"], "../outside.txt"]}))
    (tmp_path.parent / "outside.txt").write_text("kept")
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path.parent / "outside.txt").exists()
    clear(tmp_path / "nowhere")


def test_damage_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, explained())
    whole = (tmp_path / "maps.npz").read_bytes()
    (tmp_path / "maps.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"maps\.npz: damaged"):
        read(tmp_path)
    (tmp_path / "maps.npz").write_bytes(whole)
    pd.read_csv(tmp_path / "index.csv").assign(map=[0, 5]).to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(StoreError, match=r"maps\.npz: has 2 maps, index\.csv names more"):
        read(tmp_path)
    pd.read_csv(tmp_path / "index.csv").drop(columns="cell").to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(StoreError, match=r"index\.csv: column 'cell' missing"):
        read(tmp_path)
    write(tmp_path / "numbers", explained(), maps=False)
    with pytest.raises(StoreError, match=r"maps\.npz: no such file; maps were not kept"):
        read(tmp_path / "numbers")
    (tmp_path / "about.json").write_text('{"format": "xrbench-explained-9"}')
    with pytest.raises(StoreError, match="format 'xrbench-explained-9'; this version reads 'xrbench-explained-1'"):
        read(tmp_path)


def asked(**options: object) -> Question:
    return question_of(FigureLayout(name="figure7", kind="explain", options=dict(options)), "s")


def test_a_figure_of_a_suite_asks_by_its_options() -> None:
    found = asked(label=["Effusion"], count=3, boxes=True, tolerance=5, method=["a", "b"], seed=1)
    assert found == Question(labels=("Effusion",), count=3, boxes=True, tolerance=5.0, only=("method=a,b", "seed=1"))
    with pytest.raises(CardError, match=r"suite s: figure figure7: no option 'labels'; did you mean 'label'\?"):
        asked(labels=["Effusion"])
    with pytest.raises(
        CardError, match=r"suite s: figure figure7: options: Expected `int`, got `str` - at `\$\.count`"
    ):
        asked(count="3")


def test_stored_explanations_need_no_torch() -> None:
    code = (
        "import sys, xrbench.explain, xrbench.report.pages.explanations; "
        "sys.exit(str([m for m in ('torch', 'timm') if m in sys.modules]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr.strip() == "[]"
