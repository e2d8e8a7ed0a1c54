"""Claims about the data themselves, and about where single errors lie: prevalence, age, nearness to the threshold, devices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Claim
from xrbench.rendering.numbers import count
from xrbench.report.claims.verdict import Direction, Verdict, counted, unanswered, weighed
from xrbench.report.effects import Contrast, measured
from xrbench.report.effects.cells import HELD_OUT
from xrbench.report.effects.class_effects import training_counts
from xrbench.report.effects.effect import difference_of
from xrbench.report.run_folder import Run
from xrbench.report.tables.discordant_errors import (
    DEVICES,
    THRESHOLD,
    TwoModels,
    device_column,
    device_sides,
    two_models,
)
from xrbench.runs.prediction_frame import images_of, patients_of
from xrbench.statistics.intervals.clustered_mean import clustered_difference

Values = npt.NDArray[np.float64]
Who = npt.NDArray[np.object_]


def prevalence(
    run: Run,
    claim: Claim,
    *,
    first: str,
    second: str,
    labels: Sequence[str] = (),
    direction: Direction = "differs",
) -> Verdict:
    """Judge that findings are more or less frequent in one dataset than in another, for every label.

    Args:
        run: The run; the datasets' tested images are counted.
        claim: The claim.
        first: A dataset.
        second: Another one.
        labels: Labels that it is about; all by default.
        direction: ``differs``, or ``positive`` when the first has more of each.
    """
    test = f"share of positives in {first} and {second}: patients as clusters, tested images"
    sides = [_images_of(run, name) for name in (first, second)]
    if any(side is None for side in sides):
        return unanswered(claim.text, test=test, reason="no predictions on images of both datasets")
    parts = []
    for label in labels or run.suite.labels:
        (a, of_a), (b, of_b) = (_column(run, side, f"truth:{label}") for side in sides if side is not None)
        parts.append(_difference(run, label, a, of_a, b, of_b, share=True))
    return weighed(claim.text, parts, direction=direction, test=test, level=run.suite.interval.level)


def younger(run: Run, claim: Claim, *, first: str, second: str) -> Verdict:
    """Judge that the patients of one dataset are younger than those of another; a patient's age is that of the first image.

    Args:
        run: The run; the datasets' tested patients are counted.
        claim: The claim.
        first: The dataset that is said to have younger patients.
        second: The other one.
    """
    test = f"mean age of the patients of {first} minus that of {second} below 0"
    sides = [_images_of(run, name) for name in (first, second)]
    if any(side is None or "age" not in side or side["age"].isna().all() for side in sides):
        return unanswered(claim.text, test=test, reason="no ages in the predictions of both datasets")
    ages = []
    for side in sides:
        if side is not None:
            values, who = _column(run, side, "age")
            _, rows = np.unique(who.astype(str), return_index=True)
            ages.append((values[rows], who[rows]))
    part = _difference(run, "age", *ages[0], *ages[1])
    return weighed(claim.text, [part], direction="negative", test=test, level=run.suite.interval.level)


def class_order(
    run: Run,
    claim: Claim,
    *,
    commonest: Sequence[str],
    configuration: str = "",
    dataset: str = "",
    holds: bool = True,
) -> Verdict:
    """Judge which classes have most images: a fact about the images that took part, which needs no test.

    Args:
        run: The run.
        claim: The claim.
        commonest: The classes that are said to come first, in order.
        configuration: The training set whose training images are counted, or
        dataset: the dataset whose tested images are.
        holds: False when the claim is that these are not the commonest.
    """
    where = f"training images of {configuration}" if configuration else f"tested images of {dataset}"
    test = f"the {where} are counted"
    counts = _class_counts(run, configuration, dataset)
    if counts is None:
        return unanswered(claim.text, test=test, reason="no such images were counted")
    order = np.argsort(-counts, kind="stable")
    there = [run.suite.labels[number] for number in order[: len(commonest)]] == list(commonest)
    first = counts[order][: len(commonest) + 1]
    shown = ", ".join(f"{label} {count(each)}" for label, each in zip(run.suite.labels, counts, strict=True))
    if (first[1:] == first[:-1]).any():
        return unanswered(claim.text, test=test, reason=f"classes of the same size, as after a cap: {shown}")
    return counted(claim.text, there is holds, test=test, figures=shown, n=f"{count(counts.sum())} images")


def errors_near_threshold(
    run: Run, claim: Claim, *, label: str, configuration: str = "", models: Sequence[str] = (), band: float = 0.1
) -> Verdict:
    """Judge that errors are borderline cases: more of the images near the threshold are wrong than of the others, for both networks.

    Args:
        run: The run.
        claim: The claim.
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: Two networks; the first two by default.
        band: How far from 0.5 a probability may be to count as near.
    """
    test = f"share of errors among images with a probability within {band:g} of 0.5, minus that of the others, above 0"
    found = two_models(
        run, label=label, configuration=configuration, models=models, where="claim errors-near-threshold"
    )
    if found is None:
        return unanswered(claim.text, test=test, reason="no external predictions of two networks")
    parts = []
    for side, one, wrong in zip(("a", "b"), found.sides, found.wrong, strict=True):
        near = np.abs(found.frame[side].to_numpy(np.float64) - THRESHOLD) <= band
        errors = wrong.astype(np.float64)
        parts.append(
            _difference(run, one.model, errors[near], found.who[near], errors[~near], found.who[~near], share=True)
        )
    return weighed(claim.text, parts, direction="positive", test=test, level=run.suite.interval.level)


def device_raises_score(
    run: Run, claim: Claim, *, label: str, configuration: str = "", models: Sequence[str] = ()
) -> Verdict:
    """Judge that a device in the film raises the probability of a finding among films without it, for both networks.

    Args:
        run: The run.
        claim: The claim.
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: Two networks; the first two by default.
    """
    test = f"mean probability of {label} with a device minus without, among films without {label}, above 0"
    found = two_models(run, label=label, configuration=configuration, models=models, where="claim device-raises-score")
    if found is None:
        return unanswered(claim.text, test=test, reason="no external predictions of two networks")
    if not device_column(found.frame):
        return unanswered(claim.text, test=test, reason=f"{DEVICES!r} is not in the predictions")
    parts = [_device(run, found, side, one.model) for side, one in zip(("a", "b"), found.sides, strict=True)]
    return weighed(claim.text, parts, direction="positive", test=test, level=run.suite.interval.level)


def _device(run: Run, found: TwoModels, side: str, name: str) -> Contrast:
    (a, of_a), (b, of_b) = device_sides(found, side, truth=0)
    return _difference(run, name, a, of_a, b, of_b)


def _difference(run: Run, name: str, a: Values, of_a: Who, b: Values, of_b: Who, *, share: bool = False) -> Contrast:
    found = clustered_difference(a, of_a, b, of_b, level=run.suite.interval.level, share=share)
    first, second = (float(np.nanmean(side)) if (~np.isnan(side)).any() else float("nan") for side in (a, b))
    return difference_of(name, found, first, second, by_patient=True)


def _images_of(run: Run, dataset: str) -> pd.DataFrame | None:
    """Collect the tested images of a dataset from all cells, each once."""
    parts = []
    for one in measured(run, protocol=(*HELD_OUT, "resubstitution")):
        if dataset in one.test.split("+"):
            frame = run.results.predictions(one.cell)
            if frame is not None:
                parts.append(frame[frame["dataset"] == dataset])
    if not parts:
        return None
    found = pd.concat(parts, ignore_index=True)
    found = found[~pd.Series(images_of(found)).duplicated().to_numpy()].reset_index(drop=True)
    return found if len(found) else None


def _column(run: Run, frame: pd.DataFrame, column: str) -> tuple[Values, Who]:
    who = patients_of(frame, run.results.domain)
    return frame[column].to_numpy(np.float64), images_of(frame) if who is None else who


def _class_counts(run: Run, configuration: str, dataset: str) -> npt.NDArray[np.int64] | None:
    if configuration:
        return training_counts(run, configuration)
    frame = _images_of(run, dataset)
    if frame is None:
        return None
    return np.array([int((frame[f"truth:{label}"] == 1).sum()) for label in run.suite.labels], np.int64)
