"""Splits, flowcharts and classes on the whole published metadata, against numbers that papers printed.

torchxrayvision carries the metadata of ChestX-ray14, CheXpert and VinDr-CXR; here they are laid out under their published
names. No image is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from xrbench.cards import ClassRule, Limits, SplitRule
from xrbench.catalogue import Catalogue
from xrbench.data.annotations.boxes import load_boxes
from xrbench.data.datasets.demographics import age_bands, describe_split
from xrbench.data.datasets.domain import Domain
from xrbench.data.labels.policies import truth, with_mappings
from xrbench.data.labels.single_class import single_class
from xrbench.data.splits import split

pytestmark = pytest.mark.metadata

# Figures 4 and 5 of arXiv:2007.05786 (Mashhaditafreshi et al. 2020): patients, then positive images of each split.
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
MIXED = {"Atelectasis": "ones", "Edema": "ones", "Effusion": "ones", "Cardiomegaly": "zeros", "Consolidation": "zeros"}
PATIENTS = {"nih": (22_179, 2_465, 6_161), "chexpert": (46_468, 5_164, 12_908)}
IMAGES = {"nih": 80_657 + 9_169 + 22_294, "chexpert": 161_035 + 18_097 + 44_282}
POSITIVE = {
    "nih": {
        "Cardiomegaly": (1_944, 214, 618),
        "Edema": (1_622, 227, 454),
        "Consolidation": (3_357, 359, 951),
        "Atelectasis": (8_321, 1_031, 2_207),
        "Effusion": (9_739, 1_025, 2_553),
    },
    "chexpert": {
        "Cardiomegaly": (19_371, 2_222, 5_407),
        "Edema": (47_292, 5_192, 12_746),
        "Consolidation": (10_706, 1_260, 2_817),
        "Atelectasis": (48_363, 5_545, 13_207),
        "Effusion": (70_653, 8_035, 19_127),
    },
}
MALE = {"nih": 54, "chexpert": 56}
"""Per cent of the patients, as printed."""
SEXES = {"nih": (16_630, 14_175), "chexpert": (35_811, 28_728)}
"""Men and women in the metadata: 53.98 and 55.49 per cent are men. The printed numbers are these, rounded up."""

# The six classes of a VinBigData study (Zhou, "Jack of all trades?") in its order, with the totals and sums of squared shares
# that it prints; its rule for images with several labels and its cap on a class are not given.
SIX = ("No Finding", "Cardiomegaly", "Nodule/Mass", "Lung Opacity", "Effusion", "Consolidation")
TOTALS = {"vindr": 3_204, "chexpert-frontal": 29_842}
SQUARES = {"vindr": 0.217, "chexpert-frontal": 0.231}

Load = Callable[[str], Domain]
Parts = tuple[Domain, npt.NDArray[np.float32], split.Parts]


@pytest.fixture(scope="module", params=["nih", "chexpert"])
def divided(request: pytest.FixtureRequest, load: Load) -> Parts:
    """Divide a dataset as the paper says: a fifth of the patients tests, a tenth of the others validates."""
    domain = load(request.param)
    states = truth(domain.frame, FIVE, uncertain=MIXED, blank="negative")  # type: ignore[arg-type]
    members = {
        domain.name: split.Members(domain.name, domain.frame["patient_id"].to_numpy(np.str_)),
        "mimic-test": split.Members("mimic", np.array(["1"])),
    }
    parts = split.divide(
        split.Roles((domain.name,), None, "mimic-test"), members, rule=SplitRule(), limits=Limits(), seed=0
    )
    return domain, states, parts


def sides(divided: Parts) -> list[dict[str, Any]]:
    """Describe train, validation and test."""
    domain, states, parts = divided
    chosen = [part[domain.name] for part in (parts.train, parts.valid, parts.internal)]
    return [describe_split(domain.frame.iloc[rows], states[rows], FIVE) for rows in chosen]


# The flowcharts


def test_patients_of_each_split_are_those_of_the_flowchart(divided: Parts) -> None:
    assert tuple(side["patients"] for side in sides(divided)) == PATIENTS[divided[0].name]


def test_images_and_findings_of_the_splits_sum_up_to_those_of_the_flowchart(divided: Parts) -> None:
    name, found = divided[0].name, sides(divided)
    assert sum(side["images"] for side in found) == IMAGES[name] == len(divided[0])
    summed = {label: sum(side["positive"][label] for side in found) for label in FIVE}
    assert summed == {label: sum(counts) for label, counts in POSITIVE[name].items()}
    assert all(set(side["labelled"].values()) == {side["images"]} for side in found)


def test_each_split_has_about_the_papers_share_of_every_finding(divided: Parts) -> None:
    # Another seed draws other patients; six standard deviations, patients with four images of one finding counted as one.
    name = divided[0].name
    for place, side in enumerate(sides(divided)):
        for label, counts in POSITIVE[name].items():
            share = PATIENTS[name][place] / sum(PATIENTS[name])
            spread = 6 * np.sqrt(4 * sum(counts) * share * (1 - share))
            assert abs(side["positive"][label] - sum(counts) * share) < spread
            assert abs(side["positive"][label] - counts[place]) < spread


def test_sexes_are_those_of_the_flowchart(divided: Parts) -> None:
    domain, states, _ = divided
    whole = describe_split(domain.frame, states, FIVE)
    male, female = SEXES[domain.name]
    assert (whole["male"], whole["female"]) == (male, female)
    assert whole["patients"] - male - female == (1 if domain.name == "chexpert" else 0)
    assert np.ceil(100 * male / (male + female)) == MALE[domain.name]
    found = sides(divided)
    assert sum(side["male"] for side in found) == male
    for side in found:
        share = 100 * side["male"] / (side["male"] + side["female"])
        assert abs(share - MALE[domain.name]) < 2.5  # the smallest split has a standard deviation of one


def test_age_bands_hold_every_patient_once(divided: Parts) -> None:
    domain = divided[0]
    bands = age_bands(domain.frame)
    assert sum(band["patients"] for band in bands) == sum(PATIENTS[domain.name])
    known = [band for band in bands if band["low"] is not None]
    # ages are whole years, so that the middle of 60 to 64 is 62
    mean = np.average([band["low"] + 2 for band in known], weights=[band["patients"] for band in known])
    assert mean == pytest.approx(domain.frame.drop_duplicates("patient_id")["age"].mean(), abs=0.1)


# The six classes


def annotated(root: Path) -> dict[str, set[str]]:
    """Read VinBigData's table by itself: image -> names of the six classes that some radiologist gave it."""
    table = pd.read_csv(root / "vindr/train.csv.gz")
    names = {"No finding": "No Finding", "Pleural effusion": "Effusion"}
    table["class_name"] = table["class_name"].replace(names)
    return {str(image): set(rows) & set(SIX) for image, rows in table.groupby("image_id")["class_name"]}


