"""These need no torch, but for the comparison with what the libraries say."""

from __future__ import annotations

import hashlib
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import ModelCard
from xrbench.errors import CardError, WeightsError
from xrbench.progress import Silent
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


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer with the server's ``content``, of which it promises ``size`` bytes; wait before the last byte if it ``stalls``."""

    server: Publisher

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.size or len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[:-1] if self.server.stalls else self.server.content)
        if self.server.stalls:
            self.wfile.flush()
            self.server.released.wait(10)

    def log_message(self, *_: Any) -> None:
        pass


class Publisher(http.server.ThreadingHTTPServer):
    """A server on this machine that publishes one file."""

    content, size, status, stalls, requests = b"the weights", 0, 200, False, 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()

    @property
    def url(self) -> str:
        digest = hashlib.sha256(b"the weights").hexdigest()[:8]
        return f"http://127.0.0.1:{self.server_port}/resnet18-{digest}.pth"


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    with Publisher() as server:
        monkeypatch.delenv("XRBENCH_OFFLINE")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(weights, "SCHEME", "http://")
        monkeypatch.setattr(weights, "READ_SECONDS", 0.5)
        monkeypatch.setattr(weights, "PUBLISHED", {("torchvision", "resnet18"): server.url})
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


class Bars(Silent):
    """Record the bars that are drawn."""

    def __init__(self) -> None:
        self.bars: list[list[Any]] = []

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Any]:
        steps: list[Any] = [label, total, 0]
        self.bars.append(steps)

        class Task:
            def advance(self, number: int = 1, note: str = "") -> None:
                steps[2] += number

        yield Task()
        steps.append("closed")


def test_online_the_file_is_fetched_once(publisher: Publisher, weights_folder: Path) -> None:
    path = weights.obtain(card())
    assert path.parent == weights_folder
    assert path.read_bytes() == b"the weights"
    assert weights.obtain(card()) == path
    assert publisher.requests == 1
    assert [file.name for file in weights_folder.iterdir()] == [path.name]


def test_the_download_is_shown_by_the_megabyte(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CHUNK", 4)
    shown = Bars()
    path = weights.obtain(card(), reporter=shown)
    assert shown.bars == [[f"weights {path.name} (MB)", 3, 3, "closed"]]


def test_half_a_download_leaves_nothing_behind(publisher: Publisher, weights_folder: Path) -> None:
    publisher.content, publisher.size = b"the wei", 11
    with pytest.raises(WeightsError, match=r"fetching it failed: .*7 bytes read, 4 more expected"):
        weights.obtain(card())
    assert list(weights_folder.iterdir()) == []


def test_a_server_that_falls_silent_is_given_up_in_seconds(publisher: Publisher, weights_folder: Path) -> None:
    publisher.stalls = True
    started = time.monotonic()
    with pytest.raises(WeightsError, match="mine: weights 'imagenet' are not on this machine: fetch http"):
        weights.obtain(card())
    assert time.monotonic() - started < 5
    assert list(weights_folder.iterdir()) == []


def test_a_file_that_is_not_published_any_more_is_one_line(publisher: Publisher, weights_folder: Path) -> None:
    publisher.status = 404
    with pytest.raises(WeightsError, match=r"fetching it failed: 404 Client Error") as caught:
        weights.obtain(card())
    assert "\n" not in str(caught.value)
    assert list(weights_folder.iterdir()) == []


def test_a_server_that_is_not_there_is_one_line(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/resnet18-00000000.pth"
        monkeypatch.setattr(weights, "PUBLISHED", {("torchvision", "resnet18"): url})
        with pytest.raises(WeightsError, match=r"; 127\.0\.0\.1 cannot be reached from here$"):
            weights.obtain(card())


def test_weights_are_not_fetched_without_encryption(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SCHEME", "https://")
    with pytest.raises(WeightsError, match="cannot be reached from here"):
        weights.obtain(card())
    assert publisher.requests == 0


def test_a_download_with_other_content_than_its_name_says_is_refused(publisher: Publisher) -> None:
    publisher.content = b"other bytes"
    with pytest.raises(WeightsError, match=r"SHA-256 begins with .*: broken; fetch it again"):
        weights.obtain(card())


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

    from xrbench.training.models.weights import torchxrayvision_models

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
