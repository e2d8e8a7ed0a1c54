"""The cells that a figure shows, and the names of them and their sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.planning import settings_of
from xrbench.rendering.numbers import plural
from xrbench.report.figures.layout.options import Names, asked
from xrbench.report.figures.layout.style import Look, look
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import patients_of
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.resampling.clusters import encode

PROTOCOLS = ("internal", "resubstitution", "validation", "external")
WORDS: Mapping[str, str] = {"resubstitution": "resubstitution (training images)", "validation": "validation images"}
"""Protocols that must not be mistaken for held-out ones, in words."""
PRETRAINED = "pretrained"

ScoreRows = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""Cell, label and metric -> row of the scores."""


@dataclass(frozen=True, kw_only=True)
class ShownCell(RunCell):
    """One cell of a figure, of one seed.

    Attributes:
        training: Name of the training set in the picture.
        seeds: All seeds that were measured of it, in ascending order; the figure shows ``seed``.
        cells: The cells of all seeds, in their order.
    """

    training: str
    seeds: tuple[int, ...]
    cells: tuple[str, ...]

    @property
    def where(self) -> str:
        """Protocol and test set."""
        return f"{WORDS.get(self.protocol, self.protocol)}, {self.test}{' (seen in training)' if self.seen else ''}"

    @property
    def system(self) -> str:
        """Method, with the number of fits that an ensemble averages."""
        return f"{self.method} (of {self.members})" if self.members > 1 else self.method

    def about(self) -> dict[str, Any]:
        """Return the columns before a figure's numbers."""
        named = {"method": self.method, "model": self.model, "configuration": self.training, "train": self.train}
        return {**named, "test": self.test, "protocol": self.protocol, "seed": self.seed, "members": self.members}


def measured(
    run: Run,
    layout: FigureLayout,
    *,
    method: Names = (),
    model: Names = (),
    configuration: Names = (),
    protocol: Names = ("internal", "resubstitution", "external"),
    seed: int | None = None,
) -> list[ShownCell]:
    """List the cells that a figure shows, in the suite's order; of several seeds the lowest one, unless one is asked for.

    Raises:
        CardError: An option is neither a name nor a list of names.
        UnknownNameError: A name is known neither to the suite nor to the scores.
    """
    known = names_of(run, run.cells())
    given = {"method": method, "model": model, "configuration": configuration}
    chosen = {option: asked(value, option, known[option], layout) for option, value in given.items()}
    chosen["protocol"] = asked(protocol, "protocol", PROTOCOLS, layout)
    cells = [
        cell
        for cell in run.results.cells
        if all(not names or getattr(cell, name) in names for name, names in chosen.items())
    ]
    groups: dict[tuple[str, ...], list[tuple[RunCell, str]]] = {}
    for cell, training in zip(cells, training_names([asdict(cell) for cell in cells]), strict=True):
        groups.setdefault((cell.method, cell.model, training, cell.protocol, cell.test), []).append((cell, training))
    order = _order(run)
    shown = [_shown(members, seed) for members in groups.values()]

    def place(cell: ShownCell) -> tuple[int, ...]:
        return (
            known["method"].index(cell.method),
            known["model"].index(cell.model),
            order.get((cell.configuration, cell.train), len(order)),
            PROTOCOLS.index(cell.protocol),
        )

    return sorted((cell for cell in shown if cell is not None), key=place)


def names_of(run: Run, rows: pd.DataFrame) -> dict[str, list[str]]:
    """List methods, models and configurations: the suite's in its order, then any others that rows have."""
    suite, profiles = run.suite, run.suite.profiles.values()
    listed = {
        "method": [*suite.methods, *(name for profile in profiles for name in profile.methods)],
        "model": [*suite.models, *(name for profile in profiles for name in profile.models)],
        "configuration": [each.name for each in suite.protocol.configurations],
    }
    return {option: list(dict.fromkeys([*names, *filter(None, rows[option])])) for option, names in listed.items()}


def datasets_of(run: Run) -> list[str]:
    """List the datasets that a run or its suite names, whether they were there or not."""
    settings = settings_of(run.suite.protocol)
    named = [
        *(name for setting in settings for name in (*setting.train, setting.test)),
        *run.manifest.get("missing", ()),
    ]
    return list(dict.fromkeys([*(entry["dataset"] for entry in run.manifest["datasets"]), *named]))


def by_system(cells: Sequence[ShownCell]) -> list[tuple[str, list[ShownCell]]]:
    """Group cells by method and model; a group is named by what differs between groups."""
    methods, models = {c.method for c in cells}, {c.model for c in cells}
    groups: dict[tuple[str, str], list[ShownCell]] = {}
    for cell in cells:
        groups.setdefault((cell.method, cell.model), []).append(cell)
    named = []
    for (method, model), members in groups.items():
        parts = [method if len(methods) > 1 else "", model if len(models) > 1 else ""]
        named.append((" ".join(part for part in parts if part), members))
    return named


