from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xrbench.cards import ClassRule
from xrbench.data.labels.single_class import cap_of, check_caps, check_classes, single_class
from xrbench.errors import CardError, DataError

LABELS = ("No Finding", "Cardiomegaly", "Effusion")
RULES = ("exactly-one", "first", "most-frequent")
NAN = np.nan

# Rows: none; two of them; uncertain beside a finding; blank beside a finding; all three; one; one.
TRUTH = np.array(
    [[0, 0, 0], [0, 1, 1], [NAN, 0, 1], [1, NAN, 0], [1, 1, 1], [0, 0, 1], [NAN, NAN, NAN]],
    np.float32,
)
IMAGES = [f"image{row}" for row in range(len(TRUTH))]

truths = arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.sampled_from([0.0, 1.0, NAN]))


def choose(truth: npt.NDArray[np.float32], rule: ClassRule, **changes: object) -> npt.NDArray[np.int64]:
    images = [f"image{row}" for row in range(len(truth))]
    return single_class(truth, LABELS, rule, dataset="vindr", images=images, **changes).number


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("exactly-one", [-1, -1, 2, 0, -1, 2, -1]),
        ("first", [-1, 1, 2, 0, 0, 2, -1]),
        # positives: 2 No Finding, 2 Cardiomegaly, 4 Effusion; No Finding goes before Cardiomegaly, being earlier
        ("most-frequent", [-1, 2, 2, 0, 2, 2, -1]),
    ],
)
def test_each_rule_by_hand(rule: str, expected: list[int]) -> None:
    choice = single_class(TRUTH, LABELS, ClassRule(rule=rule), dataset="vindr", images=IMAGES)  # type: ignore[arg-type]
    assert choice.number.tolist() == expected
    assert (choice.without, choice.several) == (2, 2)
    assert choice.left_out == (2 if rule == "exactly-one" else 0)
    assert choice.before == choice.after == {label: expected.count(n) for n, label in enumerate(LABELS)}


def test_equal_counts_go_to_the_earlier_label() -> None:
    truth = np.array([[0, 1, 1], [0, 1, 1]], np.float32)
    assert choose(truth, ClassRule(rule="most-frequent")).tolist() == [1, 1]


def test_the_most_frequent_label_is_counted_over_all_images() -> None:
    # 3 images have the first label, 4 the second, 3 the third; of images with one label only the first has any
    truth = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 1], [0, 1, 1], [1, 1, 0]], np.float32)
    assert choose(truth, ClassRule(rule="most-frequent")).tolist() == [0, 0, 1, 1, 1, 1]


def test_a_cap_that_was_published_stays_as_it_is() -> None:
    # the hash decides which images every committed figure is made of
    truth = np.tile(np.array([[0, 1, 0]], np.float32), (12, 1))
    kept = [np.flatnonzero(choose(truth, ClassRule(caps={"*": 4}, seed=seed)) == 1).tolist() for seed in (0, 7)]
    assert kept == [[2, 5, 6, 7], [3, 4, 6, 10]]


