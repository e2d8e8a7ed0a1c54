from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import ModelCard
from xrbench.errors import CardError, WeightsError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

import timm  # noqa: E402
from torchvision import models  # noqa: E402

from xrbench.training.models import networks, weights  # noqa: E402

SMALL = {"block": "timm", "name": "resnet10t", "stem_type": "deep", "stem_width": 8, "widths": [8, 8, 16, 16]}
RESNET = {"block": "torchvision", "name": "resnet18"}


def card(network: Any, **fields: Any) -> ModelCard:
    return ModelCard(**{"title": "m", "name": "mine", "network": network, **fields})


def publish(state: Any, block: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this state is what the library publishes."""
    torch.save(state, folder / "content.pth")
    digest = hashlib.sha256((folder / "content.pth").read_bytes()).hexdigest()[:8]
    (folder / "content.pth").rename(folder / f"{name}-{digest}.pth")
    source = weights.Source.at(f"https://example.org/{name}-{digest}.pth")
    monkeypatch.setattr(weights, "published", lambda _: source)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", [SMALL, RESNET, "mylab_blocks:tiny_network"])
def test_networks_take_the_channels_and_give_the_outputs_that_were_asked_for(network: Any, channels: Any) -> None:
    built = networks.build(card(network, channels=channels), 4, seed=1)
    assert built.eval()(torch.zeros(2, channels, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize("network", [SMALL, RESNET, "torchxrayvision", "mylab_blocks:draws_globally"])
def test_building_leaves_the_global_generators_alone_and_the_seed_decides(network: Any) -> None:
    def here() -> tuple[Any, ...]:
        state: Any = np.random.get_state()
        return torch.get_rng_state().tolist(), state[1].tolist(), random.getstate()

    before = here()
    one, two, other = (networks.build(card(network), 2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert here() == before
    assert all(torch.equal(one[key], two[key]) for key in one)
    if network != "mylab_blocks:draws_globally":
        assert any(not torch.equal(one[key], other[key]) for key in one)


def test_importing_torchxrayvision_leaves_warnings_as_they_were() -> None:
    import warnings

    before = list(warnings.filters)
    weights.torchxrayvision_models()
    assert warnings.filters == before


def test_options_of_the_card_reach_the_library() -> None:
    built: Any = networks.build(card(SMALL), 2, seed=0)
    assert built.layer4[0].conv1.out_channels == 16
    dropped: Any = networks.build(card({**SMALL, "drop_rate": 0.4}), 2, seed=0)
    assert dropped.drop_rate == 0.4


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"block": "timm", "name": "resnet19"}, "model mine: network: unknown timm network 'resnet19'; did you mean"),
        ({"block": "torchvision", "name": "densenet12"}, "unknown torchvision network 'densenet12'; did you mean"),
        ({"block": "torchvision"}, "network 'torchvision': .*missing 1 required.*'name'"),
        ({**RESNET, "no_such": 1}, "network 'torchvision': .*no_such"),
        ("timmm", "model mine: unknown network 'timmm'; did you mean 'timm'"),
        ({"block": "torchxrayvision", "name": "vgg"}, "unknown torchxrayvision network 'vgg'"),
    ],
)
def test_what_a_card_asks_for_wrongly_is_one_line(network: Any, message: str) -> None:
    with pytest.raises(Exception, match=message) as error:
        networks.build(card(network), 2, seed=0)
    assert error.type.__name__ in ("CardError", "UnknownNameError")


@pytest.mark.parametrize("stem", ["sum", "mean", "new"])
def test_torchvisions_weights_go_into_a_grey_network(
    stem: Any, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = models.resnet18().eval()
    publish(original.state_dict(), "torchvision", "resnet18", weights_folder, monkeypatch)
    built: Any = networks.build(card(RESNET, weights="imagenet", stem=stem), 4, seed=0).eval()
    assert torch.equal(built.layer4[1].conv2.weight, original.layer4[1].conv2.weight)
    assert built.fc.weight.shape == (4, 512)
    grey = torch.rand(2, 1, 32, 32)
    built.fc = original.fc
    same = torch.allclose(built(grey), original(grey.expand(-1, 3, -1, -1)), atol=1e-4)
    assert same == (stem == "sum")


def test_a_densenet_is_loaded_as_torchvision_loads_its_old_file(
    weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = models.densenet121()
    renamed = {}
    for key, value in original.state_dict().items():
        for word in ("norm", "conv"):
            for digit in "12":
                if "denselayer" in key:
                    key = key.replace(f".{word}{digit}.", f".{word}.{digit}.")
        if "num_batches" not in key:
            renamed[key] = value
    publish(renamed, "torchvision", "densenet121", weights_folder, monkeypatch)
    built = networks.build(
        card({"block": "torchvision", "name": "densenet121"}, weights="imagenet"), 4, seed=0
    ).state_dict()
    differing = {key for key, value in original.state_dict().items() if not torch.equal(value, built[key])}
    assert differing == {"features.conv0.weight", "classifier.weight", "classifier.bias"}
    assert built["features.conv0.weight"].shape == (64, 1, 7, 7)


def test_timms_weights_go_through_timms_own_loading(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = timm.create_model("test_resnet").eval()
    publish(original.state_dict(), "timm", "test_resnet", weights_folder, monkeypatch)
    model = card({"block": "timm", "name": "test_resnet"}, weights="imagenet", stem="sum")
    built: Any = networks.build(model, 4, seed=0).eval()
    grey = torch.rand(2, 1, 64, 64)
    expected = original.forward_features(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(built.forward_features(grey), expected, atol=1e-4)


def test_local_weights_that_do_not_fit_name_file_key_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    torch.save(networks.build(card({**SMALL, "widths": [8, 8, 16, 24]}), 2, seed=0).state_dict(), path)
    with pytest.raises(
        WeightsError, match=r"model mine: .*own.pt: weights do not fit: layer4.0.conv1.weight is 24x16x3x3, "
    ):
        networks.build(card(SMALL, weights=str(path)), 2, seed=0)


def test_a_model_of_ones_own_is_used_as_it_comes(tmp_path: Path) -> None:
    trained = networks.build(card(SMALL), 3, seed=5).eval()
    torch.save(trained.state_dict(), tmp_path / "own.pt")
    model = card(SMALL, weights=str(tmp_path / "own.pt"), outputs=("A", "B", "C"))
    given = torch.rand(2, 1, 32, 32)
    assert torch.equal(networks.build_pretrained(model)(given), trained(given))
    with pytest.raises(CardError, match="'outputs' and 'weights' are expected"):
        networks.build_pretrained(card(SMALL, weights=str(tmp_path / "own.pt")))


def test_published_probabilities_are_torchxrayvisions_own(
    weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = weights.torchxrayvision_models()
    known = library.model_urls["densenet121-res224-all"]
    with networks.isolated(3):
        original = library.DenseNet(num_classes=18)
        original.classifier.bias.data.normal_(-2, 1)
    torch.save(original, weights_folder / "all.pt", _use_new_zipfile_serialization=False)
    monkeypatch.setattr(weights, "published", lambda _: weights.Source("https://example.org/all.pt", "all.pt"))
    outputs = tuple(name.replace("_", " ") for name in known["labels"])
    model = card("torchxrayvision", weights="densenet121-res224-all", outputs=outputs)
    built = networks.build_pretrained(model)
    original.eval().op_threshs = torch.tensor(known["op_threshs"])
    original.input_resolution = 224
    given = torch.rand(2, 1, 64, 64) * 2048 - 1024
    with torch.inference_mode():
        found, expected = built(given), original(given)
    assert torch.allclose(found, expected, atol=1e-6)
    assert bool(((found > 0.5) & (expected > 0.5)).any())


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (("Edema",) * 18, r"outputs\[0\]: 'Edema' here, 'Atelectasis' in the published weights"),
        (("Atelectasis",), "outputs: 1 here, 18 in the published weights"),
    ],
)
def test_outputs_that_the_published_weights_do_not_have_are_refused(outputs: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        networks.build_pretrained(card("torchxrayvision", weights="densenet121-res224-all", outputs=outputs))
