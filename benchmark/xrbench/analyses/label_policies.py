"""Would another reading of uncertain and blank labels have changed which method is ahead?

In every setting and test set the same predictions of all methods are judged under the suite's own policy and under each other one.
Thresholds stay those that the suite's policy chose on validation images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material, Sample
from xrbench.analyses.relabelling import OWN_POLICY, truth_under
from xrbench.analyses.rows import COUNTS, FIGURE, NAN, Row, figure, repeats
from xrbench.errors import MeasureError
from xrbench.runs.run_cell import HEAD, RunCell

COLUMNS = (*HEAD, "policy", *FIGURE, "rank", "tau", "lowest_tau", "stable", "n_methods", *COUNTS)
OF_CLASSES = "the classes of a multi-class suite follow from its class rule, not from a label policy"


def rows_of(material: Material, family: Sequence[RunCell]) -> list[Row]:
    """Judge the methods of one setting and test set under every policy.

    Args:
        material: The run.
        family: Their cells: one a method, on the same images.

    Returns:
        One row a policy, method and label (and their mean): the figure, the method's rank under the policy, Kendall's tau-b of the
        ranks against those under the suite's own policy, the lowest tau between any two policies, and whether all policies have
        the same best method.

    Raises:
        MeasureError: Predictions are missing, their images differ, or the published states are not there.
    """
    cells = {material.line(cell): cell for cell in family}
    samples = {line: material.sample(cell.cell) for line, cell in cells.items()}
    first = next(iter(samples.values()))
    by_label = statistics.policy_sensitivity(
        _truths(material, first),
        _aligned(samples),
        first.patient,
        labels=material.suite.labels,
        metric=material.metric,
        thresholds={line: material.results.thresholds(cell.cell) for line, cell in cells.items()},
        **material.options,
    )
    return [
        {**asdict(cells[line]), **figure(row), **_rank(one, policy, line), **_agreement(one, policy, len(family))}
        for one in by_label
        if not repeats(one.label, material.suite.labels)
        for (policy, line), row in one.figures.items()
    ]


def families(material: Material) -> list[list[RunCell]]:
    """Gather the cells that compete: one setting, seed, test set; a pretrained model joins every setting.

    Cells on images that the weights have seen, or that were trained on, are left out.
    """
    fair = [cell for cell in material.cells(*HELD_OUT) if not cell.seen]
    groups: dict[tuple[str, str, str, int], list[RunCell]] = {}
    for cell in fair:
        if cell.train:
            groups.setdefault(_key(cell), []).append(cell)
    for cell in fair:
        if not cell.train:
            joined = [key for key in groups if key[1:3] == (cell.test, cell.protocol)]
            for key in joined:
                groups[key].append(cell)
            if not joined:
                groups[_key(cell)] = [cell]
    return list(groups.values())


def _key(cell: RunCell) -> tuple[str, str, str, int]:
    return (cell.setting, cell.test, cell.protocol, cell.seed)


def _truths(material: Material, sample: Sample) -> dict[str, npt.NDArray[np.float64]]:
    suite = material.suite
    if suite.task == "multiclass":
        raise MeasureError(OF_CLASSES)
    others = {rule.name: truth_under(sample.frame, suite, rule) for rule in suite.analyses.policies}
    return {OWN_POLICY: sample.truth, **others}


def _aligned(samples: Mapping[str, Sample]) -> dict[str, npt.NDArray[np.float64]]:
    """Put the scores of all methods in the order of the first one's images.

    Raises:
        MeasureError: The images of two methods differ.
    """
    first_line, first = next(iter(samples.items()))
    order = _images(first)
    found = {}
    for line, sample in samples.items():
        at = {image: row for row, image in enumerate(_images(sample))}
        if set(at) != set(order) or len(at) != len(order):
            raise MeasureError(f"{first_line} and {line} were tested on different images: policies cannot be compared")
        found[line] = sample.score[[at[image] for image in order]]
    return found


def _images(sample: Sample) -> list[tuple[str, str]]:
    frame = sample.frame
    datasets: Iterable[str] = frame["dataset"].astype(str) if "dataset" in frame.columns else [""] * len(frame)
    return list(zip(datasets, frame["image"].astype(str), strict=True))


def _rank(one: statistics.PolicySensitivity, policy: str, line: str) -> Row:
    return {"policy": policy, "rank": one.ranks[policy].get(line, NAN)}


def _agreement(one: statistics.PolicySensitivity, policy: str, methods: int) -> Row:
    pair = (OWN_POLICY, policy)
    tau = one.tau.get(pair, one.tau.get(pair[::-1], NAN))
    known = {"tau": tau, "lowest_tau": one.lowest_tau, "n_methods": methods}
    # One method is always the best of one.
    return {**known, "stable": one.stable if methods > 1 else None}
