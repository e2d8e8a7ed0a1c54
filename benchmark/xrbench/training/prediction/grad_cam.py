"""Saliency maps: Grad-CAM and its relatives for a finished network, computed by the library grad-cam.

A map belongs to one image and one target: an output before sigmoid or softmax, or its negative (evidence against). Values are
from 0 to 1 with the maximum 1: the library subtracts the minimum of the coarse map and divides by the maximum, so that a constant
map, and one without any evidence for the target, is 0 throughout. Coarse maps are resized to the image bilinearly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xrbench.data.images.image_set import ImageSet
from xrbench.errors import UnknownNameError, UsageError
from xrbench.progress import Task
from xrbench.training.fitting import devices, validation
from xrbench.training.models.networks import Published
from xrbench.training.prediction.predict import Predictor

BATCH = 8
TECHNIQUES: Mapping[str, str] = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "xgradcam": "XGradCAM",
}
"""Technique -> class of the library; all of them weight a layer's activations by gradients of the target."""
STAGES = (
    ("layer4", "layer3", "layer2", "layer1"),
    ("features.norm5", "features.denseblock3", "features.denseblock2", "features.denseblock1"),
    ("conv2d_7b", "repeat_1", "repeat"),
)
"""Stages of residual networks, of DenseNet and of Inception-ResNet-v2, the last one first, which papers explain."""

CELLS = 7
"""Cells of a map along each side from which it is explained by default: those of usual networks at 224 pixels."""

SHAPELESS = (nn.Identity, nn.Dropout, nn.Flatten)
"""Modules without a map of their own, passed over in the search for the last one."""


class Target(NamedTuple):
    """Target of a map.

    Attributes:
        output: Position of the label among the recipe's labels.
        sign: 1 for evidence for the label, -1 for evidence against it.
    """

    output: int
    sign: int = 1


class Layer(NamedTuple):
    """Layer whose activations are weighted.

    Attributes:
        name: Its name among the network's modules.
        height, width: Cells of its maps.
    """

    name: str
    height: int
    width: int


