from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components.steps import Group, PairedStep  # noqa: E402


def group(*numbers: int, patient: bool = True) -> Group:
    """Make a group whose tensors all say which image they are of."""
    values = torch.tensor(numbers)
    return Group(
        scores={"labels": values[:, None].float(), "age": 10 * values[:, None].float()},
        truth={"labels": values[:, None].float() + 100, "age": values[:, None].float() + 200},
        features=torch.stack([values, -values], 1).float(),
        domain=values % 2,
        patient=values + 1000 if patient else None,
        positions=values,
    )


def as_lists(of: Group) -> Any:
    patient = None if of.patient is None else of.patient.tolist()
    heads = [{head: values.tolist() for head, values in part.items()} for part in (of.scores, of.truth)]
    return *heads, of.features.tolist(), of.domain.tolist(), patient, of.positions.tolist()


def test_rows_are_those_of_every_tensor() -> None:
    mask = torch.tensor([True, False, True])
    assert as_lists(group(4, 7, 9).rows(mask)) == as_lists(group(4, 9))
    assert as_lists(group(4, 7, 9).rows(torch.tensor([2, 0]))) == as_lists(group(9, 4))
    assert as_lists(group(4, 7, patient=False).rows(torch.tensor([1]))) == as_lists(group(7, patient=False))


def test_joined_groups_keep_their_order() -> None:
    assert as_lists(Group.join([group(4, 7), group(9), group(2, 3)])) == as_lists(group(4, 7, 9, 2, 3))
    assert as_lists(Group.join([group(4, patient=False)] * 2)) == as_lists(group(4, 4, patient=False))
    with pytest.raises(ValueError, match="some groups have patients and others have none"):
        Group.join([group(4), group(7, patient=False)])


def test_rows_and_joins_pass_gradients() -> None:
    features = torch.ones(3, 2, requires_grad=True)
    made = group(1, 2, 3)
    own = Group(made.scores, made.truth, features, made.domain, made.patient, made.positions)
    Group.join([own, own]).rows(torch.tensor([0, 3, 5])).features.sum().backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert features.grad.tolist() == [[2, 2], [0, 0], [1, 1]]


def test_paired_groups_have_one_length() -> None:
    step = PairedStep([np.arange(3), np.arange(3) + 5])
    assert isinstance(step, tuple)
    assert [part.tolist() for part in step] == [[0, 1, 2], [5, 6, 7]]
    with pytest.raises(ValueError, match=r"paired groups of different lengths: \[2, 3\]"):
        PairedStep([np.arange(2), np.arange(3)])
