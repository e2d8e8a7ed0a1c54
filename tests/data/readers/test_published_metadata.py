"""The readers on the whole published metadata, against published counts and against torchxrayvision.

torchxrayvision carries the metadata of ChestX-ray14, CheXpert, PadChest and VinDr-CXR; here they are laid out under their
published names. No image is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from xrbench.cards import Vocabulary
from xrbench.catalogue import Catalogue
from xrbench.data.datasets.describe import count_of, describe
from xrbench.data.datasets.domain import Domain
from xrbench.data.labels.policies import Lookup, truth
from xrbench.data.readers import chexpert, mimic, padchest

pytestmark = pytest.mark.metadata

MIXED = {"Atelectasis": "ones", "Edema": "ones", "Effusion": "ones", "Cardiomegaly": "zeros", "Consolidation": "zeros"}
"""U-Ones and U-Zeroes as in the flowcharts of arXiv:2007.05786."""

Load = Callable[[str], Domain]


@pytest.mark.parametrize("name", ["nih", "nih-pa", "nih-ap", "chexpert", "chexpert-frontal", "padchest", "vindr"])
def test_every_number_on_the_card_is_that_of_the_metadata(load: Load, name: str) -> None:
    domain = load(name)
    assert {key: count_of(domain, key) for key in domain.card.counts} == domain.card.counts
    assert domain.layout == "published"


@pytest.mark.parametrize(
    ("name", "images", "patients", "pa"), [("nih", 112_120, 30_805, 67_310), ("chexpert", 223_414, 64_540, 29_420)]
)
def test_published_sizes(load: Load, name: str, images: int, patients: int, pa: int) -> None:
    found = describe(load(name))
    assert (found.images, found.patients, found.views["PA"]) == (images, patients, pa)


def test_padchest_pa_images_as_the_balanced_batching_paper_counts_them(
    root: Path, catalogue: Catalogue, load: Load
) -> None:
    # Table 1 of arXiv:2112.13734 says 91,658: with the files that are absent left out, not yet those found broken later.
    options = {**catalogue.dataset("padchest").options, "without": "absent"}
    reading = padchest.read(root / "PadChest", vocabulary=catalogue.vocabulary, labels={}, **options)
    pa = reading.frame[reading.frame["view"] == "PA"]
    assert len(pa) == 91_658
    assert set(pa["image"]) - set(load("padchest").frame["image"]) == padchest.BROKEN


# Positive images, summed over train, valid and test, in the flowcharts of arXiv:2007.05786.
@pytest.mark.parametrize(
    ("name", "positives"),
    [
        (
            "nih",
            {
                "Cardiomegaly": 1944 + 618 + 214,
                "Edema": 1622 + 454 + 227,
                "Consolidation": 3357 + 951 + 359,
                "Atelectasis": 8321 + 2207 + 1031,
                "Effusion": 9739 + 2553 + 1025,
            },
        ),
        (
            "chexpert",
            {
                "Cardiomegaly": 19371 + 5407 + 2222,
                "Edema": 47292 + 12746 + 5192,
                "Consolidation": 10706 + 2817 + 1260,
                "Atelectasis": 48363 + 13207 + 5545,
                "Effusion": 70653 + 19127 + 8035,
            },
        ),
    ],
)
def test_positive_totals_of_the_flowcharts(load: Load, name: str, positives: dict[str, int]) -> None:
    found = truth(load(name).frame, list(positives), uncertain=MIXED, blank="negative")  # type: ignore[arg-type]
    assert dict(zip(positives, (found == 1).sum(axis=0).tolist(), strict=True)) == positives
    assert not np.isnan(found).any()


def test_chexpert_ages_of_the_figure(load: Load) -> None:
    # Figure 1b of the same paper: mean 60.31, standard deviation 18.56, by patient; there, three unknown ages count as 0.
    domain = load("chexpert")
    assert describe(domain).age.missing == 3
    age = describe(replace(domain, frame=domain.frame.fillna({"age": 0}))).patient_age
    assert age is not None
    assert (round(age.mean, 2), round(age.sd, 2)) == (60.31, 18.56)


def test_frames_are_in_published_order(root: Path, load: Load) -> None:
    tables = {
        "nih": ("nih/Data_Entry_2017_v2020.csv.gz", "Image Index"),
        "chexpert": ("CheXpert-v1.0-small/train.csv.gz", "Path"),
        "padchest": ("PadChest/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", "ImageID"),
    }
    for name, (place, column) in tables.items():
        published = pd.read_csv(root / place, usecols=[column], nrows=20_000)[column]
        images = load(name).frame["image"]
        listed = published.str.removeprefix("CheXpert-v1.0-small/")
        kept = listed[listed.isin(images)].tolist()
        assert len(kept) > 19_900
        assert images.tolist()[: len(kept)] == kept


@pytest.fixture(scope="module")
def xrv() -> Any:
    return pytest.importorskip("torchxrayvision").datasets


def agree(domain: Domain, theirs: Any, ours: npt.NDArray[np.float32], labels: list[str]) -> None:
    assert theirs.labels.shape == ours.shape
    for number, label in enumerate(labels):
        np.testing.assert_array_equal(ours[:, number], theirs.labels[:, number], err_msg=f"{domain.name}: {label}")


def named(theirs: Any, vocabulary: Vocabulary) -> list[str]:
    lookup = Lookup(vocabulary)
    return [lookup(name) for name in theirs.pathologies]


@pytest.mark.train
@pytest.mark.filterwarnings("ignore")
class TestAgainstTorchxrayvision:
    """Row by row and label by label, under the policy that torchxrayvision has built in."""

    def test_nih(self, load: Load, xrv: Any, root: Path, catalogue: Catalogue) -> None:
        theirs = xrv.NIH_Dataset(str(root), views=["*"], unique_patients=False)
        domain, labels = load("nih"), named(theirs, catalogue.vocabulary)
        assert domain.frame["image"].tolist() == theirs.csv["Image Index"].tolist()
        agree(domain, theirs, truth(domain.frame, labels, uncertain="ignore", blank="ignore"), labels)
        assert len(labels) == 14

    def test_chexpert(self, load: Load, xrv: Any, root: Path, catalogue: Catalogue) -> None:
        theirs = xrv.CheX_Dataset(str(root), views=["*"], unique_patients=False)
        domain, labels = load("chexpert"), named(theirs, catalogue.vocabulary)
        ours = truth(domain.frame, labels, uncertain="ignore", blank="negative-when-no-finding")
        agree(domain, theirs, ours, labels)
        assert len(labels) == 13

    def test_padchest(self, xrv: Any, root: Path, catalogue: Catalogue) -> None:
        theirs = xrv.PC_Dataset(str(root), views=["*"], unique_patients=False)
        card = catalogue.dataset("padchest")
        options = {**card.options, "born_before": 2009}
        reading = padchest.read(root / "PadChest", vocabulary=catalogue.vocabulary, labels={}, **options)
        frame = reading.frame.sort_values("image", ignore_index=True)
        assert frame["image"].tolist() == theirs.csv["ImageID"].tolist()
        assert frame["patient_id"].tolist() == theirs.csv["patientid"].tolist()
        labels = named(theirs, catalogue.vocabulary)
        domain = Domain(card=card, base="padchest", root=root, frame=frame, labels=reading.labels)
        agree(domain, theirs, truth(frame, labels, uncertain="ignore", blank="ignore"), labels)
        assert len(labels) == 28

    def test_vindr(self, load: Load, xrv: Any, root: Path, catalogue: Catalogue) -> None:
        theirs = xrv.VinDr_Dataset(str(root))
        domain, labels = load("vindr"), named(theirs, catalogue.vocabulary)
        frame = domain.frame.sort_values("image", ignore_index=True)
        assert frame["image"].tolist() == theirs.csv["image_id"].tolist()
        agree(domain, theirs, truth(frame, labels, uncertain="ignore", blank="ignore"), labels)
        assert len(labels) == 14

    def test_mimic(self, xrv: Any, tmp_path: Path, catalogue: Catalogue) -> None:
        # MIMIC-CXR is not free: the tables are drawn, with findings as its labeller gives them.
        metadata, labels_csv = drawn_mimic(tmp_path)
        theirs = xrv.MIMIC_Dataset(str(tmp_path), str(labels_csv), str(metadata), views=["*"], unique_patients=False)
        reading = mimic.read(tmp_path, vocabulary=catalogue.vocabulary, labels={})
        frame = reading.frame
        assert frame["image"].tolist() == theirs.csv["dicom_id"].tolist()
        # There "No Finding" says that there are no devices either; a labeller does not mean that.
        names = [name for name in named(theirs, catalogue.vocabulary) if name != "Support Devices"]
        ours = truth(frame, names, uncertain="ignore", blank="negative-when-no-finding")
        at = [number for number, name in enumerate(theirs.pathologies) if name != "Support Devices"]
        np.testing.assert_array_equal(ours, theirs.labels[:, at])
        assert np.isnan(ours).any()
        assert len(names) == 12


def drawn_mimic(root: Path, studies: int = 300) -> tuple[Path, Path]:
    draws = np.random.Generator(np.random.PCG64(5))
    study = pd.DataFrame(
        {"subject_id": 10_000_000 + np.arange(studies) // 2, "study_id": 50_000_000 + np.arange(studies)}
    )
    healthy = draws.random(studies) < 0.4
    for finding in chexpert.FINDINGS[1:]:
        states = draws.choice([1.0, 0.0, -1.0, np.nan], size=studies)
        study[finding] = np.where(healthy, draws.choice([0.0, np.nan], size=studies), states)
    study["No Finding"] = np.where(healthy, 1.0, np.nan)
    images = study[["subject_id", "study_id"]].loc[np.repeat(np.arange(studies), 1 + np.arange(studies) % 3)]
    images = images.assign(
        dicom_id=[f"image{number:05d}" for number in range(len(images))],
        ViewPosition=draws.choice(["PA", "AP", "LATERAL"], size=len(images)),
        StudyDate=21800101,
    )
    study.to_csv(root / "mimic-cxr-2.0.0-chexpert.csv", index=False)
    images.to_csv(root / "mimic-cxr-2.0.0-metadata.csv", index=False)
    images.assign(split="train").to_csv(root / "mimic-cxr-2.0.0-split.csv", index=False)
    return root / "mimic-cxr-2.0.0-metadata.csv", root / "mimic-cxr-2.0.0-chexpert.csv"
