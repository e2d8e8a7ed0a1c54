"""Saliency maps of a run's networks for selected images, and their comparison with readers' boxes.

``explain`` computes them for one question. ``explain_for_suite`` computes those that a suite's figures of kind ``explain`` show,
once the run has measured, and stores them in the run folder, from which ``report`` draws panels without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec

from xrbench import planning
from xrbench.cards import FigureLayout
from xrbench.catalogue import Catalogue
from xrbench.data.datasets.sources import DataRoots
from xrbench.errors import CardError, StoreError, XrbenchError, suggestion
from xrbench.explain.compute import compute, description
from xrbench.explain.image_selection import read_list
from xrbench.explain.image_source import ImageSource, from_plan, from_roots
from xrbench.explain.query import Question
from xrbench.explain.run_cells import ExplainableRun, open_run
from xrbench.explain.storage import ABOUT, Explained, clear, write
from xrbench.fixture_notice import FIXTURE
from xrbench.progress import Reporter, Silent
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.store import read_json, without_nan

__all__ = [
    "FOLDER",
    "KIND",
    "Explained",
    "Question",
    "clear",
    "explain",
    "explain_for_suite",
    "question_of",
    "read_list",
    "write",
]

FOLDER = "explained"
"""Folder of explanations in a run folder."""
KIND = "explain"
"""Kind of a figure that shows them."""
FIXTURE_FOLDER = "fixture"
"""Folder of the synthetic images below ``--out``."""


def explain(
    folder: Path,
    catalogue: Catalogue,
    question: Question,
    *,
    roots: DataRoots | None = None,
    cache: Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Explained:
    """Explain images of a run.

    Args:
        folder: The run folder.
        catalogue: Where the cards of datasets are.
        question: Which images, labels and technique.
        roots: Where the data are; by default, for a run on the synthetic fixture, its folder below ``--out``.
        cache: Folder of pixel caches; that below ``--out`` by default.
        device: Where it is computed.
        jobs: Processes that read images.
        reporter: Where progress goes.

    Raises:
        XrbenchError: See ``compute``; or the data are missing.
    """
    import xrbench.training.prediction.grad_cam  # noqa: F401 - fails before anything is read where torch is not installed

    run = open_run(folder)
    data = roots or DataRoots()
    if run.manifest["data"] == FIXTURE and data.default is None and (run.out / FIXTURE_FOLDER).is_dir():
        data = replace(data, default=run.out / FIXTURE_FOLDER)
    source = ImageSource(
        find=from_roots(catalogue, data),
        suite=run.suite,
        catalogue=catalogue,
        cache=cache or run.out / "cache",
        jobs=jobs,
        reporter=reporter or Silent(),
    )
    return compute(run, question, source, device=device)


def explain_for_suite(
    folder: Path,
    bound: BoundPlan,
    catalogue: Catalogue,
    *,
    cache: Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Compute what the figures of kind ``explain`` of a run's suite show, unless it is stored already.

    A figure that cannot be explained is reported with the reason, and the others are computed.

    Args:
        folder: The run folder, measured (and scored, for its thresholds).
        bound: The plan with its data.
        catalogue: Where the vocabulary is.
        cache: Folder of pixel caches; that below ``--out`` by default.
        device: Where it is computed.
        jobs: Processes that read images.
        reporter: Where progress goes.

    Returns:
        One folder a figure, below ``FOLDER`` of the run folder.

    Raises:
        CardError: A figure has an option that does not exist, or one of another type.
    """
    suite, say = bound.plan.suite, reporter or Silent()
    questions = {layout.name: question_of(layout, suite.name) for layout in suite.figures if layout.kind == KIND}
    if not questions:
        return []
    run = open_run(folder)
    planned = {cell.name for cell in bound.plan.cells}
    run = replace(run, cells=tuple(cell for cell in run.cells if cell.cell in planned and cell.path.is_file()))
    source = ImageSource(from_plan(bound), run.suite, catalogue, cache or run.out / "cache", jobs, say)
    folders = []
    for name, question in questions.items():
        target = run.folder / FOLDER / name
        try:
            if not _is_current(target, run, question):
                explained = compute(run, question, source, device=device)
                clear(target)
                write(target, explained)
            folders.append(target)
        except XrbenchError as error:
            say.line(f"figure {name}: not explained: {error}")
    return folders


def question_of(layout: FigureLayout, suite: str) -> Question:
    """Read a figure's options as a question.

    They have the names of the command line: ``label``, ``image``, ``count``, ``target``, ``technique``, ``layer``, ``boxes``,
    ``tolerance``, and ``method``, ``model``, ``train``, ``test`` and the like, one value or several, which select cells.

    Raises:
        CardError: There is no such option, or it is of another type.

    >>> options = {"label": "Effusion", "method": ["a", "b"], "count": 3}
    >>> question = question_of(FigureLayout(name="figure7", kind="explain", options=options), "s")
    >>> question.labels, question.only, question.count
    (('Effusion',), ('method=a,b',), 3)
    """
    where = f"suite {suite}: figure {layout.name}"
    direct = [field.name for field in fields(Question) if field.name not in ("labels", "images", "only")]
    several = {**dict.fromkeys(planning.ONLY_FIELDS, ""), "label": "labels", "image": "images"}
    values: dict[str, Any] = {"only": []}
    for name, value in layout.options.items():
        if name not in (*direct, *several):
            raise CardError(f"{where}: no option {name!r}{suggestion(name, (*direct, *several))}")
        listed = list(value) if isinstance(value, list | tuple) else [value]
        if name in planning.ONLY_FIELDS:
            values["only"].append(f"{name}={','.join(map(str, listed))}")
        else:
            values |= {several[name]: listed} if name in several else {name: value}
    try:
        return msgspec.convert(values, Question)
    except msgspec.ValidationError as error:
        raise CardError(f"{where}: options: {error}") from error


def _is_current(target: Path, run: ExplainableRun, question: Question) -> bool:
    """Tell whether a folder holds the answer to this question for these cells, or for more of them."""
    try:
        stored: Mapping[str, Any] = read_json(target / ABOUT)
    except StoreError:
        return False
    current = without_nan(description(run, question, run.select(question.only)))
    same = all(stored.get(name) == current[name] for name in ("asked", "layers"))
    return same and set(stored.get("keys", ())) >= set(current["keys"])
