from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torchvision.transforms import InterpolationMode  # noqa: E402
from torchvision.transforms import functional as reference  # noqa: E402

from xrbench.training.components import augmentation  # noqa: E402

MODES = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR}


def pictures(count: int = 6, side: int = 20, width: int = 0) -> Any:
    return torch.rand(count, 2, side, width or side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("width", [20, 31])
def test_transform_is_torchvisions_affine_image_by_image(mode: Any, width: int) -> None:
    rng = np.random.default_rng(1)
    given = pictures(6, 20, width)
    angle, size = rng.uniform(-45, 45, 6), rng.uniform(0.85, 1.15, 6)
    x, y = np.round(rng.uniform(-4, 4, 6)), np.round(rng.uniform(-4, 4, 6))
    found = augmentation.transform(given, angle, x, y, size, interpolation=mode, fill=0.25)
    for number in range(6):
        expected = reference.affine(
            given[number],
            float(angle[number]),
            [int(x[number]), int(y[number])],
            float(size[number]),
            [0.0, 0.0],
            interpolation=MODES[mode],
            fill=[0.25],
        )
        # where torchvision blends with its fill (bilinear, at the rim) it weighs the rim twice: only the inside is compared
        inside = (
            reference.affine(
                torch.ones(1, 20, width),
                float(angle[number]),
                [int(x[number]), int(y[number])],
                float(size[number]),
                [0.0, 0.0],
                interpolation=MODES[mode],
            )
            > 1 - 1e-5
        ).expand_as(expected)
        assert inside.float().mean() > 0.4
        assert torch.allclose(found[number][inside], expected[inside], atol=1e-4)
        if mode == "nearest":
            assert torch.allclose(found[number], expected, atol=1e-6)


def test_no_change_asked_for_is_no_change() -> None:
    given = pictures()
    for mode in ("nearest", "bilinear"):
        changed = augmentation.affine(given, np.random.default_rng(0), interpolation=mode)
        assert torch.allclose(changed, given, atol=1e-5)


def test_a_quarter_turn_is_exact() -> None:
    given = pictures(1)
    zero = np.zeros(1)
    turned = augmentation.transform(given, np.array([90.0]), zero, zero, np.ones(1))
    assert torch.allclose(turned, given.rot90(-1, (2, 3)), atol=1e-6)  # clockwise


def test_what_comes_in_from_outside_is_mid_grey() -> None:
    given = torch.ones(1, 1, 8, 8)
    moved = augmentation.transform(given, np.zeros(1), np.array([3.0]), np.zeros(1), np.ones(1))
    assert torch.equal(moved[0, 0, :, :3], torch.full((8, 3), 0.5))
    assert torch.equal(moved[0, 0, :, 3:], torch.ones(8, 5))


def test_parameters_are_drawn_for_each_image_within_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def remember(images: Any, angle: Any, x: Any, y: Any, size: Any, **_: Any) -> Any:
        seen.update(angle=angle, x=x, y=y, size=size)
        return images

    monkeypatch.setattr(augmentation, "transform", remember)
    augmentation.affine(
        torch.zeros(4000, 1, 10, 20), np.random.default_rng(0), degrees=45, translate=[0.2, 0.1], scale=[0.85, 1.15]
    )
    assert -45 <= seen["angle"].min() < -44 < 44 < seen["angle"].max() <= 45
    assert set(seen["x"]) == set(range(-4, 5))
    assert set(seen["y"]) == {-1, 0, 1}
    assert 0.85 <= seen["size"].min() < 0.86 < 1.14 < seen["size"].max() <= 1.15
    assert abs(np.corrcoef(seen["angle"], seen["size"])[0, 1]) < 0.08


def test_the_same_generator_state_gives_the_same_images() -> None:
    given = pictures()
    options: dict[str, Any] = {"degrees": 45, "translate": 0.15, "scale": (0.85, 1.15)}
    one = augmentation.affine(given, np.random.default_rng(3), **options)
    assert torch.equal(one, augmentation.affine(given, np.random.default_rng(3), **options))
    assert not torch.equal(one, augmentation.affine(given, np.random.default_rng(4), **options))


def test_horizontal_flip_mirrors_about_half_of_the_images() -> None:
    given = pictures(400, 4)
    found = augmentation.horizontal_flip(given, np.random.default_rng(0), p=0.5)
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(found, given, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(found, given, strict=True)])
    assert bool((mirrored ^ kept).all())
    assert 150 < int(mirrored.sum()) < 250
    assert torch.equal(augmentation.horizontal_flip(given, np.random.default_rng(0), p=0.0), given)
