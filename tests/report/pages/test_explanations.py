"""Panels show what is stored: every image, the stamp, boxes, and that a map points nowhere."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench.explain.storage import Explained
from xrbench.report.figures.saliency_panels import NETWORKS, ROWS, differing, pages
from xrbench.report.pages.explanations import panels, summary

ABOUT = {"stamp": "FIXTURE: synthetic phantoms, not clinical results", "images": "as named"}


def one(image: str, at: int, **changes: Any) -> dict[str, Any]:
    network = changes.get("network", "plain/net/a/seed-0")
    return {
        "label": "Edema", "dataset": "b", "image": image, "test": "b", "protocol": "external", "network": network,
        "method": "plain", "model": "net", "train": "a", "configuration": "", "seed": 0, "members": 1,
        "actual": "Edema", "predicted": "Edema", "predicted_score": 0.8, "score": 0.8, "threshold": 0.5, "target": "Edema",
        "layer": "layer4, 4 x 4", "technique": "gradcam", "image_size": 16, "peak_x": 3.0, "peak_y": 4.0,
        "share": np.nan, "area": np.nan, "hit": np.nan, "pixels": 0, "map": at, **changes,
    }  # fmt: skip


def explained(rows: list[dict[str, Any]], *, boxes: bool = False) -> Explained:
    rng = np.random.default_rng(0)
    maps = [rng.random((16, 16)).astype(np.float32) for _ in rows]
    drawn = {"dataset": "b", "label": "Edema", "image_size": 16, "x0": 2.0, "y0": 3.0, "x1": 9.0, "y1": 8.0}
    table = pd.DataFrame([{"image": rows[0]["image"], **drawn}] if boxes else [])
    image = rng.integers(0, 256, (16, 16), np.uint8)
    return Explained(pd.DataFrame(rows), (image,), tuple(maps), table, pd.DataFrame(), ABOUT)


def words(path: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8")))


def test_a_panel_says_what_it_shows(tmp_path: Path) -> None:
    rows = [
        one("seen.png", 0, share=0.4, area=0.1, hit=1.0),
        one("missed.png", 1, predicted="no Edema", predicted_score=0.2, protocol="internal", test="a"),
    ]
    written = panels(explained(rows, boxes=True), tmp_path)
    assert [path.name for path in written] == ["panels-Edema.svg", "panels-Edema.png", "panels-Edema.csv"]
    said = words(written[0])
    for text in (ABOUT["stamp"], "seen.png", "truth: Edema", "0.80: Edema (right)", "no Edema (wrong)", "in box 0.40"):
        assert text in said
    assert said.index("internal: a") < said.index("external: b")
    assert "layer4, 4 x 4 cells" in said
    assert list(pd.read_csv(written[2])["image"]) == ["seen.png", "missed.png"]


def test_boxes_and_contours_are_drawn(tmp_path: Path) -> None:
    counts = []
    for name, boxes in (("without", False), ("with", True)):
        svg = panels(explained([one("i.png", 0)], boxes=boxes), tmp_path / name)[0].read_text(encoding="utf-8")
        counts.append((svg.count('id="patch_'), svg.count("stroke-dasharray")))
    assert counts[1][0] == counts[0][0] + 2, "a box on the image and on the map"
    assert counts[0][1] > 0, "contour lines differ in form"


def pictures(path: Path) -> list[np.ndarray]:
    """Return the embedded images of an SVG file that have the size of an image or a map, as red, green, blue and opacity."""
    data = re.findall(r'href="data:image/png;base64,([^"]*)"', path.read_text(encoding="utf-8"))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")) for text in data]


def has_hue(picture: np.ndarray, hue: np.ndarray) -> bool:
    """Tell whether every opaque pixel has the ratio of red, green and blue that the drawn images have."""
    opaque = picture[picture[..., 3] == 255][:, :3].astype(float)
    return bool(len(opaque) and np.allclose(opaque, opaque.max(axis=1, keepdims=True) * hue / hue.max(), atol=2))


def test_no_tint_hides_the_colours_of_an_image_in_colour(tmp_path: Path) -> None:
    grey = explained([one("i.png", 0)])
    hue = np.array([200, 120, 90])
    light = np.linspace(0.5, 1.0, 256).reshape(16, 16, 1)
    in_colour = replace(grey, images=((light * hue).astype(np.uint8),))
    drawn = {name: panels(found, tmp_path / name) for name, found in (("grey", grey), ("colour", in_colour))}
    assert [has_hue(picture, hue) for picture in pictures(drawn["colour"][0])] == [True, True]
    assert [has_hue(picture, np.ones(3)) for picture in pictures(drawn["grey"][0])] == [True, False], (
        "tinted by the map"
    )
    assert "stroke-dasharray" in drawn["colour"][0].read_text(encoding="utf-8"), "contour lines differ in form"
    assert "Lines show where evidence was found" in words(drawn["colour"][0])
    assert "Colour and lines show where" in words(drawn["grey"][0])


@pytest.mark.parametrize(
    ("layer", "coarse"), [("layer4, 2 x 2", True), ("layer2, 8 x 8; layer3, 6 x 7", True), ("layer2, 8 x 8", False)]
)
def test_a_coarse_map_is_said_to_be_one(tmp_path: Path, layer: str, coarse: bool) -> None:
    said = words(panels(explained([one("i.png", 0, layer=layer)]), tmp_path)[0])
    assert f"layer {layer} cells" in said
    assert ("a map cannot tell where in a cell" in said) is coarse


def test_a_map_without_evidence_says_so(tmp_path: Path) -> None:
    found = explained([one("i.png", 0)])
    found.maps[0][...] = 0
    assert "no evidence" in words(panels(found, tmp_path)[0])


def test_every_shown_map_stands_on_one_page() -> None:
    rows = [
        one(f"{image}.png", image * 10 + seed, network=f"plain/net/a/seed-{seed}", seed=seed)
        for image in range(ROWS + 2)
        for seed in range(NETWORKS + 1)
    ]
    rows.append(one("measured.png", -1))
    found = [page.index for page in pages(pd.DataFrame(rows))]
    assert sorted(number for page in found for number in page["map"]) == sorted(row["map"] for row in rows[:-1])
    assert len(found) == 4
    assert all(page["network"].nunique() <= NETWORKS and page["image"].nunique() <= ROWS for page in found)


def test_networks_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    rows = [
        one("i", 0, network="x"),
        one("i", 1, network="y", seed=1),
        one("i", 2, network="z", method="all", members=3),
    ]
    assert differing(pd.DataFrame(rows)) == {"x": "plain\nseed 0", "y": "plain\nseed 1", "z": "all\nmean of 3"}
    said = words(panels(explained(rows), tmp_path)[0])
    assert "mean of its members" in said
    assert differing(pd.DataFrame([one("i", 0, network="x"), one("i", 1, network="y", configuration="split")])) == {
        "x": "plain",
        "y": "plain\nsplit",
    }


def test_the_summary_is_stamped_and_names_every_map(tmp_path: Path) -> None:
    said = summary(explained([one("i.png", 0), one("j.png", 1, peak_x=np.nan)]), tmp_path, [tmp_path / "index.csv"])
    assert said.splitlines()[0] == ABOUT["stamp"]
    assert re.search(r"b/i\.png .* 3, 4", said)
    assert re.search(r"b/j\.png .* nowhere", said)
    assert said.endswith(f"written: {tmp_path}   index.csv")


@pytest.mark.parametrize("label", ["Nodule/Mass", "../x", "<b>"])
def test_any_label_makes_a_file_name(tmp_path: Path, label: str) -> None:
    found = explained([one("i.png", 0, label=label)])
    assert all(path.parent == tmp_path and path.is_file() for path in panels(found, tmp_path))
