"""Sensitivity of the order of methods to the policy for uncertain and blank labels.

In every setting and test set the same predictions of all methods are judged under the suite's own policy and under each other one.
Thresholds stay those that were chosen on validation images under the suite's policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material
from xrbench.analyses.relabelling import OWN_POLICY, truth_under
from xrbench.analyses.rows import COUNTS, FIGURE, NAN, Row, figure, repeats
from xrbench.errors import MeasureError
from xrbench.runs.prediction_frame import FloatArray
from xrbench.runs.run_cell import HEAD, RunCell
from xrbench.statistics import Predictions

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
    predictions = {line: material.predictions(cell) for line, cell in cells.items()}
    by_label = statistics.policy_sensitivity(
        _truths(material, family[0]),
        _aligned_scores(predictions),
        next(iter(predictions.values())).patient,
        labels=material.suite.labels,
        metric=material.metric,
        thresholds={line: of_line.thresholds for line, of_line in predictions.items()},
        **material.options,
    )
    return [
        {**cells[line].head, **figure(row), **_rank(one, policy, line), **_agreement(one, policy, len(family))}
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


def _truths(material: Material, cell: RunCell) -> dict[str, FloatArray]:
    suite = material.suite
    if suite.task == "multiclass":
        raise MeasureError(OF_CLASSES)
    others = {rule.name: truth_under(material.frame(cell), suite, rule) for rule in suite.analyses.policies}
    return {OWN_POLICY: np.asarray(material.predictions(cell).truth), **others}


def _aligned_scores(predictions: Mapping[str, Predictions]) -> dict[str, FloatArray]:
    """Put the scores of all methods, each of shape (n, labels), in the order of the first one's images.

    Raises:
        MeasureError: The images of two methods differ.
    """
    first_line, first = next(iter(predictions.items()))
    order = pd.Index(np.asarray(first.image, object))
    scores = {}
    for line, of_line in predictions.items():
        images = pd.Index(np.asarray(of_line.image, object))
        if images.has_duplicates or len(images) != len(order) or not order.isin(images).all():
            raise MeasureError(f"{first_line} and {line} were tested on different images: policies cannot be compared")
        scores[line] = np.asarray(of_line.score)[images.get_indexer(order)]
    return scores


def _rank(one: statistics.PolicySensitivity, policy: str, line: str) -> Row:
    return {"policy": policy, "rank": one.ranks[policy].get(line, NAN)}


def _agreement(one: statistics.PolicySensitivity, policy: str, methods: int) -> Row:
    pair = (OWN_POLICY, policy)
    tau = one.tau.get(pair, one.tau.get(pair[::-1], NAN))
    known = {"tau": tau, "lowest_tau": one.lowest_tau, "n_methods": methods}
    # One method is always the best of one.
    return {**known, "stable": one.stable if methods > 1 else None}
