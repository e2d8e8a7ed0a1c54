"""Differences of paired cells, label by label: from predictions where there are any, else from the intervals of the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from xrbench import statistics
from xrbench.compare import pairs as pairing
from xrbench.compare.across_runs import SignedRow, signed_row
from xrbench.compare.hypotheses import SUPERIORITY, answer, p_of
from xrbench.compare.method_rows import about_methods, gap_of_method
from xrbench.compare.pairs import MEAN, Pair, Sides
from xrbench.compare.rows import METHODS, NETWORKS, CompareOptions, Row, Section, SideGap, spec_of
from xrbench.compare.scores_io import Results
from xrbench.metrics import parse_as
from xrbench.progress import Reporter
from xrbench.runs.run_cell import RunCell
from xrbench.runs.shared_parents import PHRASE, given_notes
from xrbench.statistics.inference.crossed import Crossed
from xrbench.statistics.intervals.delong import z_test
from xrbench.statistics.intervals.formulas import normal, quantile
from xrbench.statistics.predictions import ALL

OVERALL = (MEAN, ALL)
"""Labels of values that are not of one label or class."""
THESE = "these networks"
"""What a verdict is about that does not count another training."""


def section(
    title: str,
    pairs: Sequence[Pair],
    a: Results,
    b: Results,
    labels: Sequence[str],
    how: CompareOptions,
    *,
    question: str = SUPERIORITY,
    reporter: Reporter | None = None,
) -> Section:
    """Subtract a from b over all pairs: paired over patients when every pair has predictions, else from the scores."""
    sides = [(pair, pairing.sides(pair, a, b, labels)) for pair in pairs]
    ready = [(pair, side) for pair, side in sides if side is not None]
    paired = len(ready) == len(pairs)
    undefined = _undefined(pairs, a, b, how.metric)
    rows = [] if paired else [_unpaired(label, pairs, a, b, how) for label in _measured(a, labels, how.metric)]
    rows = rows or _paired(ready, a, b, how, reporter)
    if how.about == METHODS:
        rows = about_methods(rows, ready, how, paired=paired)
    rows = rows if len(labels) != 1 else [row for row in rows if row.label != MEAN]
    counted = [replace(row, undefined=tuple(undefined.get(row.label, ()))) for row in rows]
    first = pairs[0].b
    return Section(
        title=title,
        method=first.method,
        model=first.model,
        protocol=first.protocol,
        paired=paired,
        rows=tuple(counted),
        notes=tuple(_image_notes(ready) if paired else ()),
        fewer=tuple(pair.a.cell for pair, side in ready if side.only_a),
        question=question,
        margin=how.margin,
        given=given_notes(cell for pair in pairs for cell in (pair.b, pair.a)),
        signed=tuple(_signed(title, row.label, pairs, a, b, how) for row in counted) if how.across else (),
        about=how.about or NETWORKS,
    )


def adjusted(sections: Iterable[Section], how: CompareOptions) -> list[Section]:
    """Adjust the p-values of all rows as one family, and put each row's verdict and answer into words.

    The p-values of differences, of declared questions and of signed ranks are three families of the same rows. Interval, smallest
    detectable difference and verdict of a row are at the level of its family.
    """
    listed = list(sections)
    better = spec_of(how.metric).better
    asked = [
        p_of(part.question, row.errors, part.margin, p=row.p, better=better) for part in listed for row in part.rows
    ]
    families = (
        [row.p for part in listed for row in part.rows],
        asked,
        [row.p for part in listed for row in part.signed],
    )
    plain, questions, signed = (iter(map(float, statistics.adjust(one, how.adjustment))) for one in families)
    levels = iter(statistics.interval_significances(families[0], how.adjustment, significance=1 - how.level).tolist())
    alone = (1 - how.level) / max(1, sum(not math.isnan(p) for p in families[0]))
    judged = []
    for part in listed:
        rows = []
        for row in part.rows:
            judged_row = replace(row, p_adjusted=next(plain), p_question=next(questions))
            rows.append(_judged(judged_row, part, how, next(levels), alone))
        over = tuple(replace(row, p_adjusted=next(signed)) for row in part.signed)
        judged.append(replace(part, rows=tuple(rows), signed=over))
    return judged


def _judged(row: Row, part: Section, how: CompareOptions, significance: float, alone: float) -> Row:
    """Give a row its words, and the interval and smallest detectable difference that go with them.

    Args:
        row: The row with its adjusted p-values.
        part: Its section.
        how: Metric and level.
        significance: Of its interval, so that it agrees with the adjusted p-value; NaN without one.
        alone: Significance at which it is tested if no other row of the family differs.
    """
    better, inner = spec_of(how.metric).better, None
    if row.errors is not None and not math.isnan(significance):
        low, high = row.errors.limits(significance)
        # two one-sided tests at the same significance
        inner = row.errors.limits(2 * significance)
        row = replace(row, low=low, high=high, detectable=row.errors.detectable(alone))
    words = statistics.verdict(
        row.low, row.high, p=row.p_adjusted, better=better, margin=part.margin, level=how.level, inner=inner
    )
    said = answer(part.question, row.difference, p_adjusted=row.p_question, better=better, level=how.level)
    words = words if part.about == METHODS else f"{words}, {THESE}"
    words, said = (f"{text}, {PHRASE}" if part.given else text for text in (words, said))
    return replace(row, verdict=words, answer=said)


def _signed(title: str, label: str, pairs: Sequence[Pair], a: Results, b: Results, how: CompareOptions) -> SignedRow:
    """Test the means over seeds of each setting, as the scores have them."""
    left, right = _figures(a, label, how.metric), _figures(b, label, how.metric)
    nothing = (math.nan,) * 4
    settings: dict[str, list[tuple[float, float]]] = {}
    for pair in pairs:
        values = (left.get(pair.a.cell, nothing)[0], right.get(pair.b.cell, nothing)[0])
        settings.setdefault(pair.b.setting or pair.a.setting or pair.b.test, []).append(values)
    means = np.array([np.mean(values, axis=0) for values in settings.values()]).reshape(-1, 2)
    better = parse_as(a.task, how.metric).better
    return signed_row(title, label, means[:, 0].tolist(), means[:, 1].tolist(), how.level, better=better)


def gap_of(
    fits: Iterable[str], cells: Iterable[RunCell], results: Results, labels: Sequence[str], how: CompareOptions
) -> SideGap | None:
    """Compute the gap of some fits over all labels or classes; None without predictions, or for a metric of single classes."""
    if how.about == METHODS:
        return gap_of_method(fits, cells, results, labels, how)
    names = set(fits)
    mine = [cell for cell in cells if cell.fit in names and not (cell.seen and cell.protocol == "external")]
    parts = {
        protocol: [results.predictions_of(cell, labels) for cell in mine if cell.protocol == protocol]
        for protocol in ("internal", "external")
    }
    inside, outside = ([cell for cell in parts[name] if cell is not None] for name in ("internal", "external"))
    if not inside or not outside or len(inside) + len(outside) < sum(map(len, parts.values())):
        return None
    gaps = statistics.gap(inside, outside, metric=how.metric, **how.resampling())
    one = next((gap for gap in reversed(gaps) if gap.label in OVERALL), None)
    return None if one is None else SideGap(how.metric, one.gap, one.low, one.high, one.reason, one.at)


def _paired(
    ready: Sequence[tuple[Pair, Sides]],
    a: Results,
    b: Results,
    how: CompareOptions,
    reporter: Reporter | None,
) -> list[Row]:
    resampling = how.resampling(reporter)
    if how.about == METHODS:
        # the bootstrap tests networks: only counts are taken from here
        resampling["replicates"] = 1
    differences = statistics.compare(
        [side.cell for _, side in ready], metric=how.metric, margin=how.margin, **resampling
    )
    pairs = [pair for pair, _ in ready]
    return [
        Row(
            label=one.label,
            settings=_settings(pairs, a, b, one.label, how.metric) if one.n_cells else 0,
            cells=one.n_cells,
            **{name: getattr(one, name) for name in ("value_a", "value_b", "difference", "low", "high", "error", "p")},
            **{name: getattr(one, name) for name in ("p_bootstrap", "p_delong", "detectable", "caution", "reason")},
            **{name: getattr(one, name) for name in ("n_positive", "n_negative", "n_images", "n_patients")},
            low_alone=one.low,
            high_alone=one.high,
            errors=one.errors,
        )
        for one in differences
    ]


def _unpaired(label: str, pairs: Sequence[Pair], a: Results, b: Results, how: CompareOptions) -> Row:
    """Compare two columns of figures: the error comes from the widths of their intervals.

    The two sides count as independent, which is too careful when they saw the same images; cells on one test dataset count as
    fully dependent, which is too careful as well. Figures that are the same to the last digit have no difference.
    """
    left, right = _figures(a, label, how.metric), _figures(b, label, how.metric)
    used = [p for p in pairs if p.a.cell in left and p.b.cell in right]
    used = [p for p in used if not math.isnan(left[p.a.cell][0] + right[p.b.cell][0])]
    if not used:
        nothing = (math.nan,) * 7
        return Row(label, 0, 0, *nothing, math.nan, reason="no cell in which both sides have a value")
    values = np.array([(left[p.a.cell][0], right[p.b.cell][0]) for p in used])
    by_domain: dict[str, float] = {}
    for pair in used:
        error = _cell_error(left[pair.a.cell], right[pair.b.cell])
        by_domain[pair.a.test] = by_domain.get(pair.a.test, 0.0) + error
    error = math.sqrt(sum(part**2 for part in by_domain.values())) / len(used)
    difference = float((values[:, 1] - values[:, 0]).mean())
    low, high = normal(difference, error, how.level)
    errors = Crossed(difference, 0.0, error**2, math.inf, math.inf)
    return Row(
        label=label,
        settings=len({p.b.setting or p.b.test for p in used}),
        cells=len(used),
        value_a=float(values[:, 0].mean()),
        value_b=float(values[:, 1].mean()),
        difference=difference,
        low=low,
        high=high,
        error=error,
        p=z_test(difference, error)[1],
        detectable=errors.detectable(1 - how.level),
        low_alone=low,
        high_alone=high,
        errors=errors,
    )


def _measured(results: Results, labels: Sequence[str], metric: str) -> list[str]:
    """List the labels that figures of a metric have: the suite's and their mean, or those of classes."""
    if results.task != "multiclass":
        return [*labels, MEAN]
    there = results.scores.loc[results.scores["metric"] == metric, "label"]
    return list(dict.fromkeys(there))


