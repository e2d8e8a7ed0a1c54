"""Read files of weights without running anything that stands in them, and put them into a network.

PyTorch's files are pickles, which can name any function. Here a file is read with ``weights_only=True``; one that holds a whole
pickled network (as torchxrayvision's do) is read by an unpickler that knows tensors, dictionaries and inert shells of
layers, and nothing else.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xrbench.errors import WeightsError

State = dict[str, Tensor]

WRAPPERS = ("state_dict", "model_state_dict", "network", "model")
PREFIXES = ("module.", "_orig_mod.", "network.", "model.")
LAYERS = ("torch.nn.", "torchvision.models.", "torchxrayvision.", "timm.")
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")


def read(path: Path) -> State:
    """Read the named tensors of a ``.safetensors``, ``.pt`` or ``.pth`` file.

    Raises:
        WeightsError: The file is broken, holds no tensors, or holds a program rather than weights.
    """
    if path.suffix == ".safetensors":
        found = _safetensors(path)
    else:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            found = _pickled_network(path)
        except Exception as error:  # whatever a broken file sets off
            raise WeightsError(f"{path}: cannot be read as weights: {_first_line(error)}") from error
    return _tensors(found, path)


def put(
    state: Mapping[str, Tensor],
    network: nn.Module,
    *,
    first: str,
    head: str,
    stem: Literal["new", "sum", "mean"] = "new",
    keep_head: bool = False,
    where: str,
) -> None:
    """Copy tensors into a network: all must fit, but for the first layer's channels and the head's outputs.

    Args:
        state: Named tensors.
        network: What they are copied into.
        first: Name of the first convolution, ``""`` for none. Where the network has one channel and the tensors have three, ``stem``
            says what happens: ``new`` keeps the network's own random filters, ``sum`` and ``mean`` reduce over the three.
        head: Name of the layer that gives the outputs, ``""`` for none. It keeps its own random values unless the tensors have
            the same number of outputs and ``keep_head`` is true.
        stem: See ``first``.
        keep_head: See ``head``.
        where: The file, for messages.

    Raises:
        WeightsError: A tensor is missing, has another shape, or has no place; the first few are named.
    """
    own = network.state_dict()
    given = {name: value for name, value in state.items() if not _in(name, head) or keep_head}
    kept = set() if keep_head else {name for name in own if _in(name, head)}
    first_weight = f"{first}.weight"
    if first and first_weight in given and first_weight in own:
        adapted = _adapt(given[first_weight], own[first_weight], stem)
        given[first_weight] = own[first_weight] if adapted is None else adapted
    kept |= {name for name in own if name.endswith("num_batches_tracked") and name not in given}
    _refuse_misfits(given, {name: value for name, value in own.items() if name not in kept}, where)
    network.load_state_dict(given, strict=False)


def copy(network: nn.Module) -> State:
    """Copy a network's tensors to the CPU, so that they stay as they are while it is trained on."""
    return {name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()}


def _adapt(given: Tensor, own: Tensor, stem: str) -> Tensor | None:
    """Reduce the filters of a first layer to one channel; None asks for a new layer."""
    if given.shape == own.shape or given.dim() != 4 or own.shape[1] != 1 or given.shape[2:] != own.shape[2:]:
        return given
    if stem == "new":
        return None
    return given.sum(1, keepdim=True) if stem == "sum" else given.mean(1, keepdim=True)


def _refuse_misfits(given: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> None:
    wrong = [
        f"{name} is {_shape(given[name])}, the network's is {_shape(own[name])}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    missing = [f"{name} is missing" for name in own if name not in given]
    unknown = [f"{name} has no place" for name in given if name not in own and not name.endswith("num_batches_tracked")]
    if not own.keys() & given.keys():
        wrong, missing, unknown = [], missing[:1], unknown[:1]
        raise WeightsError(f"{where}: weights of another network: no name in common ({'; '.join(missing + unknown)})")
    problems = wrong + missing + unknown
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(f"{where}: weights do not fit: {'; '.join(problems[:3])}{more}")


def _in(name: str, layer: str) -> bool:
    return bool(layer) and name.startswith(f"{layer}.")


def _shape(value: Tensor) -> str:
    return "x".join(str(side) for side in value.shape) or "a single number"


def _tensors(found: Any, path: Path) -> State:
    """Unwrap what is commonly wrapped around a state dictionary, and rename what older releases named otherwise."""
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{path}: holds no named tensors; wanted a network's state_dict()")
    names = [str(name) for name in found]
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    names = [OLD_DENSENET.sub(r"\1\2", name) for name in names]
    return dict(zip(names, found.values(), strict=True))


def _safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as weights: {_first_line(error)}") from error


def _pickled_network(path: Path) -> State:
    reader: Any = SimpleNamespace(
        Unpickler=_TensorsOnly, load=_load_plain, __name__="xrbench.training.models.state_dict"
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=False, pickle_module=reader)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: {_first_line(error)}; save the network's state_dict() instead") from error
    except Exception as error:  # whatever a broken file sets off
        raise WeightsError(f"{path}: cannot be read as weights: {_first_line(error)}") from error
    return _collect(found) if isinstance(found, _Shell) else found


class _Shell:
    """Stands for a layer of a pickled network: it takes any state and does nothing with it."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class _TensorsOnly(pickle.Unpickler):
    """Knows tensors, dictionaries and shells of layers; everything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle may name."""
        if module.startswith(LAYERS) and re.fullmatch(r"_?[A-Z]\w*", name):
            return type(name, (_Shell,), {"dump_patches": False})
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"holds a program ({module}.{name}), not only weights") from None


def _load_plain(file: Any, **options: Any) -> Any:
    return _TensorsOnly(file, **options).load()


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): dict,
}


def _collect(layer: _Shell, prefix: str = "") -> State:
    """Gather the tensors of a shell and of the shells below it, named as ``state_dict`` names them."""
    found: State = {}
    for group in ("_parameters", "_buffers"):
        for name, value in layer.__dict__.get(group, {}).items():
            if isinstance(value, Tensor):
                found[f"{prefix}{name}"] = value.detach()
    for name, below in layer.__dict__.get("_modules", {}).items():
        if isinstance(below, _Shell):
            found.update(_collect(below, f"{prefix}{name}."))
    return found


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
