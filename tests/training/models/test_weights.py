"""These need no torch, but for the comparison with what the libraries say."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import ModelCard
from xrbench.errors import CardError, WeightsError
from xrbench.training.models import weights

RESNET = {"block": "torchvision", "name": "resnet18"}


def card(**fields: Any) -> ModelCard:
    return ModelCard(**{"title": "m", "name": "mine", "network": RESNET, "weights": "imagenet", **fields})


def test_a_missing_file_is_one_line_that_says_what_to_fetch_and_where_to_put_it(weights_folder: Path) -> None:
    line = weights.missing_weights(card())
    assert line == (
        "model mine: weights 'imagenet' are not on this machine: fetch https://download.pytorch.org/models/resnet18-f37072fd.pth "
        f"and put it in {weights_folder}/resnet18-f37072fd.pth (XRBENCH_WEIGHTS names another folder)"
    )


def test_offline_the_same_line_is_the_error() -> None:
    line = weights.missing_weights(card())
    assert line
    with pytest.raises(WeightsError) as error:
        weights.obtain(card())
    assert str(error.value).startswith(line)
    assert "download.pytorch.org cannot be reached" in str(error.value)


def test_nothing_is_missing_without_weights_or_with_the_file_in_place(weights_folder: Path) -> None:
    assert weights.missing_weights(card(weights="none")) is None
    (weights_folder / "resnet18-f37072fd.pth").write_bytes(b"")
    assert weights.missing_weights(card()) is None


def test_files_that_torch_has_fetched_are_found(weights_folder: Path) -> None:
    place = weights_folder.parent / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    (place / "resnet18-f37072fd.pth").write_bytes(b"")
    assert weights.missing_weights(card()) is None


def test_a_local_file_is_looked_for_where_the_card_says(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    assert weights.missing_weights(card(weights=str(path))) == f"model mine: weights: {path}: no such file"
    with pytest.raises(WeightsError, match="no such file"):
        weights.obtain(card(weights=str(path)))
    path.write_bytes(b"")
    assert weights.missing_weights(card(weights=str(path))) is None
    assert weights.obtain(card(weights=str(path))) == path


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "imagnet"}, "model mine: weights: no 'imagnet'; did you mean 'imagenet'"),
        ({"network": "mylab_blocks:tiny_network"}, "has no imagenet weights; give the path of a file"),
    ],
)
def test_weights_that_do_not_exist_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        weights.missing_weights(card(**fields))


def test_a_file_whose_content_is_not_what_its_name_says_is_refused(weights_folder: Path) -> None:
    (weights_folder / "resnet18-f37072fd.pth").write_bytes(b"half of it")
    with pytest.raises(
        WeightsError, match=r"SHA-256 begins with \w{8}, its name says f37072fd: broken; fetch it again"
    ):
        weights.obtain(card())


def test_a_network_that_never_answers_is_given_up_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XRBENCH_OFFLINE")
    monkeypatch.setattr(weights, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(urllib.request, "getproxies", dict)

    def never(*_: Any, **__: Any) -> Any:
        time.sleep(2.5)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never)
    started = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be reached from here"):
        weights.obtain(card())
    assert time.monotonic() - started < 2


class Answer(io.BytesIO):
    def __init__(self, content: bytes, size: int | None = None) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content) if size is None else size)}


def online(monkeypatch: pytest.MonkeyPatch, answer: Any, content: bytes) -> ModelCard:
    """Let a made-up file be published, with the digest of this content in its name."""
    digest = hashlib.sha256(content).hexdigest()[:8]
    url = f"https://example.org/resnet18-{digest}.pth"
    monkeypatch.setattr(weights, "PUBLISHED", {("torchvision", "resnet18"): url})
    monkeypatch.setattr(weights, "_reachable", lambda _: True)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: answer)
    return card()


def test_online_the_file_is_fetched_once(monkeypatch: pytest.MonkeyPatch, weights_folder: Path) -> None:
    model = online(monkeypatch, Answer(b"the weights"), b"the weights")
    path = weights.obtain(model)
    assert path.parent == weights_folder
    assert path.read_bytes() == b"the weights"
    monkeypatch.setattr(urllib.request, "urlopen", None)
    assert weights.obtain(model) == path
    assert [file.name for file in weights_folder.iterdir()] == [path.name]


def test_half_a_download_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, weights_folder: Path) -> None:
    model = online(monkeypatch, Answer(b"the wei", 11), b"the weights")
    with pytest.raises(WeightsError, match="fetching it failed: 7 of 11 bytes came"):
        weights.obtain(model)
    assert list(weights_folder.iterdir()) == []


def test_asking_for_the_weights_of_shipped_cards_imports_no_torch() -> None:
    code = """
import sys
from xrbench.catalogue import open_catalogue
from xrbench.training.models.weights import missing_weights
cards = open_catalogue()
lines = [missing_weights(cards.model(name)) for name in cards.names("model")]
assert sum(line is not None for line in lines) >= 4, lines
assert not {"torch", "timm", "torchvision", "torchxrayvision"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # a fresh program
    assert done.returncode == 0, done.stderr


@pytest.mark.train
def test_the_addresses_of_shipped_cards_are_the_libraries_own() -> None:
    from torchvision import models

    from xrbench.training.models.networks import torchxrayvision_models

    for (block, name), url in weights.PUBLISHED.items():
        if block == "torchvision":
            assert models.get_model_weights(name).DEFAULT.url == url
        elif block == "timm":
            mine = weights.published(card(network={"block": "timm", "name": name}))
            assert mine == weights._timm(card(), name)
        else:
            assert torchxrayvision_models().model_urls[name]["weights_url"] == url


@pytest.mark.train
def test_other_names_are_looked_up_in_the_libraries() -> None:
    first = card(network={"block": "torchvision", "name": "resnet50", "pretrained": "IMAGENET1K_V1"})
    assert weights.published(first).file == "resnet50-0676ba61.pth"
    tagged = card(network={"block": "timm", "name": "resnet18d.ra4_e3600_r224_in1k"})
    assert weights.published(tagged) == weights.Source(
        "https://huggingface.co/timm/resnet18d.ra4_e3600_r224_in1k/resolve/main/model.safetensors",
        "resnet18d.ra4_e3600_r224_in1k.safetensors",
    )
    xray = card(network={"block": "torchxrayvision", "name": "densenet121"}, weights="densenet121-res224-pc")
    assert weights.published(xray).file == "pc-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"


@pytest.mark.train
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": {"block": "torchvision", "name": "resnet19"}}, "no network 'resnet19'; did you mean 'resnet1"),
        ({"network": {"block": "timm", "name": "resnet19"}}, "no network 'resnet19'; did you mean"),
        ({"network": {**RESNET, "pretrained": "V1"}}, "network.pretrained: resnet18 has no weights 'V1'"),
        (
            {"network": "torchxrayvision", "weights": "densenet121-res224-al"},
            "no 'densenet121-res224-al'; did you mean 'densenet121-res224-all'",
        ),
    ],
)
def test_unknown_names_come_with_the_nearest(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        weights.published(card(**fields))
