"""Find initial weights on this machine, or download them from their publishers.

Importing this module needs no torch, so that a plan can say which files are missing. A file is looked for in the weights
folder (``XRBENCH_WEIGHTS``, by default ``~/.cache/xrbench/weights``) and where torch and torchxrayvision put their downloads.
It is fetched when it is first needed and the machine is online; ``XRBENCH_OFFLINE=1`` never tries.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xrbench import blocks
from xrbench.cards import ModelCard
from xrbench.errors import CardError, WeightsError, suggestion
from xrbench.progress import Reporter, Silent

FOLDER = "XRBENCH_WEIGHTS"
OFFLINE = "XRBENCH_OFFLINE"
SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
SCHEME = "https://"
CONNECT_SECONDS = 4.0
READ_SECONDS = 20.0
CHUNK = 1 << 20

_TORCH = "https://download.pytorch.org/models/"
_HUB = "https://huggingface.co/"
_XRAY = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"

PUBLISHED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("torchvision", "densenet121"): f"{_TORCH}densenet121-a639ec97.pth",
        ("torchvision", "resnet18"): f"{_TORCH}resnet18-f37072fd.pth",
        ("torchvision", "resnet50"): f"{_TORCH}resnet50-11ad3fa6.pth",
        (
            "timm",
            "inception_resnet_v2.tf_in1k",
        ): f"{_HUB}timm/inception_resnet_v2.tf_in1k/resolve/main/model.safetensors",
        ("torchxrayvision", "densenet121-res224-all"): (
            f"{_XRAY}nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
        ),
    }
)
"""(network block, network or weights) -> address, for the shipped cards; others are read from the libraries' own metadata."""


def torchxrayvision_models() -> Any:
    """Import torchxrayvision's models without letting it switch off all warnings of the program."""
    with warnings.catch_warnings():
        import torchxrayvision.models
    return torchxrayvision.models


@dataclass(frozen=True)
class Source:
    """The address of published weights, and the name of their file on this machine."""

    url: str
    file: str

    @classmethod
    def at(cls, url: str) -> Source:
        """Name the file as its address does."""
        return cls(url, Path(urllib.parse.urlsplit(url).path).name)


def folder() -> Path:
    """Return the folder in which weights are kept."""
    return Path(os.environ.get(FOLDER) or "~/.cache/xrbench/weights").expanduser()


def is_local(card: ModelCard) -> bool:
    """Say whether the card's weights are the path of a file, not a name."""
    return card.weights.endswith(SUFFIXES) or "/" in card.weights


def missing_weights(card: ModelCard) -> str | None:
    """Say in one line which file of weights is not on this machine, or None when nothing is missing.

    Nothing is fetched. None too where the answer needs a library that is not installed.
    """
    if card.weights == "none":
        return None
    if is_local(card):
        path = Path(card.weights).expanduser()
        return None if path.is_file() else f"model {card.name}: weights: {path}: no such file"
    try:
        source = published(card)
    except ModuleNotFoundError:
        return None
    return None if _on_disk(source) else _advice(card, source)


def obtain(card: ModelCard, *, reporter: Reporter | None = None) -> Path:
    """Return the path of the card's weights, fetching a published file when the machine is online.

    Raises:
        WeightsError: The file is not there and cannot be fetched (the message says what to fetch and where to put it), or
            its content is not what its name says.
        CardError: The card's weights have no such name.
    """
    if is_local(card):
        path = Path(card.weights).expanduser()
        if not path.is_file():
            raise WeightsError(f"model {card.name}: weights: {path}: no such file")
        return path
    source = published(card)
    path = _on_disk(source) or _fetch(card, source, reporter or Silent())
    _verify(path)
    return path


def published(card: ModelCard) -> Source:
    """Look up where a card's named weights are published.

    Raises:
        CardError: The network has no weights of that name.
        ModuleNotFoundError: The library that knows is not installed.
    """
    block, options = blocks.split("network", card.network, where=f"model {card.name}")
    if block == "torchxrayvision":
        known = PUBLISHED.get((block, card.weights))
        return Source.at(known) if known else _torchxrayvision(card)
    if card.weights != "imagenet":
        names = ["none", "imagenet", "the path of a .pt, .pth or .safetensors file"]
        raise CardError(f"model {card.name}: weights: no {card.weights!r}{suggestion(card.weights, names)}")
    name = str(options.get("name", ""))
    if block == "torchvision":
        known = None if "pretrained" in options else PUBLISHED.get((block, name))
        return Source.at(known) if known else _torchvision(card, name, str(options.get("pretrained", "DEFAULT")))
    if block == "timm":
        known = PUBLISHED.get((block, name))
        return Source(known, f"{name}{Path(known).suffix}") if known else _timm(card, name)
    raise CardError(f"model {card.name}: weights: network {block!r} has no imagenet weights; give the path of a file")


