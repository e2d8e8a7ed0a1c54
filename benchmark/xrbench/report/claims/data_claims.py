"""Claims about the data themselves, and about which images are classified wrongly: prevalence, age, threshold, devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Claim
from xrbench.rendering.numbers import count
from xrbench.report.claims.verdict import Direction, Verdict, counted, unanswered, verdict_on
from xrbench.report.effects import Contrast, measured
from xrbench.report.effects.cells import HELD_OUT
from xrbench.report.effects.class_effects import training_counts
from xrbench.report.effects.effect import difference_of
from xrbench.report.run_folder import Run
from xrbench.report.tables.discordant_errors import (
    COLUMNS,
    DEVICES,
    THRESHOLD,
    TwoModels,
    by_device,
    device_column,
    two_models,
)
from xrbench.runs.prediction_frame import images_of, patients_of
from xrbench.statistics.intervals.clustered_mean import clustered_difference

Values = npt.NDArray[np.float64]
Patients = npt.NDArray[np.object_]
Sample = tuple[Values, Patients]
"""A value of each image or patient, NaN where it is not known, and the patients, shape (n,) each."""


def prevalence(
    run: Run,
    claim: Claim,
    *,
    first: str,
    second: str,
    labels: Sequence[str] = (),
    direction: Direction = "differs",
) -> Verdict:
    """Claim that findings are more or less frequent in one dataset than in another, for every label.

    The tested images of the datasets are counted.

    Options:
        first: A dataset.
        second: Another one.
        labels: Labels that it is about; all by default.
        direction: ``differs``, or ``positive`` when the first has more of each.
    """
    test = f"share of positives in {first} and {second}: patients as clusters, tested images"
    a, b = _tested_images(run, first), _tested_images(run, second)
    if a is None or b is None:
        return unanswered(claim.text, test=test, reason="no predictions on images of both datasets")
    parts = []
    for label in labels or run.suite.labels:
        samples = (_sample(run, frame, f"truth:{label}") for frame in (a, b))
        parts.append(_difference(run, label, *samples, share=True))
    return verdict_on(run, claim, parts, test, direction=direction)


def younger(run: Run, claim: Claim, *, first: str, second: str) -> Verdict:
    """Claim that the patients of one dataset are younger than those of another; a patient's age is that of the first image.

    The tested patients of the datasets are counted.

    Options:
        first: The dataset that is said to have younger patients.
        second: The other one.
    """
    test = f"mean age of the patients of {first} minus that of {second} below 0"
    samples = []
    for dataset in (first, second):
        frame = _tested_images(run, dataset)
        if frame is None or "age" not in frame or frame["age"].isna().all():
            return unanswered(claim.text, test=test, reason="no ages in the predictions of both datasets")
        ages, patients = _sample(run, frame, "age")
        _, rows = np.unique(patients.astype(str), return_index=True)
        samples.append((ages[rows], patients[rows]))
    return verdict_on(run, claim, [_difference(run, "age", *samples)], test, direction="negative")


def class_order(
    run: Run,
    claim: Claim,
    *,
    commonest: Sequence[str],
    configuration: str = "",
    dataset: str = "",
    holds: bool = True,
) -> Verdict:
    """Claim which classes have most images: a fact about the images that took part, which needs no test.

    Options:
        commonest: The classes that are said to come first, in order.
        configuration: The training set whose training images are counted, or
        dataset: the dataset whose tested images are.
        holds: False when the claim is that these are not the commonest.
    """
    where = f"training images of {configuration}" if configuration else f"tested images of {dataset}"
    test = f"the {where} are counted"
    counts = training_counts(run, configuration) if configuration else _tested_counts(run, dataset)
    if counts is None:
        return unanswered(claim.text, test=test, reason="no such images were counted")
    order = np.argsort(-counts, kind="stable")
    in_order = [run.suite.labels[number] for number in order[: len(commonest)]] == list(commonest)
    first = counts[order][: len(commonest) + 1]
    shown = ", ".join(f"{label} {count(each)}" for label, each in zip(run.suite.labels, counts, strict=True))
    if (first[1:] == first[:-1]).any():
        return unanswered(claim.text, test=test, reason=f"classes of the same size, as after a cap: {shown}")
    return counted(claim.text, in_order is holds, test=test, figures=shown, n=f"{count(counts.sum())} images")


def errors_near_threshold(
    run: Run, claim: Claim, *, label: str, configuration: str = "", models: Sequence[str] = (), band: float = 0.1
) -> Verdict:
    """Claim that errors are borderline cases: a larger share of the images near the threshold is wrong, for both networks.

    Options:
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: Two networks; the first two by default.
        band: Largest distance to 0.5 of a probability that counts as near.
    """
    test = f"share of errors among images with a probability within {band:g} of 0.5, minus that of the others, above 0"

    def samples(pair: TwoModels, at: int) -> tuple[Sample, Sample]:
        near = np.abs(pair.frame[COLUMNS[at]].to_numpy(np.float64) - THRESHOLD) <= band
        wrong = pair.wrong[at].astype(np.float64)
        return (wrong[near], pair.patient[near]), (wrong[~near], pair.patient[~near])

    pair = two_models(run, label=label, configuration=configuration, models=models, where=f"claim {claim.kind}")
    return _of_networks(run, claim, pair, samples, test, share=True)


def device_raises_score(
    run: Run, claim: Claim, *, label: str, configuration: str = "", models: Sequence[str] = ()
) -> Verdict:
    """Claim that a device in the image raises the probability of a finding among images without it, for both networks.

    Options:
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: Two networks; the first two by default.
    """
    test = f"mean probability of {label} with a device minus without, among images without {label}, above 0"
    pair = two_models(run, label=label, configuration=configuration, models=models, where=f"claim {claim.kind}")
    if pair is not None and not device_column(pair.frame):
        return unanswered(claim.text, test=test, reason=f"{DEVICES!r} is not in the predictions")
    return _of_networks(run, claim, pair, lambda pair, at: by_device(pair, COLUMNS[at], truth=0), test)


def _of_networks(
    run: Run,
    claim: Claim,
    pair: TwoModels | None,
    samples: Callable[[TwoModels, int], tuple[Sample, Sample]],
    test: str,
    *,
    share: bool = False,
) -> Verdict:
    """Test a difference between two samples of each of two networks' predictions."""
    if pair is None:
        return unanswered(claim.text, test=test, reason="no external predictions of two networks")
    parts = [_difference(run, cell.model, *samples(pair, at), share=share) for at, cell in enumerate(pair.cells)]
    return verdict_on(run, claim, parts, test)


