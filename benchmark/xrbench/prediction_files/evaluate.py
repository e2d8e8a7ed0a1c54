"""Judge predictions that were made elsewhere, like our own: figures with intervals, the gap to another site, an operating point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from xrbench import analyses, scoring, statistics
from xrbench.analyses import decision_curves
from xrbench.analyses.subgroups import rows_of
from xrbench.cards import Interval, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.errors import MeasureError, UsageError
from xrbench.metrics import parse
from xrbench.prediction_files import tables as laid
from xrbench.prediction_files.options import Asked, read_asked, refuse
from xrbench.prediction_files.page import Judgement
from xrbench.prediction_files.read import Outside, read_outside
from xrbench.progress import Reporter, Silent
from xrbench.report.run_folder import open_run
from xrbench.report.tables import build as of_runs
from xrbench.runs import store
from xrbench.runs.prediction_frame import patients_of, truth_and_score
from xrbench.statistics.intervals.input_checks import check_options


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
    subgroups: Sequence[str] = (),
    minimum: int | None = None,
    prevalences: Sequence[float] = (),
    decisions: str | None = None,
    interval: str | None = None,
    level: float | None = None,
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
        subgroups: ``sex``, or ``age=18,40,60,80`` with where bands begin; the first metric is computed in each group.
        minimum: Patients below which a group is suppressed; 20 by default.
        prevalences: Prevalences at which predictive values of the operating point are also stated.
        decisions: Threshold probabilities of a decision curve, such as ``0.05,0.1,0.2``.
        interval: Kind of interval, see ``statistics.KINDS``.
        level: Confidence level; 0.95 by default.
        reporter: Where progress goes.

    Raises:
        UsageError: An option that is not usable, or a target without a set on which its threshold can be chosen.
        DataError, MeasureError: See ``read_outside``.
    """
    if (path / store.MANIFEST).is_file():
        given: dict[str, object] = {"--labels": truth, "--compare": reference, "--target": target, "--metric": metrics}
        given |= {"--logits": logits, "--subgroup": subgroups, "--minimum": minimum, "--prevalence": prevalences}
        given |= {"--decision": decisions, "--interval": interval, "--level": level}
        refuse(f"{path}: a run is judged again by its own suite and data", given)
        return _again(path, catalogue, reporter)
    if reference is None:
        refuse("there is no --compare", {"--compare-labels": reference_truth})
    asked = read_asked(
        metrics=metrics,
        target=target,
        reference=reference,
        subgroups=subgroups,
        minimum=minimum,
        prevalences=prevalences,
        decisions=decisions,
    )
    level = 0.95 if level is None else level
    check_options(interval or "default", replicates, level)
    how = msgspec.convert({"kind": interval or "default", "replicates": replicates, "level": level}, Interval)
    files = [(path, truth), *([(reference, reference_truth)] if reference else [])]
    sites = _read_sites(files, catalogue, asked, logits=logits)
    labels = tuple(label for label in sites[0][1].labels if all(label in site.labels for _, site in sites))
    if not labels:
        raise UsageError(f"{path} and {reference} have no label in common")
    suite = SuiteCard(title="", name="outside", labels=labels, metrics=(*asked.metrics, *asked.point), interval=how)
    return _judged(sites, suite, asked, reporter or Silent())


Sites = list[tuple[str, Outside]]


def _judged(sites: Sites, suite: SuiteCard, asked: Asked, say: Reporter) -> Judgement:
    """Judge the sites, the one that is asked about last, and lay everything out."""
    thresholds = scoring.thresholds_from(sites[1][1].frame, suite) if len(sites) > 1 else {}
    parts: dict[str, Callable[[str, Outside], list[dict[str, Any]]]] = {
        "scores": lambda name, site: _scores(site, _suite_of(suite, first=name == sites[0][0]), thresholds),
        "decision-curve": lambda _, site: _decisions(site, suite, asked),
        "subgroups": lambda name, site: _groups(site, suite, asked, thresholds if name == sites[0][0] else {}),
    }
    wanted = ("scores", *(["decision-curve"] if asked.decisions else []), *(["subgroups"] if asked.subgroups else []))
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    with say.bar("judged", len(wanted) * len(sites)) as bar:
        for part in wanted:
            for name, site in reversed(sites):
                made[part] += [{"site": name, **row} for row in parts[part](name, site)]
                bar.advance(1, part)
    scores = pd.DataFrame(made.pop("scores"))
    gaps = _gaps(sites[1][1], sites[0][1], suite, say) if len(sites) > 1 else pd.DataFrame()
    several = len(sites) > 1
    notes = [f"{name}: {note}" if several else note for name, site in reversed(sites) for note in site.notes]
    notes += _threshold_notes(thresholds, sites[-1][0])
    findings = {name: pd.DataFrame(rows) for name, rows in made.items()}
    tables = [laid.score_table(scores, asked.metrics)]
    if asked.point:
        findings = {"operating": pd.DataFrame(_points(scores, asked)), **findings}
        tables.append(laid.point_table(findings["operating"], asked.target))
    tables += [laid.gap_table(gaps, sites[0][0])] if several else []
    tables += [laid.decision_table(findings["decision-curve"])] if asked.decisions else []
    tables += [laid.group_table(findings["subgroups"])] if asked.subgroups else []
    return Judgement(tuple(notes), scores, gaps, tuple(tables), findings)


