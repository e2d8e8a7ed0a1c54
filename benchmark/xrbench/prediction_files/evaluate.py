"""Judge predictions that were made elsewhere, like our own: figures with intervals, the gap to another site, an operating point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
import pandas as pd

from xrbench import analyses, scoring, statistics
from xrbench.analyses.subgroups import groups_of
from xrbench.cards import Analyses, Interval, SubgroupRule, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError, UsageError
from xrbench.prediction_files.options import point_metrics, read_decisions, read_groups, read_metrics, refuse
from xrbench.prediction_files.page import Evaluation
from xrbench.prediction_files.read import read_table
from xrbench.prediction_files.results import Site, by_site, results_of, without_validation
from xrbench.prediction_files.tables import gap_table, layouts, score_table
from xrbench.progress import Reporter, Silent
from xrbench.report.run_folder import Run, open_run
from xrbench.report.tables.build import analysis_tables, suite_tables
from xrbench.runs import store


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
) -> Evaluation:
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
    rules = read_groups(subgroups, minimum)
    names, point = read_metrics(metrics, reference), point_metrics(target, reference, prevalences)
    requested = Analyses(
        operating=(target,) if target else (),
        prevalences=tuple(prevalences),
        decision_thresholds=read_decisions(decisions),
        subgroups=rules,
    )
    level = 0.95 if level is None else level
    kind = statistics.Options(kind=interval or "default", replicates=replicates, level=level).kind
    how = msgspec.convert({"kind": kind, "replicates": replicates, "level": level}, Interval)
    files = [(path, truth), *([(reference, reference_truth)] if reference else [])]
    sites = _read_sites(files, catalogue, tuple(dict.fromkeys(rule.column for rule in rules)), logits=logits)
    labels = tuple(label for label in sites[0].table.labels if all(label in site.table.labels for site in sites))
    if not labels:
        raise UsageError(f"{path} and {reference} have no label in common")
    suite = SuiteCard(
        title="",
        name="prediction-file",
        labels=labels,
        metrics=tuple(dict.fromkeys((*names, *point))),
        interval=how,
        analyses=requested,
        tables=layouts(target or ""),
    )
    _check_groups(sites, rules)
    say, judged = reporter or Silent(), sites[0]
    results, thresholds = results_of(path, judged, sites[1] if reference else None, suite, say)
    scores = by_site(without_validation(results.scores, suite))
    made = analyses.analyse(results, suite, reporter=say)
    computed = {name: without_validation(frame, suite) for name, frame in made.items()}
    run = Run(path, {}, suite, results, None, computed)
    gaps = _gaps(results, sites, suite, say) if reference else pd.DataFrame()
    notes = [f"{site.name}: {note}" if reference else note for site in reversed(sites) for note in site.table.notes]
    notes += _threshold_notes(thresholds, sites[-1].name)
    tables = [score_table(scores, names), *([gap_table(gaps, judged.name)] if reference else []), *suite_tables(run)]
    return Evaluation(tuple(notes), scores, gaps, tuple(tables), {name: by_site(computed[name]) for name in computed})


def _read_sites(
    files: Sequence[tuple[Path, Path | None]], catalogue: Catalogue, columns: Sequence[str], *, logits: bool
) -> list[Site]:
    """Read the tables of all sites, each under a name of its own: two files of one name do not hold the same patients."""
    names = [path.stem for path, _ in files]
    if len(set(names)) < len(names):
        names = [str(path) for path, _ in files]
    if len(set(names)) < len(names):
        raise UsageError(f"--compare {files[1][0]}: is the table that is judged; another site's is expected")
    words = catalogue.vocabulary
    return [
        Site(name, read_table(path, words, truth=truth, logits=logits, site=name, groups=columns))
        for name, (path, truth) in zip(names, files, strict=True)
    ]


def _check_groups(sites: Sequence[Site], rules: Sequence[SubgroupRule]) -> None:
    """Refuse a column that cannot be put into bands before anything is computed."""
    for site in reversed(sites):
        for rule in rules:
            try:
                groups_of(site.table.frame, rule)
            except MeasureError as error:
                raise UsageError(f"--subgroup {rule.column}: {error}") from error


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


def _again(folder: Path, catalogue: Catalogue, reporter: Reporter | None) -> Evaluation:
    """Judge a run's stored predictions again: its scores, then what its suite asks for beyond them."""
    scores = scoring.score_run(folder, reporter=reporter)
    findings = analyses.analyse_run(folder, reporter=reporter)
    scores = scores.assign(site=scores["cell"])
    notes = [f"{len(scores):,} figures written to {folder / store.SCORES}"]
    notes += [f"{', '.join(findings)} written to {folder / analyses.FOLDER}"] if findings else []
    tables = [
        score_table(scores, tuple(dict.fromkeys(scores["metric"]))),
        *analysis_tables(open_run(folder, catalogue)),
    ]
    return Evaluation(tuple(notes), scores, pd.DataFrame(), tuple(tables), findings)


def _gaps(results: Results, sites: Sequence[Site], suite: SuiteCard, reporter: Reporter) -> pd.DataFrame:
    """Subtract the AUC at the judged site from that at the reference."""
    reference, judged = results.cells[0], results.cells[-1]
    sides = []
    for cell, site in ((reference, sites[1]), (judged, sites[0])):
        domain = str(site.table.frame["dataset"].iloc[0])
        predictions = results.predictions_of(cell, suite.labels, domain=domain)
        sides.append([predictions] if predictions is not None else [])
    gaps = statistics.gap(
        *sides,
        metric="auc",
        labels=suite.labels,
        replicates=suite.interval.replicates,
        level=suite.interval.level,
        seed=scoring.interval_seed(sites[0].table.frame),
        reporter=reporter,
    )
    return pd.DataFrame([asdict(gap) for gap in gaps])
