"""Reading of weights files without running code from them, and copying of weights into a network.

PyTorch's files are pickles, which can call any function. A file is read with ``weights_only=True``; one that holds a whole
pickled network (as torchxrayvision's do) is read by an unpickler that allows tensors, dictionaries and inert stand-ins for
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
OLD_DENSENET_NAME = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$"
)


def read(path: Path) -> State:
    """Read the named tensors of a ``.safetensors``, ``.pt`` or ``.pth`` file.

    Raises:
        WeightsError: The file is broken, holds no tensors, or holds a program rather than weights.
    """
    if path.suffix == ".safetensors":
        content = _safetensors(path)
    else:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            content = _pickled_network(path)
        except Exception as error:  # a damaged file can raise almost anything
            raise WeightsError(f"{path}: cannot be read as weights: {_first_line(error)}") from error
    return _tensors(content, path)


def copy_into(
    state: Mapping[str, Tensor],
    network: nn.Module,
    *,
    first: str,
    head: str,
    stem: Literal["new", "sum", "mean"] = "new",
    keep_head: bool = False,
    where: str,
) -> None:
    """Copy tensors into a network; all must fit, except for the first layer's channels and the head's outputs.

    Args:
        state: Named tensors.
        network: The network; its tensors are overwritten.
        first: Name of the first convolution, ``""`` for none. Where the network has one channel and the tensors have three, ``stem``
            says what happens: ``new`` keeps the network's own random filters, ``sum`` and ``mean`` reduce over the three.
        head: Name of the output layer, ``""`` for none. It keeps its own random values unless the tensors have
            the same number of outputs and ``keep_head`` is true.
        stem: See ``first``.
        keep_head: See ``head``.
        where: The model and the file, for messages.

    Raises:
        WeightsError: A tensor is missing, has another shape, or is unknown to the network; the first few are named.
    """
    network_state = network.state_dict()
    tensors = {name: value for name, value in state.items() if not _is_in(name, head) or keep_head}
    untouched = set() if keep_head else {name for name in network_state if _is_in(name, head)}
    first_weight = f"{first}.weight"
    if first and first_weight in tensors and first_weight in network_state:
        filters = _adapt(tensors[first_weight], network_state[first_weight], stem)
        tensors[first_weight] = network_state[first_weight] if filters is None else filters
    # counters of batch normalisation, which older files lack; they play no part in inference or with a fixed momentum
    untouched |= {name for name in network_state if name.endswith("num_batches_tracked") and name not in tensors}
    _check_fit(tensors, {name: value for name, value in network_state.items() if name not in untouched}, where)
    network.load_state_dict(tensors, strict=False)


def copy(network: nn.Module) -> State:
    """Return a copy of a network's tensors on the CPU, which further training does not change."""
    return {name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()}


def _adapt(filters: Tensor, network_filters: Tensor, stem: str) -> Tensor | None:
    """Adapt filters, shape (out, in, height, width), to a first layer of one channel; None keeps the network's own."""
    if (
        filters.shape == network_filters.shape
        or filters.dim() != 4
        or network_filters.shape[1] != 1
        or filters.shape[2:] != network_filters.shape[2:]
    ):
        return filters
    if stem == "new":
        return None
    return filters.sum(1, keepdim=True) if stem == "sum" else filters.mean(1, keepdim=True)


def _check_fit(tensors: Mapping[str, Tensor], network_state: Mapping[str, Tensor], where: str) -> None:
    wrong = [
        f"{name} is {_shape(tensors[name])}, the network's is {_shape(network_state[name])}"
        for name in network_state
        if name in tensors and tensors[name].shape != network_state[name].shape
    ]
    missing = [f"{name} is missing" for name in network_state if name not in tensors]
    unknown = [
        f"{name} has no place"
        for name in tensors
        if name not in network_state and not name.endswith("num_batches_tracked")
    ]
    if not network_state.keys() & tensors.keys():
        wrong, missing, unknown = [], missing[:1], unknown[:1]
        raise WeightsError(f"{where}: weights of another network: no name in common ({'; '.join(missing + unknown)})")
    problems = wrong + missing + unknown
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(f"{where}: weights do not fit: {'; '.join(problems[:3])}{more}")


def _is_in(name: str, layer: str) -> bool:
    return bool(layer) and name.startswith(f"{layer}.")


def _shape(value: Tensor) -> str:
    return "x".join(str(side) for side in value.shape) or "a single number"


def _tensors(content: Any, path: Path) -> State:
    """Unwrap a state dictionary from the common containers, and rename tensors of older releases."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        raise WeightsError(f"{path}: holds no named tensors; expected a network's state_dict()")
    names = [str(name) for name in content]
    for prefix in PREFIXES:
        # wrappers such as DataParallel put a prefix in front of every name
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    names = [OLD_DENSENET_NAME.sub(r"\1\2", name) for name in names]
    return dict(zip(names, content.values(), strict=True))


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
            content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=reader)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: {_first_line(error)}; save the network's state_dict() instead") from error
    except Exception as error:  # a damaged file can raise almost anything
        raise WeightsError(f"{path}: cannot be read as weights: {_first_line(error)}") from error
    return _collect(content) if isinstance(content, _LayerShell) else content


class _LayerShell:
    """Inert stand-in for a layer of a pickled network: it holds the layer's state and has no behaviour."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class _TensorsOnly(pickle.Unpickler):
    """Unpickler that allows tensors, dictionaries and stand-ins for layers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of a name in the pickle, or refuse it."""
        # any class of these libraries becomes an empty one of that name, whose code is never run
        if module.startswith(LAYERS) and re.fullmatch(r"_?[A-Z]\w*", name):
            return type(name, (_LayerShell,), {"dump_patches": False})
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


def _collect(layer: _LayerShell, prefix: str = "") -> State:
    """Collect the tensors of a stand-in and of those below it, under the names that ``state_dict`` gives them."""
    state: State = {}
    for group in ("_parameters", "_buffers"):
        for name, value in layer.__dict__.get(group, {}).items():
            if isinstance(value, Tensor):
                state[f"{prefix}{name}"] = value.detach()
    for name, below in layer.__dict__.get("_modules", {}).items():
        if isinstance(below, _LayerShell):
            state.update(_collect(below, f"{prefix}{name}."))
    return state


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
