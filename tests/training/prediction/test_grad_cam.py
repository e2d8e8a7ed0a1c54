"""Maps are those that can be worked out by hand, of the layer that papers explain, whatever comes behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from xrbench.cards import ModelCard, Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import UnknownNameError, UsageError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from xrbench.training.models import networks  # noqa: E402
from xrbench.training.prediction.grad_cam import TECHNIQUES, Explainer, Target  # noqa: E402
from xrbench.training.prediction.predict import Predictor  # noqa: E402

Make = Callable[..., Recipe]
Ready = Callable[..., Predictor]
Float = npt.NDArray[np.float64]

FILTERS = np.array([1.0, -2.0, 0.5])
"""Three 1 x 1 filters over one channel."""
HEAD = np.array([[2.0, 1.0, -3.0], [-1.0, 0.5, 1.0]])
"""Two outputs over three channels."""


@pytest.fixture
def ready(recipe: Make, tmp_path: Path) -> Ready:
    """Make a predictor around any network; the recipe's labels are Spot and Stripes, pixels run from -1 to 1."""

    def make(network: nn.Module, *, side: int = 8, channels: int = 1, outputs: tuple[str, ...] = ()) -> Predictor:
        names = outputs or ("Spot", "Stripes")
        bare = recipe(model={"outputs": names, "channels": channels}, image_size=side)
        torch.save(networks.build(bare.model, len(names), seed=8).state_dict(), tmp_path / "own.pt")
        model = {"weights": str(tmp_path / "own.pt"), "outputs": names, "channels": channels}
        labels = names if outputs else ("Spot", "Stripes")
        made = Predictor(recipe(inference="tiny", model=model, image_size=side, labels=labels))
        made.network = network.eval()
        return made

    return make


def images(count: int = 3, side: int = 8) -> ImageSet:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 1, side, side), np.uint8)
    nothing = np.full((count, 2), np.nan, np.float32)
    return ImageSet(("here",), (pixels,), np.zeros(count, np.int64), np.arange(count), nothing)


def seen(of: ImageSet) -> Float:
    """What a network is fed, on the scale -1..1."""
    pixels: Float = of.pixels[0][:, 0].astype(np.float64) / 255 * 2 - 1
    return pixels


def scaled(maps: Float) -> Float:
    """Rectify a map and take it to 0..1 as the library does."""
    maps = np.maximum(maps, 0)
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12))


class ByHand(nn.Module):
    """1 x 1 filters, perhaps rectified, mean over the image, linear."""

    def __init__(self, rectify: str = "", outputs: int = 2) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 3, 1, bias=False)
        self.behind: nn.Module = nn.ReLU(inplace=True) if rectify == "module" else nn.Identity()
        self.rectify = rectify
        self.head = nn.Linear(3, outputs, bias=False)
        with torch.no_grad():
            self.filters.weight.copy_(torch.tensor(FILTERS).view(3, 1, 1, 1))
            self.head.weight.copy_(torch.tensor(HEAD[:outputs]))

    def forward(self, given: Tensor) -> Tensor:
        maps = self.behind(self.filters(given))
        maps = functional.relu(maps, inplace=True) if self.rectify == "function" else maps
        made: Tensor = self.head(maps.mean((2, 3)))
        return made


@pytest.mark.parametrize(("output", "sign"), [(0, 1), (1, 1), (1, -1)])
def test_the_map_is_that_of_the_formula(ready: Ready, output: int, sign: int) -> None:
    """Of a mean over the image each channel's weight is its weight in the output."""
    of = images()
    found = Explainer(ready(ByHand()))(of, [Target(output, sign)] * 3)
    maps = seen(of)[:, None] * FILTERS[:, None, None]
    assert np.allclose(found, scaled(np.einsum("k,nkij->nij", sign * HEAD[output], maps)), atol=1e-5)


@pytest.mark.parametrize("rectify", ["module", "function"])
def test_rectifying_in_place_behind_the_layer_changes_no_map(ready: Ready, rectify: str) -> None:
    """The gradient passes where a channel is positive; what it weighs are the values before they were rectified."""
    of = images()
    found = Explainer(ready(ByHand(rectify)), layer="filters")(of, [Target(0)] * 3)
    maps = seen(of)[:, None] * FILTERS[:, None, None]
    weights = HEAD[0] * (maps > 0).mean(axis=(2, 3))
    assert np.allclose(found, scaled(np.einsum("nk,nkij->nij", weights, maps)), atol=1e-5)


