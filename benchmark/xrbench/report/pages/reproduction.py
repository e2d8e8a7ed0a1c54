"""Measured figures against those that a paper reported.

A figure is reproduced when the data show that it lies within the card's tolerance of the reported one (two one-sided tests:
Schuirmann 1987, J Pharmacokinet Biopharm 15:657). A wide interval shows neither that nor the contrary: then it cannot be told. The
reported figures are a family, whose p-values are adjusted for their number as those of claims are.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from xrbench import statistics
from xrbench.cards import SuiteCard
from xrbench.compare.hypotheses import ADJUSTMENTS
from xrbench.metrics import metric_title
from xrbench.metrics.checks import FloatArray
from xrbench.rendering.numbers import MISSING, interval, number
from xrbench.rendering.table import Table
from xrbench.report.reported_values import OVER_SETTINGS, Reported, domains, same_domains
from xrbench.report.score_grid import Figure, Line, Selection
from xrbench.runs.shared_parents import notes_of_scores

NEAR = 3
"""A figure that is shown to lie within so many tolerances of the reported one is near."""

REPRODUCED: Final = "reproduced"
CLOSE: Final = "near"
DIFFERS: Final = "differs"
OPEN: Final = "cannot tell"
MISSING_VALUE: Final = "not measured"
Verdict = Literal["reproduced", "near", "differs", "cannot tell", "not measured"]
VERDICTS: tuple[Verdict, ...] = (REPRODUCED, CLOSE, DIFFERS, OPEN, MISSING_VALUE)
WHERE = {"external": "test", "validation": "valid", "internal": "internal", "resubstitution": "training images"}
"""Protocol -> how it stands before a figure."""


COLUMNS = (
    "method",
    "model",
    "setting",
    "protocol",
    "label",
    "metric",
    "printed",
    "reported",
    "measured",
    "low",
    "high",
)


def verdicts(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> pd.DataFrame:
    """Compare every reported figure with the measured one.

    A figure is *reproduced* when it is shown to be within the card's tolerance of the reported one, *near* when within three
    tolerances; it *differs* when it is shown to be farther off than the tolerance; else it *cannot be told*, as without an interval.
    Synthetic images measure nothing that a paper reported. The mean over settings is taken over the same settings as the paper's,
    contaminated ones included, as papers do. Where a paper names networks and training sets, a figure is compared with those alone,
    and with figures of the same kind of test: one on training images (resubstitution) with such figures only. Of several fits or
    settings it is the mean, and so are the ends of its interval: an error of a mean is at most the mean of the errors, however
    they depend on each other.

    Args:
        scores: Tidy scores.
        suite: The suite.
        paper: What was reported.

    Returns:
        One row a reported figure: method, model, setting, protocol, label, metric, printed, reported, measured, low, high,
        verdict.
    """
    selections = {metric: Selection(scores, suite, str(metric)) for metric in paper.scores["metric"].unique()}
    rows = []
    for _, row in paper.scores[paper.scores["value"].notna()].iterrows():
        selection = selections[row["metric"]]
        if selection.fixture:
            value, low, high = (math.nan,) * 3
        elif row["configuration"]:
            value, low, high = _of_training_set(scores, row)
        else:
            value, low, high = _measured(selection, row, paper)
        rows.append(
            {
                **{
                    name: row[name] for name in ("method", "model", "setting", "protocol", "label", "metric", "printed")
                },
                "reported": row["value"],
                "measured": value,
                "low": low,
                "high": high,
            }
        )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    figures = [frame[name].to_numpy(np.float64) for name in ("reported", "measured", "low", "high")]
    level, method = suite.interval.level, suite.adjustment
    return frame.assign(verdict=judged(*figures, tolerance=paper.card.tolerance, level=level, method=method))


def judged(
    reported: FloatArray,
    measured: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    tolerance: float,
    level: float = 0.95,
    method: str = "holm",
) -> list[Verdict]:
    """Judge a family of figures, each of shape (k,).

    An interval's two sides are read as so many standard errors of a normal figure, each side by itself, since intervals of
    proportions are not symmetric.

    Args:
        reported: The paper's figures.
        measured: Ours; NaN where none was measured.
        low: Lower ends of our intervals; NaN where there is none.
        high: Upper ends.
        tolerance: Largest difference that counts as reproduced, in the metric's units.
        level: Level of the intervals, and of the family of verdicts.
        method: How p-values are adjusted for the number of figures: ``holm`` or ``bh``.

    >>> at = lambda value, half: judged(*np.array([[0.86], [value], [value - half], [value + half]]), tolerance=0.01)[0]
    >>> at(0.862, 0.005), at(0.862, 0.02), at(0.862, 0.15)  # 0.862 + 0.005 < 0.87; 0.862 + 0.02 < 0.89
    ('reproduced', 'near', 'cannot tell')
    >>> at(0.80, 0.02), at(0.80, 0.15), at(0.86, np.nan), at(np.nan, np.nan)
    ('differs', 'cannot tell', 'cannot tell', 'not measured')
    """
    z = float(special.ndtri((1 + level) / 2))
    errors = np.clip([measured - low, high - measured], 0, None) / z

    def adjusted(pvalues: FloatArray) -> npt.NDArray[np.bool_]:
        return np.less(statistics.adjust(pvalues, method), 1 - level)

    within, around, beyond = (
        adjusted(each)
        for each in (
            _p_within(measured - reported, *errors, margin=tolerance),
            _p_within(measured - reported, *errors, margin=NEAR * tolerance),
            _p_beyond(measured - reported, *errors, margin=tolerance),
        )
    )
    conditions = [np.isnan(measured), within, beyond, around]
    return [str(word) for word in np.select(conditions, [MISSING_VALUE, REPRODUCED, DIFFERS, CLOSE], OPEN)]  # type: ignore[misc]


def _p_within(difference: FloatArray, below: FloatArray, above: FloatArray, *, margin: float) -> FloatArray:
    """Compute the larger p-value of two one-sided tests, from the standard errors below and above; NaN without errors."""
    return np.maximum(_tail(margin - difference, above), _tail(margin + difference, below))


def _p_beyond(difference: FloatArray, below: FloatArray, above: FloatArray, *, margin: float) -> FloatArray:
    """Compute the two-sided p-value of a difference that is no larger than the margin; NaN without errors."""
    p = 2 * np.minimum(_tail(difference - margin, below), _tail(-difference - margin, above))
    return np.asarray(np.minimum(p, 1.0))


def _tail(room: FloatArray, error: FloatArray) -> FloatArray:
    """Compute the chance of a normal error as large as the room; an error of 0 leaves no doubt.

    Decimal figures are not exact in binary: 0.86 - 0.85 is a little more than 0.01.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.ndtr(-room / error)
    chance: FloatArray = np.where(error == 0, np.where(room > 1e-9, 0.0, 1.0), p)
    return chance


