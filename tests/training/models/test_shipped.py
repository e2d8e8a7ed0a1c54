"""Every block of training that stands in the table, and every shipped card of a model or a method."""

from __future__ import annotations

from typing import Any

import pytest

from xrbench import blocks
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.runs.cache_keys import check_blocks

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.models import networks, weights  # noqa: E402

KINDS = ("network", "sampler", "objective", "optimiser", "schedule", "augmentation", "pruning")
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
    side = card.image_size or 64
    assert built.eval()(torch.zeros(1, card.channels, side, side)).shape == (1, 4)


def trainable(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@pytest.fixture(scope="module")
def inception(catalogue: Catalogue) -> Any:
    from msgspec.structs import replace

    return networks.build(replace(catalogue.model("inception-resnet-v2-imagenet-rgb"), weights="none"), 5, seed=0)


def test_densenet121_has_the_published_number_of_parameters(catalogue: Catalogue) -> None:
    from msgspec.structs import replace

    built = networks.build(replace(catalogue.model("densenet121-imagenet-rgb"), weights="none"), 5, seed=0)
    assert trainable(built) == 6_958_981


def test_inception_resnet_v2_trains_the_published_number_without_the_factors_that_keras_leaves_out(
    inception: Any,
) -> None:
    # Keras builds its batch normalisation with scale=False: an offset but no factor for each channel.
    factors = sum(layer.weight.numel() for layer in inception.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    assert factors == 30_272
    assert sum(one.numel() for one in inception.parameters()) - factors == 54_283_877
    assert trainable(inception) == 54_283_877
    # Without the new layer (1,536 x 5 + 5): what Keras counts as trainable in the network without its top.
    assert trainable(inception) - (1536 * 5 + 5) == 54_276_192


def test_the_paper_networks_end_in_one_new_layer_behind_the_average(inception: Any, catalogue: Catalogue) -> None:
    dense = catalogue.model("densenet121-imagenet-rgb")
    for card in (dense, catalogue.model("inception-resnet-v2-imagenet-rgb")):
        assert (card.weights, card.channels) == ("imagenet", 3)
        assert (card.mean, card.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    last = inception.get_submodule(networks.first_and_head(inception, 5)[1])
    assert isinstance(last, torch.nn.Linear)
    assert (last.in_features, last.out_features) == (1536, 5)


def test_the_accumulating_adam_is_the_papers(catalogue: Catalogue) -> None:
    card = catalogue.method("adam-accumulate")
    assert card.optimiser == {"block": "adam", "lr": 1e-3}
    assert card.schedule == {"block": "time-based", "decay": 1e-5}
    assert card.augmentation == ({"block": "horizontal-flip", "p": 0.5},)
    assert (card.accumulate, card.selection, card.task_weights, card.l2_in_loss) == (2, "best-mean-auc", "none", 0.0)


def test_the_ensembled_descent_is_the_papers(catalogue: Catalogue) -> None:
    card = catalogue.method("sgd")
    assert card.optimiser == {"block": "sgd", "lr": 1e-3, "momentum": 0.9}
    assert (card.objective, card.augmentation, card.selection, card.l2_in_loss) == ("cross-entropy", (), "last", 0.0)
    assert catalogue.method("sgd-ensemble").ensemble == "sgd"


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
    targets = weights.torchxrayvision_models().model_urls[card.weights]["labels"]
    assert [name.replace("_", " ") for name in targets] == list(card.outputs)
    assert set(card.outputs) <= set(catalogue.vocabulary.pathologies)
    assert {"nih", "padchest", "chexpert", "mimic"} <= set(card.seen)
