"""Commands on predictions and scores: ``score``, ``compare``, ``report``, ``reproduce``, ``leaderboard``; none needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xrbench import blocks
from xrbench.cli import options
from xrbench.progress import reporter

RESULTS = click.Path(path_type=Path)
INTERVALS = ("default", *blocks.BLOCKS["interval"])


@click.command("score", short_help="Judge predictions from anywhere.")
@click.argument("predictions", type=RESULTS)
@click.option(
    "--labels",
    "truth",
    type=RESULTS,
    metavar="FILE",
    help="Table with the truth, if it does not stand beside the scores.",
)
@click.option(
    "--compare",
    "reference",
    type=RESULTS,
    metavar="FILE",
    help="The same model's predictions elsewhere: gives the gap and the threshold.",
)
@click.option("--compare-labels", "reference_truth", type=RESULTS, metavar="FILE", help="Truth of --compare.")
@click.option(
    "--target",
    metavar="WHAT=SHARE",
    help="Operating point, such as sensitivity=0.9; its threshold is set on --compare.",
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="What to compute (default: auc, average-precision)."
)
@click.option(
    "--subgroup",
    "subgroups",
    multiple=True,
    metavar="COLUMN[=EDGES]",
    help="Judge parts of the patients: sex, or age=18,40,60,80 with where bands begin.",
)
@click.option("--minimum", type=click.IntRange(1), metavar="N", help="Smaller groups are suppressed (default: 20).")
@click.option(
    "--prevalence",
    "prevalences",
    multiple=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Also state predictive values of --target at this prevalence.",
)
@click.option(
    "--decision", "decisions", metavar="SHARES", help="Threshold probabilities of a decision curve: 0.05,0.1,0.2."
)
@click.option(
    "--interval", type=options.OneOf("kind of interval", INTERVALS), help="Kind of interval (default: default)."
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Confidence level (default: 0.95).",
)
@click.option("--logits", is_flag=True, help="Scores are logits.")
@click.option(
    "--replicates", default=1000, show_default=True, type=click.IntRange(100), metavar="N", help="Bootstrap replicates."
)
@click.option("--csv", "csv_out", type=RESULTS, metavar="FILE", help="Write the scores as CSV, other findings beside.")
@click.option("--html", "html_out", type=RESULTS, metavar="FILE", help="Write a page that opens offline.")
@options.many(options.catalogue, options.as_json, options.quiet)
def score(
    catalogues: tuple[str, ...], as_json: bool, quiet: bool, csv_out: Path | None, html_out: Path | None, **given: Any
) -> None:
    """Judge PREDICTIONS from anywhere (CSV or Parquet), or a run folder (or --out folder) again.

    The table has a row an image: image, patient_id, and a score a label; see the README for its columns.

    \b
    Example:  xrbench score vendor.csv --labels site_b.csv --compare vendor_site_a.csv --target sensitivity=0.9
    """
    from xrbench.prediction_files import evaluate

    cards = options.open_catalogue(catalogues)
    predictions = given.pop("predictions")
    path = run_folder(predictions, None, None) if predictions.is_dir() else predictions
    evaluation = evaluate.judge(path, cards, reporter=reporter(quiet=quiet or as_json), **given)
    if csv_out:
        evaluation.write_csv(csv_out)
    if html_out:
        evaluation.write_html(html_out)
    if as_json:
        options.echo_json(evaluation.to_dict())
    else:
        click.echo(evaluation.text())


@click.command("compare", short_help="Compare two runs, or the methods of one.")
@click.argument("first", metavar="A", type=RESULTS)
@click.argument("second", metavar="[B]", type=RESULTS, required=False)
@click.option(
    "--methods", metavar="CHALLENGER,BASELINE", help="Compare two methods of A instead of the suite's declared pairs."
)
@click.option("--metric", metavar="NAME", help="What is compared (default: what the suite declares, else the AUC).")
@click.option("--margin", type=click.FloatRange(0), metavar="X", help="Differences smaller than this do not matter.")
@click.option(
    "--gate",
    is_flag=True,
    help="Exit 0: no regression; 1: regression; 2: inconclusive or nothing measured; 3: broken input.",
)
@click.option(
    "--replicates", default=1000, show_default=True, type=click.IntRange(100), metavar="N", help="Bootstrap replicates."
)
@click.option(
    "--adjust",
    type=options.OneOf("adjustment", ["holm", "bh"]),
    help="How p-values are adjusted for their number (default: as the suite says).",
)
@click.option(
    "--about",
    type=options.OneOf("question", ["methods", "networks"]),
    help="What verdicts are about: methods, trained anew (trainings and patients vary), or these networks (patients vary). "
    "Default: methods for the methods of a run, networks for two runs; with --gate, methods where both have 3 trainings.",
)
@click.option(
    "--every-label",
    is_flag=True,
    help="With --gate: pass only where a loss is excluded for every label, not for their mean.",
)
@click.option("--across", is_flag=True, help="Also test over settings: Wilcoxon's signed ranks, Friedman's ranks.")
@options.many(options.only_cells, options.as_json, options.quiet)
def compare(as_json: bool, quiet: bool, **given: Any) -> int:
    """Compare run B with run A, paired over patients; or, without B, the methods of A.

    A and B are run folders, --out folders, leaderboard folders or scores.csv files.

    \b
    Example:  xrbench compare leaderboards/ood-cxr runs --gate --margin 0.02
    """
    from xrbench import compare as comparing

    comparison = comparing.run(reporter=reporter(quiet=quiet or as_json), **given)
    if as_json:
        options.echo_json(comparison.to_dict())
    else:
        click.echo(comparison.text())
    return comparison.exit_code


@click.command("report", short_help="Write the tables and page of a run again.")
@click.argument("results", metavar="[RESULTS | SUITE]", type=RESULTS, required=False)
@click.option("--suite", metavar="NAME", help="The suite whose newest run below --out is meant.")
@click.option("--table", "table_name", metavar="NAME", help="Print one table only.")
@click.option(
    "--format",
    "form",
    type=options.OneOf("format", ["txt", "md", "tex", "csv", "html"]),
    default="txt",
    show_default=True,
    help="Its form.",
)
@options.many(options.out, options.catalogue)
def report(
    results: Path | None,
    suite: str | None,
    table_name: str | None,
    form: str,
    out: str | None,
    catalogues: tuple[str, ...],
) -> None:
    """Write tables, figures and page of a run again from its stored scores, and print the tables.

    \b
    Example:  xrbench report --suite ood-cxr --table table2 --format tex
    """
    from xrbench.errors import UnknownNameError
    from xrbench.rendering.table import FORMS
    from xrbench.report.pages import publish

    folder = run_folder(results, suite, out)
    written = publish.publish(folder, options.open_catalogue(catalogues))
    if table_name is None:
        click.echo(written.summary())
        return
    tables = {table.name: table for table in written.tables}
    if table_name not in tables:
        raise UnknownNameError("table", table_name, tables)
    click.echo(FORMS[form](tables[table_name]).rstrip("\n"))


@click.command("reproduce", short_help="Set a paper's figures and claims beside a run.")
@click.argument("results", metavar="[RESULTS | SUITE]", type=RESULTS, required=False)
@click.option("--suite", metavar="NAME", help="The suite whose newest run below --out is meant.")
@options.many(options.out, options.catalogue, options.as_json)
def reproduce(
    results: Path | None, suite: str | None, out: str | None, catalogues: tuple[str, ...], as_json: bool
) -> None:
    """Set the paper's figures beside a run's, with a verdict on each, and hold its claims against the run.

    \b
    Example:  xrbench reproduce --suite ood-cxr
    """
    from xrbench.errors import UsageError
    from xrbench.report.claims import evaluate as claims
    from xrbench.report.pages.reproduction import reproduction
    from xrbench.report.run_folder import open_run

    folder = run_folder(results, suite, out)
    run = open_run(folder, options.open_catalogue(catalogues))
    if run.paper is None:
        raise UsageError(f"suite {run.suite.name}: has no paper with reported figures")
    values, verdicts = reproduction(run.scores, run.suite, run.paper), claims.judged(run)
    if as_json:
        options.echo_json({**values.to_dict(), "claims": [claims.to_dict(verdict) for verdict in verdicts]})
        return
    click.echo(values.text())
    if verdicts:
        click.echo("\n".join(claims.lines(verdicts, stamp=run.stamp, notes=claims.partly(run))))


@click.command("leaderboard", short_help="Write what a run measured to leaderboards/.")
@click.argument("results", metavar="[RESULTS | SUITE]", type=RESULTS, required=False)
@click.option("--suite", metavar="NAME", help="The suite whose newest run below --out is meant.")
@click.option(
    "--into",
    type=RESULTS,
    metavar="DIR",
    help="Catalogue whose leaderboards/ is written (default: the working folder).",
)
@click.option(
    "--predictions/--no-predictions", default=False, help="Also keep the predictions, where the data may be shared."
)
@click.option("--caveat", "caveats", multiple=True, metavar="TEXT", help="A sentence that stands on the page.")
@options.many(options.out, options.catalogue)
def leaderboard(
    results: Path | None,
    suite: str | None,
    into: Path | None,
    out: str | None,
    catalogues: tuple[str, ...],
    **given: Any,
) -> None:
    """Write what a run measured to leaderboards/SUITE: scores, page, exact command.

    \b
    Example:  xrbench leaderboard --suite ood-cxr --into my-catalogue --predictions
    """
    from xrbench.report.pages import leaderboard as boards

    folder = run_folder(results, suite, out)
    written = boards.write(folder, (into or Path()) / "leaderboards", options.open_catalogue(catalogues), **given)
    click.echo(f"written: {written}")


def run_folder(results: Path | None, suite: str | None, out: str | None) -> Path:
    """Return the run folder that a command means.

    Args:
        results: A run folder, an ``--out`` folder, or the name of a suite in its place.
        suite: Name of the suite whose newest run is meant.
        out: The option ``--out``.

    Raises:
        StoreError: There is no such folder, or no run in it.
    """
    from xrbench.errors import StoreError, suggestion
    from xrbench.runs.store import MANIFEST, Store

    if results is not None and (results / MANIFEST).is_file():
        return results
    if results is not None and suite is None and not results.exists() and len(results.parts) == 1:
        named = Store(Path(options.settings(out=out)["out"].value).expanduser()).runs(str(results))
        if named:
            return named[0]
    root = results or Path(options.settings(out=out)["out"].value).expanduser()
    if not root.exists():
        raise StoreError(f"{root}: no such folder")
    runs = Store(root).runs(suite)
    if not runs:
        suites = {run.parent.name for run in Store(root).runs()}
        nearest = suggestion(suite, suites) if suite and suites else ""
        raise StoreError(f"{root}: no run{f' of suite {suite!r}' if suite else ''} in it{nearest}")
    return runs[0]
