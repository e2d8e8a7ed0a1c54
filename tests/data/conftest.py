"""Where the real images and the whole published metadata are, for tests that use them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from xrbench import cards
from xrbench.catalogue import Catalogue, shipped
from xrbench.data.datasets.domain import Domain, load_domain

PUBLISHED = {
    "nih/Data_Entry_2017_v2020.csv.gz": "Data_Entry_2017_v2020.csv.gz",
    "nih/BBox_List_2017.csv.gz": "BBox_List_2017.csv.gz",
    "CheXpert-v1.0-small/train.csv.gz": "chexpert_train.csv.gz",
    "PadChest/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz": (
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    ),
    "vindr/train.csv.gz": "vinbigdata-train.csv.gz",
}
"""Published name of a table -> the file of torchxrayvision that carries it."""
Load = Callable[[str], Domain]


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Find the folder of real images, or skip."""
    beside = Path(__file__).parents[2].parent / "shared" / "realdata"
    folder = Path(os.environ.get("XRBENCH_REALDATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}; set XRBENCH_REALDATA")
    return folder


@pytest.fixture(scope="session")
def vocabulary() -> cards.Vocabulary:
    """Read the shared names of findings that come with xrbench."""
    return cards.read(shipped() / "registry" / "pathologies.toml", cards.Vocabulary)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Open the shipped cards."""
    return Catalogue([shipped()])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the published metadata out under their own names, or skip."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchxrayvision, which carries the metadata, is not installed")
    data = Path(spec.origin).parent / "data"
    root = tmp_path_factory.mktemp("published")
    for place, name in PUBLISHED.items():
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).symlink_to(data / name)
    return root


@pytest.fixture(scope="module")
def load(root: Path, catalogue: Catalogue) -> Load:
    """Read the metadata of a dataset or slice once for a file of tests."""
    loaded: dict[str, Domain] = {}

    def loader(name: str) -> Domain:
        if name not in loaded:
            card = catalogue.dataset(name)
            base = catalogue.dataset(card.base) if card.base else None
            loaded[name] = load_domain(card, base, catalogue.vocabulary, root)
        return loaded[name]

    return loader