def subject(cells: Sequence[ShownCell]) -> str:
    """Name what a picture of one method and model shows, with its training set where there is one only."""
    first, trained = cells[0], trainings(cells)
    return ", ".join([first.system, first.model, *(trained if len(trained) == 1 else ())])


def training_note(cells: Sequence[ShownCell]) -> str:
    """Explain resubstitution where it is shown; empty where it is not."""
    if not any(cell.protocol == "resubstitution" for cell in cells):
        return ""
    return (
        "Resubstitution: measured on the images that the model was trained on; not to be compared with other figures."
    )


def seeds_note(cells: Sequence[ShownCell]) -> str:
    """Name the seed that is shown where there are several; empty where there is one."""
    several = sorted({(cell.seed, cell.seeds) for cell in cells if len(cell.seeds) > 1})
    if not several:
        return ""
    texts = "; ".join(f"seed {seed} of {', '.join(map(str, seeds))}" for seed, seeds in several)
    return f"Of several fits one is shown: {texts}."


def looks(cells: Iterable[ShownCell]) -> dict[str, Look]:
    """Give each cell its look: of each training set the first internal test set is solid, the first external one dashed."""
    looks_of: dict[str, Look] = {}
    taken: Counter[tuple[str, bool]] = Counter()
    for cell in dict.fromkeys(cells):
        external = cell.protocol == "external"
        # Internal sets take the looks of even numbers and external ones those of odd numbers, so that panels agree.
        looks_of[cell.cell] = look(2 * taken[cell.training, external] + external)
        taken[cell.training, external] += 1
    return looks_of


def trainings(cells: Sequence[ShownCell]) -> list[str]:
    """List the training sets of cells in their order."""
    return list(dict.fromkeys(cell.training for cell in cells))


def counts_text(positive: int, labelled: int, patients: int | None) -> str:
    """Write the numbers of images and patients of a curve.

    >>> counts_text(12, 1204, 987)
    '12 positive of 1,204 images, 987 patients'
    """
    return f"{positive:,} positive of {labelled:,} images, {patients_text(patients)}"


def patients_text(patients: float | None) -> str:
    """Write the number of patients, or that it is not known.

    >>> patients_text(987), patients_text(None)
    ('987 patients', 'patients not known')
    """
    return "patients not known" if patients is None or pd.isna(patients) else plural(int(patients), "patient")


def patients_among(frame: pd.DataFrame, kept: npt.NDArray[np.bool_]) -> int | None:
    """Count the patients of some rows of a predictions frame; None where there are no ids."""
    patients = patients_of(frame)
    return None if patients is None else encode(patients[kept], int(kept.sum())).size


def score_rows(run: Run) -> ScoreRows:
    """Index the rows of the scores by cell, label and metric."""
    rows = ({str(name): value for name, value in row.items()} for row in run.scores.to_dict("records"))
    return {(row["cell"], row["label"], row["metric"]): row for row in rows}


def training_names(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Name training sets: by configuration, or by datasets and whatever else differs between them.

    Args:
        rows: With ``configuration``, ``train`` (datasets joined by ``+``), ``valid`` and ``cell`` (its name).

    >>> row = {"configuration": "", "train": "a+b", "valid": "c", "cell": ""}
    >>> training_names([row]), training_names([row, {**row, "valid": "d"}])
    (['a+b'], ['a+b, validated on c', 'a+b, validated on d'])
    """
    valids: dict[str, set[str]] = {}
    for row in rows:
        valids.setdefault(row["train"], set()).add(row["valid"])
    return [_training_name(row, valid=len(valids[row["train"]]) > 1) for row in rows]


def _training_name(row: Mapping[Any, Any], *, valid: bool) -> str:
    if row["configuration"]:
        return str(row["configuration"])
    if not row["train"]:
        return PRETRAINED
    guard = re.search(r"/without-([^/]+)(/|$)", row["cell"])
    return "".join(
        [row["train"], f", validated on {row['valid']}" if valid else "", f" without {guard[1]}" if guard else ""]
    )


def _order(run: Run) -> dict[tuple[str, str], int]:
    """Number the suite's training sets."""
    named = ((setting.configuration, "+".join(setting.train)) for setting in settings_of(run.suite.protocol))
    return {name: i for i, name in enumerate(dict.fromkeys(named))}


def _shown(members: Sequence[tuple[RunCell, str]], seed: int | None) -> ShownCell | None:
    first_of: dict[int, tuple[RunCell, str]] = {}
    for cell, training in members:
        first_of.setdefault(cell.seed, (cell, training))
    seeds = tuple(sorted(first_of))
    chosen = seeds[0] if seed is None else seed
    if chosen not in first_of:
        return None
    cell, training = first_of[chosen]
    return ShownCell(
        **asdict(cell), training=training, seeds=seeds, cells=tuple(first_of[value][0].cell for value in seeds)
    )
