"""Judge predictions that were made elsewhere, like our own: figures with intervals, the gap to another site, an operating point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from xrbench import scoring, statistics, store
from xrbench.cards import Interval, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.errors import UsageError, suggestion
from xrbench.exchange import Outside, read_outside
from xrbench.metrics import parse
from xrbench.progress import Reporter
from xrbench.report.numbers import interval as interval_text
from xrbench.report.numbers import number
from xrbench.report.writers import Cell, Table

DEFAULT_METRICS = ("auc", "average-precision")
AT_A_POINT = ("recall", "specificity", "ppv", "npv", "alarms-per-1000")
CONDITIONS = ("sensitivity", "specificity", "threshold")
NEEDS_REFERENCE = "needs --compare, whose images set the threshold; a set is never judged at a threshold chosen on it"


@dataclass(frozen=True)
class Judgement:
    """What came of judging outside predictions.

    Attributes:
        notes: How the tables were read.
        scores: One row a site, label and metric.
        gaps: One row a label: figure at the reference site minus figure here; empty without a reference.
        tables: The same laid out.
    """

    notes: tuple[str, ...]
    scores: pd.DataFrame
    gaps: pd.DataFrame
    tables: tuple[Table, ...]

    def text(self) -> str:
        """Write notes and tables for a terminal."""
        return "\n\n".join(["\n".join(self.notes), *(table.text().rstrip() for table in self.tables)])

    def to_dict(self) -> dict[str, Any]:
        """Write everything for machines."""
        return {
            "notes": list(self.notes),
            "scores": self.scores.to_dict("records"),
            "gaps": self.gaps.to_dict("records"),
        }

    def write_csv(self, path: Path) -> None:
        """Write the scores as CSV."""
        store.write_csv(path, self.scores)

    def write_html(self, path: Path) -> None:
        """Write one page that needs nothing from anywhere else."""
        from jinja2 import Environment

        page = Environment(autoescape=True).from_string(PAGE)
        store.write_atomic(path, page.render(notes=self.notes, tables=[table.html() for table in self.tables]).encode())


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>xrbench: predictions judged</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #111; }
table { border-collapse: collapse; margin: 1.5rem 0; } caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ccc; text-align: right; } th:first-child, td:first-child { text-align: left; }
</style></head><body><h1>Predictions judged</h1>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
{% for table in tables %}{{ table | safe }}{% endfor %}
</body></html>
"""
"""Tables arrive escaped from ``Table.html``; everything else is escaped here."""


def judge(
    path: Path,
    catalogue: Catalogue,
    *,
    truth: Path | None = None,
    reference: Path | None = None,
    reference_truth: Path | None = None,
    target: str | None = None,
    metrics: Sequence[str] = (),
    logits: bool = False,
    replicates: int = 1000,
    reporter: Reporter | None = None,
) -> Judgement:
    """Judge a table of predictions.

    Args:
        path: Scores, or a run folder, which is judged again from its stored predictions.
        catalogue: Gives the vocabulary.
        truth: Truth, if it is in another table.
        reference: The same model's predictions at another site.
        reference_truth: Their truth, if it is in another table.
        target: ``sensitivity=0.9``, ``specificity=0.9`` or ``threshold=0.5``; all but the last need a reference.
        metrics: Names of metrics.
        logits: Scores are logits.
        replicates: Bootstrap replicates.
        reporter: Where progress goes.

    Raises:
        UsageError: A target that is none, or without a set on which its threshold can be chosen.
        DataError, MeasureError: See ``read_outside``.
    """
    if (path / store.MANIFEST).is_file():
        given = {"--labels": truth, "--compare": reference, "--target": target, "--metric": metrics, "--logits": logits}
        _refuse(f"{path}: a run is judged again by its own suite and data", given)
        return _again(path, reporter)
    if reference is None:
        _refuse("there is no --compare", {"--compare-labels": reference_truth})
    names = _metric_names(metrics, target, reference)
    files = [(path, truth), *([(reference, reference_truth)] if reference else [])]
    sites = _read_sites(files, catalogue, logits=logits)
    labels = tuple(label for label in sites[0][1].labels if all(label in site.labels for _, site in sites))
    if not labels:
        raise UsageError(f"{path} and {reference} have no label in common")
    suite = SuiteCard(title="", name="outside", labels=labels, metrics=names, interval=Interval(replicates=replicates))
    thresholds = scoring.thresholds_from(sites[1][1].frame, suite) if reference else {}
    scores = pd.DataFrame(_rows(sites, suite, thresholds))
    gaps = _gaps(sites[1][1], sites[0][1], suite, reporter) if reference else pd.DataFrame()
    notes = [f"{name}: {note}" if reference else note for name, site in reversed(sites) for note in site.notes]
    notes += _threshold_notes(thresholds, sites[-1][0])
    tables = [_score_table(scores, names), *([_gap_table(gaps, sites[0][0])] if reference else [])]
    return Judgement(tuple(notes), scores, gaps, tuple(tables))


def _read_sites(
    files: Sequence[tuple[Path, Path | None]], catalogue: Catalogue, *, logits: bool
) -> list[tuple[str, Outside]]:
    """Read the tables of all sites, each under a name of its own: two files of one name do not hold the same patients."""
    names = [path.stem for path, _ in files]
    if len(set(names)) < len(names):
        names = [str(path) for path, _ in files]
    if len(set(names)) < len(names):
        raise UsageError(f"--compare {files[1][0]}: is the table that is judged; another site's is wanted")
    words = catalogue.vocabulary
    return [
        (name, read_outside(path, words, truth=truth, logits=logits, site=name))
        for name, (path, truth) in zip(names, files, strict=True)
    ]


