"""Where in an image a network found its evidence: Grad-CAM of a trained network, computed by the library grad-cam.

A map belongs to one image and one target: an output before sigmoid or softmax, or its negative (evidence against). Values lie in
0..1, highest 1; the library takes off the lowest value of the coarse map before it scales, so that a map of one value is 0
throughout, as is one without any evidence for the target. Coarse maps are brought to the size of the image bilinearly.
"""

from __future__ import annotations

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
"""Name -> class of the library; all of them weigh a layer's activations by gradients of the target."""
CONVENTIONS = ("layer4", "features.norm5", "conv2d_7b")
"""Layers that papers explain: the last stage of residual networks, of DenseNet and of Inception-ResNet-v2."""
PASSED_OVER = (nn.Identity, nn.Dropout, nn.Flatten)


class Target(NamedTuple):
    """What a map is of.

    Attributes:
        output: Position of the label among the recipe's labels.
        sign: 1 for evidence for the label, -1 for evidence against it.
    """

    output: int
    sign: int = 1


class Layer(NamedTuple):
    """The layer whose activations are weighed.

    Attributes:
        name: Its name among the network's modules.
        height, width: Size of its maps.
    """

    name: str
    height: int
    width: int


class Explainer:
    """A network that is ready to say where it found its evidence.

    Args:
        predict: The network, ready to score images.
        layer: Name of a layer; empty for the last convolutional one with more than one pixel (of ``CONVENTIONS``, where the network
            has one of them, else the last one before the outputs).
        technique: One of ``TECHNIQUES``.

    Attributes:
        layer: The layer that was found.
        labels: The recipe's labels, in the order that ``Target.output`` counts.

    Raises:
        UnknownNameError: No such layer or technique; the nearest one is offered.
        UsageError: The layer gives no map at this image size, or there is no convolutional one.
    """

    def __init__(self, predict: Predictor, *, layer: str = "", technique: str = "gradcam") -> None:
        if technique not in TECHNIQUES:
            raise UnknownNameError("technique", technique, TECHNIQUES)
        self.technique, self._predict = technique, predict
        self.labels, self._where = predict.recipe.labels, f"model {predict.recipe.model.name}"
        self._body: nn.Module = predict.network.body if isinstance(predict.network, Published) else predict.network
        self._logits = _Logits(predict.network).eval()
        for weight in predict.network.parameters():
            weight.requires_grad_(True)  # what a network's author froze would cut the gradient off
        self.layer = _chosen(self._outputs(), layer, where=self._where, side=predict.recipe.image_size)

    def __call__(
        self, images: ImageSet, targets: Sequence[Target], *, batch_size: int = BATCH, bar: Task | None = None
    ) -> npt.NDArray[np.float32]:
        """Explain every image, in order.

        Args:
            images: What is explained.
            targets: One an image.
            batch_size: Images at a time.
            bar: Advanced by each image.

        Returns:
            Maps from 0 to 1, float32, shape (images, height, width) of the cached images.
        """
        found = []
        with devices.deterministic(self._predict.device, threads=self._predict.recipe.threads), self._cam() as cam:
            for batch in validation.ordered_batches(len(images), batch_size):
                given = self._predict.pixels(images.gather(batch))
                found.append(cam(given, [self._target(targets[at]) for at in batch]))
                if bar is not None:
                    bar.advance(len(batch))
        self._logits.zero_grad(set_to_none=True)
        return np.concatenate(found) if found else np.empty((0, 0, 0), np.float32)

    @contextmanager
    def _cam(self) -> Iterator[Any]:
        """Set the library's hooks on the layer; what follows in place must not change what they have seen."""
        import pytorch_grad_cam

        module = self._body.get_submodule(self.layer.name)
        cam = getattr(pytorch_grad_cam, TECHNIQUES[self.technique])(model=self._logits, target_layers=[module])
        copied = module.register_forward_hook(lambda _module, _given, made: made.clone())
        try:
            yield cam
        finally:
            copied.remove()
            cam.activations_and_grads.release()

    def _target(self, target: Target) -> Callable[[Tensor], Tensor]:
        columns = self._predict.columns
        column = target.output if columns is None else columns[target.output]
        return lambda outputs: outputs[column] * target.sign

    def _outputs(self) -> list[_Output]:
        """Run an empty image and list what each module gave, in the order in which they ended."""
        listed: list[_Output] = []

        def note(name: str, module: nn.Module) -> Callable[..., None]:
            def hook(_module: nn.Module, _given: Any, made: Any) -> None:
                listed.append(_Output(name, module, tuple(made.shape) if isinstance(made, Tensor) else ()))

            return hook

        hooks = [
            module.register_forward_hook(note(name, module)) for name, module in self._body.named_modules() if name
        ]
        recipe = self._predict.recipe
        blank = np.zeros((1, 1, recipe.image_size, recipe.image_size), np.uint8)
        try:
            with torch.no_grad():
                self._logits(self._predict.pixels(blank))
        finally:
            for hook in hooks:
                hook.remove()
        ran = {output.name for output in listed}
        listed[:0] = [
            _Output(name, module, ()) for name, module in self._body.named_modules() if name and name not in ran
        ]
        return listed


