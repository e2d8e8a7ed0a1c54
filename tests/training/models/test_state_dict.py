from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from xrbench.errors import WeightsError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch import nn  # noqa: E402

from xrbench.training.models import state_dict, weights  # noqa: E402


def small(channels: int = 1, outputs: int = 2) -> Any:
    return nn.Sequential(nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, outputs))


def copy_into(state: Any, network: nn.Module, **options: Any) -> None:
    state_dict.copy_into(state, network, **{"first": "0", "head": "3", "where": "file.pt", **options})


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors"])
@pytest.mark.parametrize("wrapped", ["", "state_dict", "model"])
def test_files_are_read_as_they_were_written(name: str, wrapped: str, tmp_path: Path) -> None:
    state, path = small().state_dict(), tmp_path / name
    if name.endswith("safetensors"):
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save({wrapped: state, "epoch": 3} if wrapped else state, path)
    found = state_dict.read(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_prefixes_of_wrapped_networks_are_taken_off(tmp_path: Path) -> None:
    torch.save({f"module.{key}": value for key, value in small().state_dict().items()}, tmp_path / "a.pt")
    assert state_dict.read(tmp_path / "a.pt").keys() == small().state_dict().keys()


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_program_in_a_file_is_not_run(legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(2), "bomb": Bomb()}, "a.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        WeightsError, match=r"a.pt: holds a program \(posix.system\), not only weights; save the network's"
    ):
        state_dict.read(Path("a.pt"))
    Path("b.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(WeightsError):
        state_dict.read(Path("b.pt"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_a_pickled_network_gives_its_tensors_and_nothing_is_built(legacy: bool, tmp_path: Path) -> None:
    network = weights.torchxrayvision_models().DenseNet(num_classes=18)
    network.targets = ["Atelectasis"]
    torch.save(network, tmp_path / "whole.pt", _use_new_zipfile_serialization=not legacy)
    found, expected = state_dict.read(tmp_path / "whole.pt"), network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_broken_file_is_one_line(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as error:
        state_dict.read(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "names": ["a"]}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"holds no named tensors; expected a network's state_dict\(\)"):
        state_dict.read(tmp_path / "a.pt")


def test_old_densenet_names_become_the_new_ones(tmp_path: Path) -> None:
    old = "features.denseblock1.denselayer2.norm.1.weight"
    torch.save({old: torch.ones(3), "features.norm5.bias": torch.ones(2)}, tmp_path / "a.pt")
    assert list(state_dict.read(tmp_path / "a.pt")) == [
        "features.denseblock1.denselayer2.norm1.weight",
        "features.norm5.bias",
    ]


def test_everything_but_the_head_is_copied() -> None:
    given, network = small(outputs=7), small(outputs=2)
    before = network[3].weight.clone()
    copy_into(given.state_dict(), network)
    assert torch.equal(network[0].weight, given[0].weight)
    assert torch.equal(network[1].weight, given[1].weight)
    assert torch.equal(network[3].weight, before)


def test_the_head_is_new_even_if_it_would_fit_unless_it_is_kept() -> None:
    given, network = small(), small()
    copy_into(given.state_dict(), network)
    assert not torch.equal(network[3].weight, given[3].weight)
    copy_into(given.state_dict(), network, keep_head=True)
    assert torch.equal(network[3].weight, given[3].weight)


def test_three_channels_become_one_as_the_stem_says() -> None:
    colour = small(channels=3)
    grey = torch.rand(5, 1, 3, 3)
    same_in_colour = colour[0](grey.expand(-1, 3, -1, -1))
    found = {}
    for stem in ("new", "sum", "mean"):
        network = small()
        before = network[0].weight.clone()
        copy_into(colour.state_dict(), network, stem=stem)
        found[stem] = network[0](grey)
        assert torch.equal(network[0].weight, before) == (stem == "new")
    assert torch.allclose(found["sum"], same_in_colour, atol=1e-6)
    assert torch.allclose(3 * found["mean"], same_in_colour, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("1.weight"), "weights do not fit: 1.weight is missing"),
        (lambda s: s.update({"1.weight": torch.ones(9)}), "weights do not fit: 1.weight is 9, the network's is 4"),
        (lambda s: s.update({"extra": torch.ones(9)}), "weights do not fit: extra has no place"),
        (lambda s: s.update({"0.weight": torch.ones(4, 1, 5, 5)}), "0.weight is 4x1x5x5, the network's is 4x1x3x3"),
        (lambda s: (s.clear(), s.update({"w": torch.ones(1)})), "weights of another network: no name in common"),
    ],
)
def test_what_does_not_fit_is_named_with_its_shape(change: Any, message: str) -> None:
    state = dict(small().state_dict())
    change(state)
    with pytest.raises(WeightsError, match=f"file.pt: .*{message}"):
        copy_into(state, small())


def test_counts_of_batches_may_be_absent_in_old_files() -> None:
    state = {key: value for key, value in small().state_dict().items() if "num_batches" not in key}
    copy_into(state, small())