Figures = dict[str, tuple[float, float, float, float]]


def _figures(results: Results, label: str, metric: str) -> Figures:
    """Return cell -> value, low, high, level of one label and metric."""
    rows = results.scores[(results.scores["label"] == label) & (results.scores["metric"] == metric)]
    columns = (rows[name] for name in ("value", "low", "high", "level"))
    return dict(zip(rows["cell"], zip(*columns, strict=True), strict=True))


def _cell_error(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    if a[:3] == b[:3]:
        return 0.0
    return math.hypot(*(_error(*figure) for figure in (a, b)))


def _error(_value: float, low: float, high: float, level: float) -> float:
    return (high - low) / (2 * quantile(0.95 if math.isnan(level) else level))


def _settings(pairs: Sequence[Pair], a: Results, b: Results, label: str, metric: str) -> int:
    """Count the settings in which both sides have a value, as far as the scores tell; else all of them."""
    left, right = _figures(a, label, metric), _figures(b, label, metric)
    nothing = (0.0, 0.0, 0.0, 0.0)
    kept = [
        pair for pair in pairs if not math.isnan(left.get(pair.a.cell, nothing)[0] + right.get(pair.b.cell, nothing)[0])
    ]
    return len({pair.b.setting or pair.b.test for pair in kept})


def _undefined(pairs: Sequence[Pair], a: Results, b: Results, metric: str) -> dict[str, list[str]]:
    """Return label -> cells in which a has a value and b has none."""
    gone: dict[str, list[str]] = {}
    for label in _measured(a, pairing.labels_of(a), metric):
        left, right = _figures(a, label, metric), _figures(b, label, metric)
        for pair in pairs:
            was, now = left.get(pair.a.cell), right.get(pair.b.cell)
            if was is not None and now is not None and math.isnan(now[0]) and not math.isnan(was[0]):
                gone.setdefault(label, []).append(pair.b.cell)
    return gone


def _image_notes(ready: Sequence[tuple[Pair, Sides]]) -> list[str]:
    notes = []
    for pair, side in ready:
        if side.only_a or side.only_b:
            notes.append(
                f"{pair.b.cell}: {side.only_a:,} test images are in A only and {side.only_b:,} in B only; "
                f"the {len(np.asarray(side.cell[0].truth)):,} common ones are compared"
            )
    return notes