class _Output(NamedTuple):
    name: str
    module: nn.Module
    shape: tuple[int, ...]

    @property
    def is_map(self) -> bool:
        """Whether it is one map a channel, with more than one pixel."""
        return len(self.shape) == 4 and self.shape[2] * self.shape[3] > 1 and not self.ends_in_channels

    @property
    def ends_in_channels(self) -> bool:
        """Whether a layer norm shows that channels stand last, as in Swin transformers."""
        normed = tuple(getattr(self.module, "normalized_shape", ())) if isinstance(self.module, nn.LayerNorm) else ()
        return bool(normed) and normed == self.shape[-1:] and normed != self.shape[1:2]


class _Logits(nn.Module):
    """A network's outputs before any sigmoid, one column an output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.network.logits(images) if isinstance(self.network, Published) else self.network(images)
        return found[:, None] if found.ndim == 1 else found


def _chosen(outputs: Sequence[_Output], name: str, *, where: str, side: int) -> Layer:
    if name:
        return _named(outputs, name, where=where, side=side)
    known = {output.name: output for output in outputs}
    last = next((known[usual] for usual in CONVENTIONS if usual in known and known[usual].is_map), None)
    last = last or _last_map(outputs)
    if last is None:
        raise UsageError(f"{where}: no convolutional layer before the outputs; name one by --layer")
    return Layer(last.name, *last.shape[2:])


def _named(outputs: Sequence[_Output], name: str, *, where: str, side: int) -> Layer:
    found = [output for output in outputs if output.name == name]
    if not found:
        raise UnknownNameError("layer", name, dict.fromkeys(output.name for output in outputs), where=where)
    if len(found) > 1:
        raise UsageError(
            f"{where}: layer {name!r} is used {len(found)} times for one image; name one that is used once"
        )
    if not found[0].is_map:
        shape = " x ".join(map(str, found[0].shape[1:])) or "nothing"
        raise UsageError(
            f"{where}: layer {name!r} gives no map of an image of {side} x {side} pixels, it gives {shape}"
        )
    return Layer(name, *found[0].shape[2:])


def _last_map(outputs: Sequence[_Output]) -> _Output | None:
    """Go back from the outputs to the last map, past pooling and what changes nothing; None behind anything else."""
    for output in reversed(outputs):
        flat = len(output.shape) == 2 or (len(output.shape) == 4 and output.shape[2] * output.shape[3] == 1)
        pool = "pool" in type(output.module).__name__.lower()
        if not output.shape or flat or pool or isinstance(output.module, PASSED_OVER):
            continue
        return output if output.is_map else None
    return None
