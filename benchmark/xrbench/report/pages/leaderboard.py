"""The page of a run or a leaderboard: a pure function of its files and of what papers reported.

A leaderboard folder holds ``scores.csv``, ``meta.json`` (the suite as it was, the exact command, versions, caveats, the declared
comparisons), ``analyses/`` (what else was concluded) and, where the data may be shared, ``predictions.parquet``; ``README.md`` is
rendered from them and can be rendered again.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from xrbench import analyses
from xrbench.cards import SuiteCard, TableLayout
from xrbench.catalogue import Catalogue
from xrbench.compare.scores_io import META, PREDICTIONS, Results, open_results
from xrbench.errors import MeasureError, StoreError, UsageError
from xrbench.files import write_atomic
from xrbench.rendering.markdown import escape_markdown
from xrbench.rendering.table import Table
from xrbench.report.pages.reproduction import reproduction
from xrbench.report.run_folder import Run, paper_of, suite_of
from xrbench.report.tables import build
from xrbench.report.tables.method_comparisons import comparison_tables, declared
from xrbench.runs import store

FORMAT = "xrbench-leaderboard-1"
PAGE = "README.md"
COPIED = ("profile_name", "profile", "data", "settings", "splits", "ages", "notes", "environment")
FOLDED = 24
"""Rows above which a table of the page is folded."""
TRAININGS = "trainings"
KEPT = ("image", "patient_id", "dataset")


def write(
    run: Path, root: Path, catalogue: Catalogue, *, predictions: bool = False, caveats: Sequence[str] = ()
) -> Path:
    """Write what a run measured as a leaderboard folder.

    Args:
        run: A scored run folder.
        root: The ``leaderboards`` folder of a catalogue.
        catalogue: Where papers' reported figures are.
        predictions: Whether to keep the predictions too (image and patient ids, truth, scores): for synthetic or open data only.
        caveats: Sentences that stand on the page.

    Returns:
        The written folder.

    Raises:
        StoreError: ``run`` is not a scored run, or the folder cannot be written.
        MeasureError: Predictions are asked for and one is missing.
        UsageError: Predictions are asked for, and the terms of a dataset do not allow them to be published.
    """
    results = open_results(run)
    if predictions:
        _check_shareable(run)
    meta = meta_of(store.read_manifest(run), declared(results, suite_of(store.read_manifest(run))), caveats)
    folder = root / suite_of(meta).name
    try:
        write_atomic(folder / store.SCORES, (run / store.SCORES).read_bytes())
        store.write_json(folder / META, meta)
        _copy_analyses(run, folder)
        (folder / PREDICTIONS).unlink(missing_ok=True)
        if predictions:
            store.write_predictions(folder / PREDICTIONS, all_predictions(results), {"suite": suite_of(meta).name})
        write_atomic(folder / PAGE, render(folder, catalogue).encode())
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder


def _copy_analyses(run: Path, folder: Path) -> None:
    """Copy the run's analyses beside the scores, and remove those that it does not have."""
    for name in analyses.ANALYSES:
        there, here = (root / analyses.FOLDER / f"{name}.csv" for root in (run, folder))
        if there.is_file():
            write_atomic(here, there.read_bytes())
        else:
            here.unlink(missing_ok=True)


def _check_shareable(run: Path) -> None:
    """Refuse to publish ids and truth of patients unless every dataset's card says that its terms allow it."""
    closed = [entry["dataset"] for entry in store.read_manifest(run)["datasets"] if not entry.get("shareable", False)]
    if closed:
        raise UsageError(
            f"{', '.join(closed)}: predictions hold image and patient ids, which these terms do not allow to be published "
            "(a dataset card says otherwise with shareable = true); leave out --predictions"
        )


def render(folder: Path, catalogue: Catalogue) -> str:
    """Render the page of a leaderboard folder again from its files."""
    meta = store.read_json(folder / META)
    suite = suite_of(meta)
    run = Run(folder, meta, suite, open_results(folder / store.SCORES), paper_of(suite, catalogue))
    return page(run, meta)


def page_of_run(run: Run) -> str:
    """Render the page of a run, with its figures."""
    meta = meta_of(run.manifest, declared(run.results, run.suite), ())
    figures = sorted(path.name for path in (run.folder / "figures").glob("*.svg"))
    return page(run, meta, figures=figures) + "\n".join(_trainings(run))


def _trainings(run: Run) -> list[str]:
    """Show what the fits took, at the end of the page unless the suite names the table; a leaderboard does not know it."""
    named = any(layout.kind == TRAININGS for layout in run.suite.tables)
    table = None if named else build.run_table(run, TableLayout(name=TRAININGS, kind=TRAININGS))
    return [] if table is None else ["", "## Trainings", "", *_folded(table)]


def meta_of(
    manifest: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]], caveats: Sequence[str]
) -> dict[str, Any]:
    """Select what a leaderboard needs from a run's manifest; folders of the machine are left out."""
    failed = [
        {"name": e.get("cell", e.get("name")), "reason": e["failed"]} for e in _entries(manifest) if e.get("failed")
    ]
    return {
        "format": FORMAT,
        "suite": manifest["suite"],
        **{name: manifest[name] for name in COPIED if name in manifest},
        "datasets": list(manifest.get("datasets", [])),
        "missing": sorted(manifest.get("missing", {})),
        "failed": failed,
        "command": public_command(manifest.get("command", "")),
        "date": str(manifest.get("written", ""))[:10],
        "caveats": list(caveats),
        "comparisons": list(comparisons),
    }