def _read_sites(
    files: Sequence[tuple[Path, Path | None]], catalogue: Catalogue, asked: Asked, *, logits: bool
) -> Sites:
    """Read the tables of all sites, each under a name of its own: two files of one name do not hold the same patients."""
    names = [path.stem for path, _ in files]
    if len(set(names)) < len(names):
        names = [str(path) for path, _ in files]
    if len(set(names)) < len(names):
        raise UsageError(f"--compare {files[1][0]}: is the table that is judged; another site's is wanted")
    words = catalogue.vocabulary
    return [
        (name, read_outside(path, words, truth=truth, logits=logits, site=name, groups=asked.columns))
        for name, (path, truth) in zip(names, files, strict=True)
    ]


def _suite_of(suite: SuiteCard, *, first: bool) -> SuiteCard:
    """Leave out, for the reference, what would be judged at thresholds that were chosen on it."""
    free = tuple(name for name in suite.metrics if not parse(name).from_validation)
    return suite if first else msgspec.structs.replace(suite, metrics=free)


def _scores(site: Outside, suite: SuiteCard, thresholds: Mapping[tuple[str, str], float]) -> list[dict[str, Any]]:
    return scoring.judge(site.frame, suite, thresholds=thresholds)


def _decisions(site: Outside, suite: SuiteCard, asked: Asked) -> list[dict[str, Any]]:
    sample = analyses.sample_of(site.frame, suite.labels)
    how = suite.interval
    return decision_curves.rows_of(sample, thresholds=asked.decisions, level=how.level, kind=how.kind)


def _groups(
    site: Outside, suite: SuiteCard, asked: Asked, thresholds: Mapping[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """Judge the groups of one site; the reference has no thresholds of its own, so what needs one is left out there."""
    metric = suite.metrics[0]
    if parse(metric).from_validation and not thresholds:
        return []
    sample = analyses.sample_of(site.frame, suite.labels)
    return [row for rule in asked.subgroups for row in _of_rule(sample, rule, metric, thresholds, suite)]


def _of_rule(
    sample: analyses.Sample, rule: Any, metric: str, thresholds: Mapping[tuple[str, str], float], suite: SuiteCard
) -> list[dict[str, Any]]:
    how = suite.interval
    try:
        return rows_of(sample, rule, metric=metric, thresholds=thresholds, level=how.level, kind=how.kind)
    except MeasureError as error:
        raise UsageError(f"--subgroup {rule.column}: {error}") from error


def _points(scores: pd.DataFrame, asked: Asked) -> Iterator[dict[str, Any]]:
    """List the figures at the operating point under short names, and how far the targeted one lies from its target."""
    condition, _, share = asked.target.partition("=")
    aimed = {"sensitivity": "recall", "specificity": "specificity"}.get(condition, "")
    for row in analyses.records(scores[scores["metric"].isin(asked.point) & (scores["label"] != "mean")]):
        base, _, rest = row["metric"].partition("@")
        _, _, stated = rest.partition(",")
        yield {**row, "metric": f"{base},{stated}" if stated else base, "target": asked.target}
        if base == aimed:
            moved = {name: row[name] - float(share) for name in ("value", "low", "high")}
            yield {**row, **moved, "metric": "drift", "target": asked.target}


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


def _again(folder: Path, catalogue: Catalogue, reporter: Reporter | None) -> Judgement:
    """Judge a run's stored predictions again: its scores, then what its suite asks for beyond them."""
    scores = scoring.score_run(folder, reporter=reporter)
    findings = analyses.judge_run(folder, reporter=reporter)
    scores = scores.assign(site=scores["cell"])
    notes = [f"{len(scores):,} figures written to {folder / store.SCORES}"]
    notes += [f"{', '.join(findings)} written to {folder / analyses.FOLDER}"] if findings else []
    made = [laid.score_table(scores, tuple(dict.fromkeys(scores["metric"])))]
    made += of_runs.judgement_tables(open_run(folder, catalogue))
    return Judgement(tuple(notes), scores, pd.DataFrame(), tuple(made), findings)


def _gaps(there: Outside, here: Outside, suite: SuiteCard, reporter: Reporter) -> pd.DataFrame:
    cells = []
    for outside in (there, here):
        truth, score = truth_and_score(outside.frame, suite.labels)
        domain = str(outside.frame["dataset"].iloc[0])
        cells.append(statistics.Cell(domain, truth, score, patients_of(outside.frame), image=outside.frame["image"]))
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