@given(truth=truths, rule=st.sampled_from(RULES), cap=st.integers(0, 5), seed=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_truth_is_one_hot_where_a_row_takes_part(
    truth: npt.NDArray[np.float32], rule: str, cap: int, seed: int
) -> None:
    images = [f"image{row}" for row in range(len(truth))]
    card = ClassRule(rule=rule, caps={"*": cap}, seed=seed)  # type: ignore[arg-type]
    try:
        choice = single_class(truth, LABELS, card, dataset="vindr", images=images)
    except DataError:
        assert not ((truth == 1).sum(axis=1) == 1).any() if rule == "exactly-one" else not (truth == 1).any()
        return
    kept = choice.kept
    assert np.isnan(choice.truth[~kept]).all()
    assert set(np.unique(choice.truth[kept])) <= {0, 1}
    assert (choice.truth[kept].sum(axis=1) == 1).all()
    np.testing.assert_array_equal(choice.truth[kept].argmax(axis=1), choice.number[kept])
    assert (truth[kept, choice.number[kept]] == 1).all()
    assert sum(choice.before.values()) + choice.without + choice.left_out == len(truth)
    assert choice.after == {label: min(count, cap) if cap else count for label, count in choice.before.items()}
    assert kept.sum() == sum(choice.after.values())


@given(truth=truths, rule=st.sampled_from(RULES), order=st.randoms(use_true_random=False), seed=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_the_order_of_the_rows_decides_nothing(
    truth: npt.NDArray[np.float32], rule: str, order: object, seed: int
) -> None:
    images = np.array([f"image{row}" for row in range(len(truth))])
    rows = np.arange(len(truth))
    order.shuffle(rows)  # type: ignore[attr-defined]
    card = ClassRule(rule=rule, caps={"vindr": 2}, seed=seed)  # type: ignore[arg-type]
    if not (truth == 1).any() or (rule == "exactly-one" and not ((truth == 1).sum(axis=1) == 1).any()):
        return
    one = single_class(truth, LABELS, card, dataset="vindr", images=images)
    other = single_class(truth[rows], LABELS, card, dataset="vindr", images=images[rows])
    np.testing.assert_array_equal(one.number[rows], other.number)


def test_a_cap_keeps_the_same_images_when_others_come_and_go() -> None:
    truth = np.tile(np.array([[0, 1, 0]], np.float32), (200, 1))
    images = np.array([f"image{row}" for row in range(200)])
    rule = ClassRule(caps={"vindr": 50})
    kept = set(images[single_class(truth, LABELS, rule, dataset="vindr", images=images).kept])
    fewer = set(images[:150][single_class(truth[:150], LABELS, rule, dataset="vindr", images=images[:150]).kept])
    assert len(kept) == len(fewer) == 50
    assert kept & set(images[:150]) <= fewer
    larger = ClassRule(caps={"vindr": 60})
    assert kept < set(images[single_class(truth, LABELS, larger, dataset="vindr", images=images).kept])


def test_a_cap_draws_evenly_and_by_its_seed() -> None:
    truth = np.tile(np.array([[0, 1, 0]], np.float32), (4000, 1))
    images = [f"image{row:04d}" for row in range(4000)]
    kept = [
        single_class(truth, LABELS, ClassRule(caps={"*": 1000}, seed=seed), dataset="a", images=images).kept
        for seed in range(4)
    ]
    quarters = np.array([half.reshape(4, 1000).sum(axis=1) for half in kept])
    assert (np.abs(quarters - 250) < 60).all()  # 4.4 standard deviations of a hypergeometric draw
    both = (kept[0] & kept[1]).sum()
    assert abs(both - 250) < 60


def test_a_dataset_of_its_own_goes_before_the_others_cap() -> None:
    rule = ClassRule(caps={"*": 7, "vindr": 3, "chexpert": 0})
    assert [cap_of(rule, name) for name in ("nih", "vindr", "chexpert")] == [7, 3, 0]
    assert cap_of(ClassRule(), "nih") == 0


def test_caps_that_mean_nothing_are_refused_in_one_line() -> None:
    with pytest.raises(CardError, match=r"zhou: classes\.caps: unknown dataset 'vindir'; did you mean 'vindr'\?"):
        check_caps(ClassRule(caps={"vindir": 9}), ["vindr", "chexpert"], where="zhou")
    with pytest.raises(CardError, match=r"classes\.caps: \*: expected 0 \(no cap\) or more images of a class, got -1"):
        check_caps(ClassRule(caps={"*": -1}), ["vindr"])
    with pytest.raises(CardError, match=r"classes\.caps: vindr: expected 0"):
        choose(TRUTH, ClassRule(caps={"vindr": -4}))
    check_caps(ClassRule(caps={"*": 4, "vindr": 0}), ["vindr"])


def test_a_rule_that_leaves_no_image_says_what_there_was() -> None:
    truth = np.array([[1, 1, 0], [0, NAN, 0], [0, 1, 1]], np.float32)
    with pytest.raises(DataError) as caught:
        choose(truth, ClassRule())
    assert str(caught.value) == (
        "vindr: class rule 'exactly-one' leaves no image: of 3, 1 have none of the labels No Finding, Cardiomegaly, Effusion "
        "and 2 have several"
    )


def test_a_class_without_a_training_image_is_refused_and_the_tests_that_have_it_are_named() -> None:
    train = {"No Finding": 40, "Cardiomegaly": 0}
    tests = {"chexpert": {"Effusion": 31, "Cardiomegaly": 0}, "mimic": {"Effusion": 1_200}}
    with pytest.raises(DataError) as caught:
        check_classes(train, tests, LABELS, "vindr (val-split)")
    assert str(caught.value) == (
        "class 'Cardiomegaly' has no training image in vindr (val-split) and none in any test set; "
        "class 'Effusion' has no training image in vindr (val-split) but 31 in chexpert, 1,200 in mimic; "
        "a class is trained on images of it"
    )


def test_a_class_that_no_test_set_has_is_said_once() -> None:
    train = dict.fromkeys(LABELS, 40)
    tests = {
        "chexpert": {"No Finding": 3, "Effusion": 31},
        "mimic": {"No Finding": 4, "Effusion": 2, "Cardiomegaly": 1},
    }
    assert check_classes(train, tests, LABELS, "vindr") == (
        "class 'Cardiomegaly' has 40 training images in vindr but none in chexpert: it cannot be judged there",
    )
    assert check_classes(train, {"mimic": tests["mimic"]}, LABELS, "vindr") == ()
    counted = {"chexpert": {**tests["chexpert"], "Cardiomegaly": 0}}
    assert len(check_classes(train, counted, LABELS, "vindr")) == 1
