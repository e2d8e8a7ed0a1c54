"""Every block of training that stands in the table, and every shipped card of a model or a method."""

from __future__ import annotations

from typing import Any

import pytest

from xrbench import blocks
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.keys import check_blocks

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training import networks  # noqa: E402

KINDS = ("network", "sampler", "objective", "optimiser", "schedule", "augmentation")
CATALOGUE = open_catalogue()
PAPER: dict[str, Any] = {
    "objective": "masked-bce",
    "task_weights": "rarity",
    "l2_in_loss": 1e-5,
    "optimiser": {"block": "adam", "lr": 1e-3, "amsgrad": True},
    "schedule": "constant",
    "augmentation": (
        {
            "block": "affine",
            "degrees": 45.0,
            "translate": 0.15,
            "scale": [0.85, 1.15],
            "interpolation": "nearest",
            "fill": 0.5,
        },
    ),
    "selection": "best-mean-auc",
    "patience": 0,
    "accumulate": 1,
    "epochs": 0,
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return CATALOGUE


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in blocks.BLOCKS[kind]])
def test_every_block_of_the_table_can_be_imported(kind: str, name: str) -> None:
    assert callable(blocks.find(kind, name))


@pytest.mark.parametrize("name", CATALOGUE.names("model"))
def test_every_model_can_be_built_from_random_weights(name: str, catalogue: Catalogue) -> None:
    from msgspec.structs import replace

    card = catalogue.model(name)
    check_blocks(card)
    built = networks.build(replace(card, weights="none"), 4, seed=0)
    assert built.eval()(torch.zeros(1, card.channels, 64, 64)).shape == (1, 4)


@pytest.mark.parametrize("name", CATALOGUE.names("method"))
def test_every_method_names_blocks_and_options_that_exist(name: str, catalogue: Catalogue) -> None:
    check_blocks(catalogue.method(name))


@pytest.mark.parametrize(
    ("name", "sampler", "validation"),
    [
        ("random-batching", "random-batches", "fixed"),
        ("balanced-batching", "balanced-batches", "fixed"),
        ("random-batching-as-released", "first-dataset-batches", "as-released"),
        ("balanced-batching-as-released", "balanced-batches", "as-released"),
    ],
)
def test_the_papers_methods_differ_only_in_what_a_batch_is_made_of(
    name: str, sampler: str, validation: str, catalogue: Catalogue
) -> None:
    card = catalogue.method(name)
    assert {field: getattr(card, field) for field in PAPER} == PAPER
    assert card.sampler == {"block": sampler, "replacement": True}
    assert card.validation == validation


def test_the_papers_model_is_the_released_codes(catalogue: Catalogue) -> None:
    card = catalogue.model("densenet121-imagenet")
    assert card.network == {"block": "torchvision", "name": "densenet121"}
    assert (card.weights, card.channels, card.stem) == ("imagenet", 1, "new")
    assert (card.scale, card.mean, card.std) == ((-1024.0, 1024.0), (), ())


def test_the_outputs_of_the_pretrained_model_are_the_librarys_in_order(catalogue: Catalogue) -> None:
    card = catalogue.model(catalogue.method("xrv-all").inference)
    targets = networks.torchxrayvision_models().model_urls[card.weights]["labels"]
    assert [name.replace("_", " ") for name in targets] == list(card.outputs)
    assert set(card.outputs) <= set(catalogue.vocabulary.pathologies)
    assert {"nih", "padchest", "chexpert", "mimic"} <= set(card.seen)