def _torchxrayvision(card: ModelCard) -> Source:
    urls = torchxrayvision_models().model_urls
    if card.weights not in urls:
        raise CardError(f"model {card.name}: weights: no {card.weights!r}{suggestion(card.weights, urls)}")
    return Source.at(urls[card.weights]["weights_url"])


def _torchvision(card: ModelCard, name: str, tag: str) -> Source:
    from torchvision import models

    try:
        known = models.get_model_weights(name)
        return Source.at(getattr(known, tag).url)
    except ValueError as error:
        near = suggestion(name, models.list_models(module=models))
        raise CardError(f"model {card.name}: torchvision has no network {name!r}{near}") from error
    except AttributeError as error:
        tags = suggestion(tag, [member.name for member in known])
        raise CardError(f"model {card.name}: network.pretrained: {name} has no weights {tag!r}{tags}") from error


def _timm(card: ModelCard, name: str) -> Source:
    import timm

    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None:
        near = suggestion(name, timm.list_models(pretrained=True))
        raise CardError(f"model {card.name}: timm has no network {name!r}{near}")
    if config.url and not config.custom_load:
        return Source.at(config.url)
    if config.hf_hub_id and not config.custom_load:
        file = config.hf_hub_filename or "model.safetensors"
        url = f"{_HUB}{config.hf_hub_id}/resolve/main/{file}"
        return Source(url, f"{config.architecture}.{config.tag}{Path(file).suffix}")
    raise CardError(f"model {card.name}: timm publishes no weights for {name!r} in a form that can be read")


def _folders() -> Iterator[Path]:
    """List the folders in which weights may lie: our own, and those of torch and torchxrayvision."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    yield folder()
    yield Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser() / "hub" / "checkpoints"
    yield Path("~/.torchxrayvision/models_data").expanduser()


def _on_disk(source: Source) -> Path | None:
    return next((path / source.file for path in _folders() if (path / source.file).is_file()), None)


def _advice(card: ModelCard, source: Source) -> str:
    return (
        f"model {card.name}: weights {card.weights!r} are not on this machine: fetch {source.url} and put it in {folder()}/"
        f"{source.file} ({FOLDER} names another folder)"
    )


def _fetch(card: ModelCard, source: Source, reporter: Reporter) -> Path:
    """Download a file; it takes its name only when all of it is there."""
    import pooch
    import requests

    def download(url: str, file: str, _: object) -> None:
        with (
            requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer,
            Path(file).open("wb") as out,
        ):
            answer.raise_for_status()
            size = int(answer.headers.get("Content-Length") or 0)
            with reporter.bar(f"weights {source.file} (MB)", -(-size // CHUNK)) as bar:
                for chunk in answer.iter_content(CHUNK):
                    out.write(chunk)
                    bar.advance()

    unreachable = f"{_advice(card, source)}; {urllib.parse.urlsplit(source.url).hostname} cannot be reached from here"
    if os.environ.get(OFFLINE) or not source.url.startswith(SCHEME):
        raise WeightsError(unreachable)
    pooch.get_logger().setLevel("WARNING")  # it would print the digest of every file
    try:
        return Path(pooch.retrieve(source.url, None, source.file, folder(), downloader=download))
    except requests.ConnectionError as error:
        raise WeightsError(unreachable) from error
    except OSError as error:
        raise WeightsError(f"{_advice(card, source)}; fetching it failed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the innermost message of an error of requests, which wraps those of urllib3."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return str(error.args[0]) if error.args else str(error)


def _verify(path: Path) -> None:
    """Compare a file with the digest in its name (``resnet18-f37072fd.pth``), as torch.hub does."""
    named = re.search(r"-([0-9a-f]{8,64})\.(?:pth?|safetensors)$", path.name)
    if not named:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if not digest.hexdigest().startswith(named[1]):
        raise WeightsError(
            f"{path}: SHA-256 begins with {digest.hexdigest()[:8]}, its name says {named[1]}: broken; fetch it again"
        )