def public_command(command: str) -> str:
    """Replace the folders of the machine in a command by DIR.

    >>> public_command("xrbench run --suite open-cxr --data-root /home/me/cxr --out=/tmp/x --only seed=0")
    'xrbench run --suite open-cxr --data-root DIR --out=DIR --only seed=0'
    """
    tokens = []
    for token in shlex.split(command):
        name, equals, value = token.rpartition("=")
        is_path = value.startswith(("/", "~", "..")) or bool(re.match(r"[A-Za-z]:[\\/]", value))
        tokens.append(f"{name}{equals}DIR" if is_path else token)
    return shlex.join(tokens)


def all_predictions(results: Results) -> pd.DataFrame:
    """Concatenate all cells' predictions, with a column ``cell``.

    Raises:
        MeasureError: A cell has none.
    """
    frames = []
    for cell in dict.fromkeys(results.scores["cell"]):
        frame = results.predictions(cell)
        if frame is None:
            raise MeasureError(f"{results.where}: {cell}: predictions are missing")
        columns = [name for name in frame.columns if name in KEPT or str(name).startswith(("truth:", "score:"))]
        frames.append(frame[columns].assign(cell=cell))
    return pd.concat(frames, ignore_index=True)


def page(run: Run, meta: Mapping[str, Any], *, figures: Sequence[str] = ()) -> str:
    """Write the page.

    Args:
        run: The run or leaderboard.
        meta: As ``meta_of`` makes it.
        figures: File names below ``figures/`` to show.
    """
    suite = run.suite
    lines = [f"# {escape_markdown(suite.title)}", ""]
    lines += [f"> **{run.stamp}**", ""] if run.stamp else []
    lines += _provenance(suite, meta)
    lines += ["## Results", ""]
    lines += [table.markdown() for table in build.suite_tables(run)]
    lines += [f"![{name.removesuffix('.svg')}](figures/{name})\n" for name in figures]
    compared = [table.markdown() for table in comparison_tables(meta["comparisons"])]
    lines += ["## Comparison of methods", "", *compared] if compared else []
    lines += _conclusions(run)
    lines += [table.markdown() for table in build.wins_tables(run)]
    if run.paper is not None and not run.stamp:
        lines += ["## Beside the paper", "", reproduction(run.scores, suite, run.paper).markdown()]
    every = build.scores_table(run, metric="auc" if "auc" in suite.metrics else suite.metrics[0])
    lines += ["## Every figure", "", "All metrics stand in [scores.csv](scores.csv).", ""]
    lines += ["<details><summary>Each cell and label, with counts</summary>", "", every.markdown(), "</details>"]
    return "\n".join(lines) + "\n"


def _conclusions(run: Run) -> list[str]:
    """Show the analyses that the suite asks for; long tables are folded."""
    lines = [line for table in build.analysis_tables(run) for line in _folded(table)]
    source = "Every row, with its interval, counts and reasons, stands in the folder [analyses](analyses)."
    return ["## Beyond the scores", "", source, "", *lines] if lines else []


def _folded(table: Table) -> list[str]:
    """Write a table, folded where it is long."""
    if sum(map(len, table.blocks)) <= FOLDED:
        return [table.markdown()]
    return [f"<details><summary>{escape_markdown(table.caption)}</summary>", "", table.markdown(), "</details>", ""]


def _provenance(suite: SuiteCard, meta: Mapping[str, Any]) -> list[str]:
    environment = meta.get("environment", {})
    libraries = ", ".join(f"{name} {version}" for name, version in environment.get("libraries", {}).items())
    facts = {
        "Suite": suite.name,
        "Profile": _profile(meta),
        "Data": "synthetic images" if meta.get("data") == "FIXTURE" else "real images",
        "Made": meta["date"],
        "With": f"xrbench {environment.get('xrbench', '')}, Python {environment.get('python', '')}, {libraries}",
        "On": ", ".join(str(environment[name]) for name in ("machine", "device") if environment.get(name)),
        "Code": environment.get("code", ""),
    }
    lines = [f"- {name}: {escape_markdown(str(text))}" for name, text in facts.items() if text]
    lines += [f"- Not measured, data missing: {escape_markdown(', '.join(meta['missing']))}"] if meta["missing"] else []
    for failure in meta["failed"]:
        lines.append(f"- Failed: {escape_markdown(failure['name'])}: {escape_markdown(failure['reason'])}")
    lines += ["", "```", meta["command"].replace("```", ""), "```", ""] if meta["command"] else [""]
    caveats = [*meta["caveats"], *meta.get("notes", [])]
    lines += [*(f"- {escape_markdown(text)}" for text in caveats), ""] if caveats else []
    return lines + ([escape_markdown(suite.notes), ""] if suite.notes else [])


def _profile(meta: Mapping[str, Any]) -> str:
    profile = meta.get("profile", {})
    parts = [
        f"{profile[name]} {word}" for name, word in (("image_size", "px"), ("epochs", "epochs")) if name in profile
    ]
    return f"{meta.get('profile_name', '')} ({', '.join(parts)})" if parts else str(meta.get("profile_name", ""))


def _entries(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*manifest.get("fits", []), *manifest.get("cells", [])]