def reproduction(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> Table:
    """Make the table "paper said, we got, verdict"."""
    compared = verdicts(scores, suite, paper)
    selection = Selection(scores, suite, "auc")
    blocks = [[_row(row) for _, row in rows.iterrows()] for _, rows in compared.groupby("method", sort=False)]
    counts = compared["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
    notes = [
        f"{summary}, of {len(compared)} reported figures.",
        f"Reproduced: shown to be within {paper.card.tolerance:g} of the reported figure; near: shown to be within "
        f"{NEAR * paper.card.tolerance:g}; differs: shown to be more than {paper.card.tolerance:g} away; cannot tell: the interval "
        f"is too wide for any of these, or there is none.",
        f"Verdicts are two one-sided tests over patients at {100 * (1 - suite.interval.level):g} % for all figures together "
        f"({ADJUSTMENTS[suite.adjustment]}), of these networks; the reported figures count as exact, since papers do "
        "not give their own errors.",
        f"Reported in: {paper.card.cite}",
        *(f"{text}." for text in notes_of_scores(scores)),
    ]
    if selection.fixture:
        notes.append("Synthetic images measure nothing that a paper reported: no figure is compared.")
    return Table.of(
        "reproduction",
        "What the paper reported and what was measured",
        ("method", "setting", "figure", "reported", "measured", "interval", "verdict"),
        blocks,
        "lllrrrl",
        titled=True,
        notes=notes,
        stamp=selection.stamp,
    )


def _row(row: pd.Series) -> tuple[str, ...]:
    where = WHERE[row["protocol"]]
    measured = MISSING if math.isnan(row["measured"]) else number(row["measured"], 3)
    texts = (
        f"{row['method']} ({row['model']})" if row["model"] else row["method"],
        row["setting"],
        f"{where} {metric_title(row['metric'])} {row['label']}",
        row["printed"],
        measured,
        interval(row["low"], row["high"], 3).strip("()") or MISSING,
        row["verdict"],
    )
    return tuple(map(str, texts))


def _of_training_set(scores: pd.DataFrame, row: pd.Series) -> tuple[float, float, float]:
    """Find the figure of a named training set: the mean over its fits, with an interval where there is one."""
    kept = pd.Series(True, index=scores.index)
    for column in ("method", "model", "configuration", "protocol", "label", "metric", "members"):
        kept &= scores[column] == row[column]
    rows = scores[kept]
    for role in ("train", "test"):
        rows = rows[same_domains(rows[role], row[role])]
    return _mean(rows.loc[rows["value"].notna(), ["value", "low", "high"]])


def _measured(selection: Selection, row: pd.Series, paper: Reported) -> tuple[float, float, float]:
    line = next((line for line in selection.lines if line.method == row["method"]), None)
    if line is None:
        return (math.nan,) * 3
    if row["setting"] != OVER_SETTINGS:
        figure = _at(selection, line, row)
        return (figure.value, figure.low, figure.high) if figure else (math.nan,) * 3
    same = [name for name in ("method", "protocol", "label", "metric", "table") if name in paper.scores]
    printed = paper.scores[(paper.scores[same] == row[same]).all(axis=1) & (paper.scores["setting"] != OVER_SETTINGS)]
    figures = [_at(selection, line, setting) for _, setting in printed.iterrows()]
    found = [(each.value, each.low, each.high) for each in figures if each is not None and each.defined]
    return _mean(pd.DataFrame(found if len(found) == len(printed) else [], columns=["value", "low", "high"]))


def _mean(figures: pd.DataFrame) -> tuple[float, float, float]:
    """Average figures and the ends of their intervals; NaN without figures, and no interval where one has none."""
    value, low, high = figures.astype(float).mean(skipna=False)
    return float(value), float(low), float(high)


def _at(selection: Selection, line: Line, row: pd.Series) -> Figure | None:
    for column in selection.columns:
        if (domains(column.train), column.valid, column.test) == (domains(row["train"]), row["valid"], row["test"]):
            find = selection.validation if row["protocol"] == "validation" else selection.external
            return find(line, column, row["label"])
    return None