def reported(root: Path) -> dict[str, set[str]]:
    """Read CheXpert's table by itself: frontal image -> names of the six classes that its report asserts."""
    table = pd.read_csv(root / "CheXpert-v1.0-small/train.csv.gz")
    table = table[table["Frontal/Lateral"] == "Frontal"]
    names = {"Lung Lesion": "Nodule/Mass", "Pleural Effusion": "Effusion"}
    columns = [next((own for own, ours in names.items() if ours == label), label) for label in SIX]
    asserted = (table[columns] == 1).to_numpy()
    paths = table["Path"].str.removeprefix("CheXpert-v1.0-small/")
    return {
        path: {label for label, here in zip(SIX, row, strict=True) if here}
        for path, row in zip(paths, asserted, strict=True)
    }


@pytest.fixture(scope="module")
def six(load: Load, catalogue: Catalogue) -> dict[str, tuple[Domain, npt.NDArray[np.float32]]]:
    mapping = catalogue.vocabulary.mappings["lung-lesion-as-nodule-mass"]
    found = {}
    for name in TOTALS:
        domain = load(name)
        mapped = with_mappings(domain.frame, [mapping])
        found[name] = (domain, truth(mapped, SIX, uncertain="zeros", blank="negative"))
    return found


def classes(
    six: dict[str, tuple[Domain, npt.NDArray[np.float32]]], name: str, rule: ClassRule
) -> tuple[dict[str, int], int, float]:
    domain, states = six[name]
    choice = single_class(states, SIX, rule, dataset=name, images=domain.frame["image"].to_numpy(object))
    counts = np.array(list(choice.after.values()))
    return choice.after, int(counts.sum()), float(((counts / counts.sum()) ** 2).sum())


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("vindr", (10_606, 1_488, 221, 228, 259, 18)),
        ("chexpert-frontal", (16_974, 7_177, 1_813, 36_788, 20_591, 3_415)),
    ],
)
def test_images_with_exactly_one_of_the_six_classes(
    six: dict[str, tuple[Domain, npt.NDArray[np.float32]]], root: Path, name: str, counts: tuple[int, ...]
) -> None:
    found, total, _ = classes(six, name, ClassRule())
    named = (annotated if name == "vindr" else reported)(root)
    alone = [next(iter(labels)) for labels in named.values() if len(labels) == 1]
    assert found == {label: alone.count(label) for label in SIX} == dict(zip(SIX, counts, strict=True))
    assert total == len(alone)