def test_each_image_has_its_own_target(ready: Ready) -> None:
    of = images()
    explain = Explainer(ready(ByHand()))
    mixed = explain(of, [Target(0), Target(1), Target(0, -1)], batch_size=2)
    for row, target in enumerate([Target(0), Target(1), Target(0, -1)]):
        assert np.array_equal(mixed[row], explain(of, [target] * 3)[row])


@pytest.mark.parametrize("flat", [False, True])
def test_a_network_with_one_output(ready: Ready, flat: bool) -> None:
    class One(ByHand):
        def forward(self, given: Tensor) -> Tensor:
            made = super().forward(given)
            return made[:, 0] if flat else made

    of = images()
    found = Explainer(ready(One(outputs=1), outputs=("Spot",)))(of, [Target(0)] * 3)
    assert np.allclose(found, Explainer(ready(ByHand()))(of, [Target(0)] * 3), atol=1e-6)


def test_outputs_are_found_by_name(ready: Ready) -> None:
    of, predict = images(), ready(ByHand())
    predict.columns = [1, 0]
    assert np.array_equal(Explainer(predict)(of, [Target(0)] * 3), Explainer(ready(ByHand()))(of, [Target(1)] * 3))


def test_explaining_leaves_scores_and_weights_as_they_were(ready: Ready) -> None:
    of, predict = (
        images(side=16),
        ready(networks.build(ModelCard(title="t", name="t", network="mylab_blocks:tiny_network"), 2, seed=0), side=16),
    )
    before, weights = predict(of), [value.clone() for value in predict.network.state_dict().values()]
    for weight in predict.network.parameters():
        weight.requires_grad_(False)
    explain = Explainer(predict)
    first = explain(of, [Target(0)] * 3)
    assert first.max() > 0, "frozen weights cut no gradient off"
    assert np.array_equal(first, explain(of, [Target(0)] * 3))
    assert np.array_equal(before, predict(of))
    assert all(torch.equal(*pair) for pair in zip(weights, predict.network.state_dict().values(), strict=True))
    assert all(weight.grad is None for weight in predict.network.parameters())
    assert not any(module._forward_hooks for module in predict.network.modules())


def test_probabilities_are_explained_by_what_lies_before_them(ready: Ready) -> None:
    """A sigmoid that is 1 to the last digit has no gradient; the output before it has."""
    of, body = images(), ByHand()
    with torch.no_grad():
        body.head.weight.mul_(1e4)
    around = networks.Published(body, resolution=8, points=torch.tensor([0.3, float("nan")]))
    assert set(np.unique(ready(around)(of)[:, 0])) <= {0.0, 1.0}
    explain = Explainer(ready(around))
    assert explain.layer.name == "filters"
    assert np.allclose(explain(of, [Target(0)] * 3), Explainer(ready(ByHand()))(of, [Target(0)] * 3), atol=1e-5)


def test_a_coarse_map_lies_where_its_cells_lie(ready: Ready) -> None:
    """One bright cell of 4 x 4 pixels; made larger as torch does it, whose corners are the image's corners too."""

    class Coarse(ByHand):
        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.Conv2d(1, 3, 4, 4, bias=False)
            nn.init.constant_(self.filters.weight, 1 / 16)

    of = images(1, side=16)
    of.pixels[0][...] = 0
    of.pixels[0][0, 0, 12:16, 4:8] = 255
    explain = Explainer(ready(Coarse(), side=16))
    assert explain.layer == ("filters", 4, 4)
    cell = torch.zeros(1, 1, 4, 4)
    cell[0, 0, 3, 1] = 1
    expected = functional.interpolate(cell, size=(16, 16), mode="bilinear", align_corners=False)[0, 0].numpy()
    found = explain(of, [Target(1)])[0]  # 0.5 of all weights: positive for the second output
    assert np.allclose(found, expected / expected.max(), atol=1e-5)
    assert found.argmax() // 16 in range(12, 16)