def _rows(
    sites: Sequence[tuple[str, Outside]], suite: SuiteCard, thresholds: Mapping[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """Judge the reference, but not at thresholds that were chosen on it, then the site that is asked about."""
    free = tuple(name for name in suite.metrics if not parse(name).from_validation)
    by = {site: suite if site == sites[0][0] else msgspec.structs.replace(suite, metrics=free) for site, _ in sites}
    return [
        {"site": name, **row}
        for name, site in reversed(sites)
        for row in scoring.judge(site.frame, by[name], thresholds=thresholds)
    ]


def _refuse(why: str, given: Mapping[str, object]) -> None:
    """Refuse options that would be left unused."""
    unused = [name for name, value in given.items() if value]
    if unused:
        raise UsageError(f"{why}: leave out {', '.join(unused)}")


def _threshold_notes(thresholds: Mapping[tuple[str, str], float], site: str) -> list[str]:
    """Say which thresholds were chosen, one line an operating point."""
    points: dict[str, dict[str, str]] = {}
    for (label, metric), threshold in thresholds.items():
        shown = "none, one class is missing" if math.isnan(threshold) else f"{threshold:.4g}"
        points.setdefault(metric.partition("@")[2].partition(",")[0], {})[label] = shown
    return [
        f"thresholds for {point}, chosen on {site}, which is not judged at them: "
        + ", ".join(f"{label} {shown}" for label, shown in of.items())
        for point, of in points.items()
    ]


def _metric_names(metrics: Sequence[str], target: str | None, reference: Path | None) -> tuple[str, ...]:
    names = tuple(metrics) or DEFAULT_METRICS
    for name in names:
        if parse(name).from_validation and reference is None:
            raise UsageError(f"--metric {name}: {NEEDS_REFERENCE}")
    if target is None:
        return names
    condition, _, share = target.partition("=")
    if condition not in CONDITIONS:
        raise UsageError(
            f"--target {target}: wanted sensitivity=SHARE, specificity=SHARE or threshold=SCORE{suggestion(condition, CONDITIONS)}"
        )
    try:
        float(share)
    except ValueError as error:
        raise UsageError(f"--target {target}: {share!r} is not a number") from error
    if condition != "threshold" and reference is None:
        raise UsageError(f"--target {target}: {NEEDS_REFERENCE}")
    return (*names, *(f"{base}@{target}" for base in AT_A_POINT))


def _again(folder: Path, reporter: Reporter | None) -> Judgement:
    """Judge a run's stored predictions again."""
    scores = scoring.score_run(folder, reporter=reporter)
    scores = scores.assign(site=scores["cell"])
    chosen = tuple(dict.fromkeys(scores["metric"]))
    return Judgement(
        (f"{len(scores):,} figures written to {folder / store.SCORES}",),
        scores,
        pd.DataFrame(),
        (_score_table(scores, chosen),),
    )


def _gaps(there: Outside, here: Outside, suite: SuiteCard, reporter: Reporter | None) -> pd.DataFrame:
    cells = []
    for outside in (there, here):
        truth, score = scoring.truth_and_score(outside.frame, suite.labels)
        domain = str(outside.frame["dataset"].iloc[0])
        cells.append(
            statistics.Cell(domain, truth, score, scoring.patients_of(outside.frame), image=outside.frame["image"])
        )
    found = statistics.gap(
        [cells[0]],
        [cells[1]],
        metric="auc",
        labels=suite.labels,
        replicates=suite.interval.replicates,
        level=suite.interval.level,
        seed=scoring.interval_seed(here.frame),
        reporter=reporter,
    )
    return pd.DataFrame([asdict(one) for one in found])


def _score_table(scores: pd.DataFrame, metrics: Sequence[str]) -> Table:
    blocks = []
    for site, of_site in scores.groupby("site", sort=False):
        rows = []
        for label, of_label in of_site.groupby("label", sort=False):
            by_metric = of_label.set_index("metric")
            first = of_label.iloc[0]
            figures = [_figure(by_metric.loc[name]) if name in by_metric.index else "–" for name in metrics]
            counts = [_count(first[name]) for name in ("n_positive", "n_negative", "n_masked", "n_patients")]
            rows.append(tuple(map(Cell, [str(site), str(label), *figures, *counts])))
        blocks.append(tuple(rows))
    first = scores.iloc[0]
    unit = "patients" if first["unit"] == "patient" else "images (no patient ids)"
    reasons = {str(reason) for reason in scores["reason"] if isinstance(reason, str) and reason}
    header = ("site", "label", *metrics, "positive", "negative", "masked", "patients")
    return Table(
        name="scores",
        caption=f"Figures with {float(first['level']):.0%} intervals ({first['interval']}, resampling {unit})",
        header=(header,),
        blocks=tuple(blocks),
        align="ll" + "r" * (len(header) - 2),
        titled=True,
        notes=tuple(sorted(reasons)),
    )


def _gap_table(gaps: pd.DataFrame, here: str) -> Table:
    rows = tuple(
        tuple(
            map(
                Cell,
                [
                    str(row["label"]),
                    number(row["internal"], 3),
                    number(row["external"], 3),
                    number(row["gap"], 3),
                    interval_text(row["low"], row["high"], 3),
                ],
            )
        )
        for row in gaps.to_dict("records")
    )
    header = ("label", "AUC at the reference site", f"AUC at {here}", "gap", "interval")
    return Table("gap", "Generalization gap (reference minus here)", (header,), (rows,), "lrrrr")


def _figure(row: Any) -> str:
    value = float(row["value"])
    if math.isnan(value):
        return "n/a"
    spread = interval_text(float(row["low"]), float(row["high"]), 3)
    return f"{number(value, 3)} {spread}".rstrip()


def _count(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else f"{int(value):,}"