# What the search over all caps found nearest to the printed totals: (rule, dataset, cap, images, sum of squared shares).
NEAREST = [
    ("exactly-one", "vindr", 1_239, 3_204, 0.3155),
    ("first", "vindr", 910, 3_203, 0.2271),
    ("most-frequent", "vindr", 910, 3_203, 0.2413),
    ("exactly-one", "chexpert-frontal", 6_153, 29_840, 0.1869),
    ("first", "chexpert-frontal", 5_285, 29_840, 0.1699),
    ("most-frequent", "chexpert-frontal", 6_119, 29_842, 0.1860),
]


@pytest.mark.parametrize(("rule", "name", "cap", "images", "squares"), NEAREST)
def test_the_caps_that_come_nearest_to_the_printed_totals(
    six: dict[str, tuple[Domain, npt.NDArray[np.float32]]],
    rule: Any,
    name: str,
    cap: int,
    images: int,
    squares: float,
) -> None:
    _, total, found = classes(six, name, ClassRule(rule=rule, caps={name: cap}))
    assert total == images
    assert found == pytest.approx(squares, abs=5e-5)
    uncapped, _, _ = classes(six, name, ClassRule(rule=rule))
    totals = {tried: sum(min(count, tried) for count in uncapped.values()) for tried in range(cap - 50, cap + 51)}
    assert min(abs(tried - TOTALS[name]) for tried in totals.values()) == abs(images - TOTALS[name])
    # No cap that keeps the total keeps the printed sum of squares too: the papers' label rule was another one.
    assert abs(found - SQUARES[name]) > 0.01


# Boxes


def test_the_boxes_of_chestx_ray14_are_those_published(root: Path, catalogue: Catalogue) -> None:
    boxes = load_boxes(catalogue.dataset("nih"), root / "nih", catalogue.vocabulary)
    # Wang et al. 2017: 984 boxes of eight findings on 880 images
    assert (len(boxes), boxes["image"].nunique(), boxes["label"].nunique()) == (984, 880, 8)
    assert boxes["label"].value_counts()["Infiltration"] == 123
    assert boxes[["x1", "y1"]].to_numpy().max() <= 1024
    first = boxes.iloc[0]
    assert (first["image"], first["label"]) == ("00013118_008.png", "Atelectasis")
    assert first["x1"] - first["x0"] == pytest.approx(86.7796610169491)
    assert first["y1"] - first["y0"] == pytest.approx(79.1864406779661)
    assert boxes["reader"].isna().all()


def test_every_boxed_finding_of_vindr_is_positive_and_the_other_way_round(
    root: Path, catalogue: Catalogue, load: Load
) -> None:
    boxes = load_boxes(catalogue.dataset("vindr"), root / "vindr", catalogue.vocabulary)
    assert len(boxes) == 36_096
    assert boxes["reader"].str.fullmatch(r"R\d+").all()
    frame = load("vindr").frame.set_index("image")
    for label, rows in boxes.groupby("label"):
        assert set(rows["image"]) == set(frame.index[frame[str(label)] == 1]), label
    assert set(boxes["image"]).isdisjoint(frame.index[frame["No Finding"] == 1])