class Explainer:
    """Compute saliency maps of a finished network.

    Args:
        predict: Predictor of the network.
        layer: Name of a layer; empty for the deepest one whose map has at least ``CELLS`` x ``CELLS`` cells (of ``STAGES``, where the
            network has them, else of the layers that all later ones build upon). Where no map is as large, as with small images,
            the last convolutional layer with more than one cell.
        technique: One of ``TECHNIQUES``.

    Attributes:
        layer: The layer in use.
        labels: The recipe's labels, in the order that ``Target.output`` counts.

    Raises:
        UnknownNameError: There is no such layer or technique; the message offers the nearest name.
        UsageError: The layer gives no map at this image size, or there is no convolutional one.
    """

    def __init__(self, predict: Predictor, *, layer: str = "", technique: str = "gradcam") -> None:
        if technique not in TECHNIQUES:
            raise UnknownNameError("technique", technique, TECHNIQUES)
        self.technique, self._predict = technique, predict
        self.labels, self._where = predict.recipe.labels, f"model {predict.recipe.model.name}"
        self._body: nn.Module = predict.network.body if isinstance(predict.network, Published) else predict.network
        # logits, since the gradient of a saturated sigmoid vanishes
        self._logits = _Logits(predict.network).eval()
        for weight in predict.network.parameters():
            weight.requires_grad_(True)  # a frozen layer would cut the gradient off
        self.layer = _choose_layer(self._outputs(), layer, where=self._where, side=predict.recipe.image_size)

    def __call__(
        self, images: ImageSet, targets: Sequence[Target], *, batch_size: int = BATCH, bar: Task | None = None
    ) -> npt.NDArray[np.float32]:
        """Compute one map for each image, in order.

        Args:
            images: The images.
            targets: Target of each image.
            batch_size: Images of one forward and backward pass.
            bar: Advanced by each image.

        Returns:
            Maps from 0 to 1, float32, shape (images, height, width) of the cached images.
        """
        maps = []
        with devices.deterministic(self._predict.device, threads=self._predict.recipe.threads), self._cam() as cam:
            for batch in validation.ordered_batches(len(images), batch_size):
                inputs = self._predict.pixels(images.gather(batch))
                maps.append(cam(inputs, [self._target(targets[at]) for at in batch]))
                if bar is not None:
                    bar.advance(len(batch))
        self._logits.zero_grad(set_to_none=True)
        return np.concatenate(maps) if maps else np.empty((0, 0, 0), np.float32)

    @contextmanager
    def _cam(self) -> Iterator[Any]:
        """Attach the library's hooks to the layer for the length of the block."""
        import pytorch_grad_cam

        module = self._body.get_submodule(self.layer.name)
        cam = getattr(pytorch_grad_cam, TECHNIQUES[self.technique])(model=self._logits, target_layers=[module])
        # a ReLU that works in place would overwrite the activations that the library keeps: later modules get a copy
        copying = module.register_forward_hook(lambda _module, _inputs, output: output.clone())
        try:
            yield cam
        finally:
            copying.remove()
            cam.activations_and_grads.release()

    def _target(self, target: Target) -> Callable[[Tensor], Tensor]:
        columns = self._predict.columns
        column = target.output if columns is None else columns[target.output]
        return lambda outputs: outputs[column] * target.sign

    def _outputs(self) -> list[_Output]:
        """Run a blank image and list the output of each module, in the order in which the modules finished."""
        outputs: list[_Output] = []

        def record(name: str, module: nn.Module) -> Callable[..., None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                outputs.append(_Output(name, module, tuple(output.shape) if isinstance(output, Tensor) else ()))

            return hook

        hooks = [
            module.register_forward_hook(record(name, module)) for name, module in self._body.named_modules() if name
        ]
        recipe = self._predict.recipe
        blank = np.zeros((1, 1, recipe.image_size, recipe.image_size), np.uint8)
        try:
            with torch.no_grad():
                self._logits(self._predict.pixels(blank))
        finally:
            for hook in hooks:
                hook.remove()
        # modules that never ran go first, without a shape: their names are known, and the search goes from the end
        ran = {output.name for output in outputs}
        outputs[:0] = [
            _Output(name, module, ()) for name, module in self._body.named_modules() if name and name not in ran
        ]
        return outputs


class _Output(NamedTuple):
    name: str
    module: nn.Module
    shape: tuple[int, ...]

    @property
    def is_map(self) -> bool:
        """Whether the output is one map for each channel, with more than one pixel."""
        return len(self.shape) == 4 and self.shape[2] * self.shape[3] > 1 and not self.ends_in_channels

    @property
    def is_fine(self) -> bool:
        """Whether the output is a map of at least ``CELLS`` x ``CELLS`` cells."""
        return self.is_map and min(self.shape[2:]) >= CELLS

    @property
    def ends_in_channels(self) -> bool:
        """Whether a layer norm shows that the channels are the last axis, as in Swin transformers."""
        normed = tuple(getattr(self.module, "normalized_shape", ())) if isinstance(self.module, nn.LayerNorm) else ()
        return bool(normed) and normed == self.shape[-1:] and normed != self.shape[1:2]


class _Logits(nn.Module):
    """Network whose outputs are logits, shape (images, outputs), also where the published one gives probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network.logits(images) if isinstance(self.network, Published) else self.network(images)
        return logits[:, None] if logits.ndim == 1 else logits


def _choose_layer(outputs: Sequence[_Output], name: str, *, where: str, side: int) -> Layer:
    if name:
        return _layer_by_name(outputs, name, where=where, side=side)
    known = {output.name: output for output in outputs}
    stages = [known[stage] for family in STAGES if family[0] in known for stage in family if stage in known]
    last = next((stage for stage in stages if stage.is_map), None) or _last_map(outputs)
    if last is None:
        raise UsageError(f"{where}: no convolutional layer before the outputs; name one by --layer")
    # no layer before the stages of a known network: its maps show edges
    candidates = stages or [last, *reversed(_trunk(outputs))]
    chosen = next((output for output in candidates if output.is_fine), last)
    return Layer(chosen.name, *chosen.shape[2:])


def _layer_by_name(outputs: Sequence[_Output], name: str, *, where: str, side: int) -> Layer:
    matches = [output for output in outputs if output.name == name]
    if not matches:
        raise UnknownNameError("layer", name, dict.fromkeys(output.name for output in outputs), where=where)
    if len(matches) > 1:
        raise UsageError(
            f"{where}: layer {name!r} is used {len(matches)} times for one image; name one that is used once"
        )
    if not matches[0].is_map:
        shape = " x ".join(map(str, matches[0].shape[1:])) or "nothing"
        raise UsageError(
            f"{where}: layer {name!r} gives no map of an image of {side} x {side} pixels, it gives {shape}"
        )
    return Layer(name, *matches[0].shape[2:])


def _trunk(outputs: Sequence[_Output]) -> list[_Output]:
    """List the layers on which everything later builds: parts of the network, and of its sequences, that run once.

    A layer inside a residual block is none of them: the shortcut goes past it.
    """
    sequences = {output.name for output in outputs if isinstance(output.module, nn.Sequential)}
    runs = Counter(output.name for output in outputs)

    def is_trunk(name: str) -> bool:
        parent = name.rpartition(".")[0]
        return not parent or (parent in sequences and is_trunk(parent))

    return [
        output
        for output in outputs
        if is_trunk(output.name) and runs[output.name] == 1 and not isinstance(output.module, SHAPELESS)
    ]


def _last_map(outputs: Sequence[_Output]) -> _Output | None:
    """Return the last map before the outputs, past pooling and flattening; None where another kind of layer comes after it."""
    for output in reversed(outputs):
        flat = len(output.shape) == 2 or (len(output.shape) == 4 and output.shape[2] * output.shape[3] == 1)
        pool = "pool" in type(output.module).__name__.lower()
        if not output.shape or flat or pool or isinstance(output.module, SHAPELESS):
            continue
        return output if output.is_map else None
    return None