def _difference(run: Run, name: str, a: Sample, b: Sample, *, share: bool = False) -> Contrast:
    difference = clustered_difference(*a, *b, level=run.suite.interval.level, share=share)
    return difference_of(name, difference, _mean(a[0]), _mean(b[0]), by_patient=True)


def _mean(values: Values) -> float:
    return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")


def _tested_images(run: Run, dataset: str) -> pd.DataFrame | None:
    """Collect the tested images of a dataset from all cells, each once."""
    parts = []
    for cell in measured(run, protocol=(*HELD_OUT, "resubstitution")):
        if dataset in cell.test.split("+"):
            frame = run.results.predictions(cell.cell)
            if frame is not None:
                parts.append(frame[frame["dataset"] == dataset])
    if not parts:
        return None
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[~pd.Series(images_of(rows)).duplicated().to_numpy()].reset_index(drop=True)
    return rows if len(rows) else None


def _sample(run: Run, frame: pd.DataFrame, column: str) -> Sample:
    patients = patients_of(frame, run.results.domain)
    return frame[column].to_numpy(np.float64), images_of(frame) if patients is None else patients


def _tested_counts(run: Run, dataset: str) -> npt.NDArray[np.int64] | None:
    frame = _tested_images(run, dataset)
    if frame is None:
        return None
    return np.array([int((frame[f"truth:{label}"] == 1).sum()) for label in run.suite.labels], np.int64)