CASES: dict[str, tuple[dict[str, Any], Literal[1, 3], int, str, int]] = {
    "resnet": ({"block": "timm", "name": "resnet10t"}, 1, 224, "layer4", 7),
    "resnet, 112 pixels": ({"block": "timm", "name": "resnet10t"}, 1, 112, "layer3", 7),
    "resnet, 64 pixels": ({"block": "timm", "name": "resnet10t"}, 1, 64, "layer2", 8),
    "resnet, 16 pixels": ({"block": "timm", "name": "resnet10t"}, 1, 16, "layer2", 2),
    "resnet of torchvision": ({"block": "torchvision", "name": "resnet18"}, 3, 64, "layer2", 8),
    "resnet with bottlenecks": ({"block": "torchvision", "name": "resnet50"}, 1, 64, "layer2", 8),
    "densenet": ({"block": "torchxrayvision", "name": "densenet121"}, 1, 64, "features.denseblock2", 8),
    "densenet, 224 pixels": ({"block": "torchxrayvision", "name": "densenet121"}, 1, 224, "features.norm5", 7),
    "efficientnet": ({"block": "timm", "name": "efficientnet_b0"}, 1, 64, "blocks.2", 8),
    "mobilenet": ({"block": "torchvision", "name": "mobilenet_v3_small"}, 3, 64, "features.3", 8),
    "own": ({"block": "mylab_blocks:tiny_network"}, 1, 16, "2", 8),
}


@pytest.mark.parametrize("case", CASES)
def test_the_deepest_layer_with_a_map_of_7_x_7_cells_is_found(ready: Ready, case: str) -> None:
    network, channels, side, name, cells = CASES[case]
    built = networks.build(ModelCard(title="t", name="t", network=network, channels=channels), 2, seed=0)
    explain = Explainer(ready(built, side=side, channels=channels))
    assert explain.layer == (name, cells, cells)
    found = explain(images(1, side), [Target(0)])
    assert found.shape == (1, side, side)
    assert found.min() >= 0
    assert found.max() <= 1


def test_inception_resnet_v2_is_explained_by_its_last_convolution(ready: Ready) -> None:
    with torch.device("meta"):
        names = dict(networks.timm_network(name="inception_resnet_v2", channels=3, outputs=2).named_modules())
    assert "conv2d_7b" in names
    assert list(names).index("conv2d_7b") > list(names).index("block8")


def test_a_transformer_has_no_such_layer(ready: Ready) -> None:
    built = networks.timm_network(name="vit_tiny_patch16_224", channels=1, outputs=2, img_size=32, depth=1)
    with pytest.raises(UsageError, match="model tiny: no convolutional layer before the outputs; name one by --layer"):
        Explainer(ready(built, side=32))


def test_layers_that_give_no_map_are_refused_in_a_line(ready: Ready) -> None:
    built = networks.build(
        ModelCard(title="t", name="t", network={"block": "torchvision", "name": "resnet18"}), 2, seed=0
    )
    predict = ready(built, side=32)
    with pytest.raises(UnknownNameError, match=r"model tiny: unknown layer 'layer5'; did you mean 'layer[1-4]'\?"):
        Explainer(predict, layer="layer5")
    with pytest.raises(
        UsageError, match="layer 'layer4' gives no map of an image of 32 x 32 pixels, it gives 512 x 1 x 1"
    ):
        Explainer(predict, layer="layer4")
    with pytest.raises(UsageError, match=r"layer 'fc' gives no map .* it gives 2"):
        Explainer(predict, layer="fc")
    with pytest.raises(UsageError, match=r"layer 'layer3\.1\.relu' is used 2 times for one image"):
        Explainer(predict, layer="layer3.1.relu")
    with pytest.raises(UnknownNameError, match=r"unknown technique 'grad-cam'; did you mean 'gradcam'\?"):
        Explainer(predict, technique="grad-cam")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_gives_maps_from_0_to_1(ready: Ready, technique: str) -> None:
    found = Explainer(ready(ByHand("module")), layer="filters", technique=technique)(images(), [Target(0)] * 3)
    assert found.shape == (3, 8, 8)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() == pytest.approx(1, abs=1e-5)


def test_a_map_without_evidence_is_0_throughout(ready: Ready) -> None:
    network = ByHand("module")
    with torch.no_grad():
        network.head.weight.fill_(-1.0)
        network.filters.weight.abs_()
    of = images()
    of.pixels[0][...] = 255
    assert not Explainer(ready(network), layer="filters")(of, [Target(0)] * 3).any()
