"""Which cells a figure shows, and what they and their sizes are called."""

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
from xrbench.report.figures.options import Names, asked
from xrbench.report.figures.style import Look, look
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import patients_of
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.resampling.clusters import encode

PROTOCOLS = ("internal", "resubstitution", "validation", "external")
WORDS: Mapping[str, str] = {"resubstitution": "resubstitution (training images)", "validation": "validation images"}
"""Protocols that must not be mistaken for held-out ones, in words."""
AS_IT_COMES = "as it comes"


@dataclass(frozen=True, kw_only=True)
class ShownCell(RunCell):
    """One cell of a figure, of one seed.

    Attributes:
        training: What the training set is called in the picture.
        seeds: All seeds that were measured of it, rising; the figure shows ``seed``.
        cells: The cells of all seeds, in their order.
    """

    training: str
    seeds: tuple[int, ...]
    cells: tuple[str, ...]

    @property
    def where(self) -> str:
        """Say what it was measured on."""
        return f"{WORDS.get(self.protocol, self.protocol)}, {self.test}{' (seen in training)' if self.seen else ''}"

    @property
    def system(self) -> str:
        """Name the method, with the number of fits that an ensemble averages."""
        return f"{self.method} (of {self.members})" if self.members > 1 else self.method

    def about(self) -> dict[str, Any]:
        """Give the columns that stand before a figure's numbers."""
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
        CardError: An option is not of the wanted form.
        UnknownNameError: A name is known neither to the suite nor to the scores.
    """
    known = names_of(run, run.cells())
    given = {"method": method, "model": model, "configuration": configuration}
    wanted = {option: asked(value, option, known[option], layout) for option, value in given.items()}
    wanted["protocol"] = asked(protocol, "protocol", PROTOCOLS, layout)
    cells = [
        cell
        for cell in run.results.cells
        if all(not names or getattr(cell, name) in names for name, names in wanted.items())
    ]
    groups: dict[tuple[str, ...], list[tuple[RunCell, str]]] = {}
    for cell, training in zip(cells, training_names([asdict(cell) for cell in cells]), strict=True):
        groups.setdefault((cell.method, cell.model, training, cell.protocol, cell.test), []).append((cell, training))
    order = _order(run)
    found = [_shown(members, seed) for members in groups.values()]

    def place(one: ShownCell) -> tuple[int, ...]:
        return (
            known["method"].index(one.method),
            known["model"].index(one.model),
            order.get((one.configuration, one.train), len(order)),
            PROTOCOLS.index(one.protocol),
        )

    return sorted((one for one in found if one is not None), key=place)


def names_of(run: Run, rows: pd.DataFrame) -> dict[str, list[str]]:
    """List methods, models and configurations: the suite's in its order, then any others that rows have."""
    suite, profiles = run.suite, run.suite.profiles.values()
    listed = {
        "method": [*suite.methods, *(name for profile in profiles for name in profile.methods)],
        "model": [*suite.models, *(name for profile in profiles for name in profile.models)],
        "configuration": [one.name for one in suite.protocol.configurations],
    }
    return {option: list(dict.fromkeys([*names, *filter(None, rows[option])])) for option, names in listed.items()}


def datasets_of(run: Run) -> list[str]:
    """List the datasets that a run or its suite names, whether they were there or not."""
    settings = settings_of(run.suite.protocol)
    named = [*(name for one in settings for name in (*one.train, one.test)), *run.manifest.get("missing", ())]
    return list(dict.fromkeys([*(entry["dataset"] for entry in run.manifest["datasets"]), *named]))


def by_system(cells: Sequence[ShownCell]) -> list[tuple[str, list[ShownCell]]]:
    """Divide cells by method and model, each with a name that is as short as it may be."""
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
    """Say what resubstitution is where it is shown; nothing where it is not."""
    if not any(cell.protocol == "resubstitution" for cell in cells):
        return ""
    return "Resubstitution: measured on the images that the model learnt from; not to be compared with other figures."


def seeds_note(cells: Sequence[ShownCell]) -> str:
    """Say which seed is shown where there are several; nothing where there is one."""
    several = sorted({(cell.seed, cell.seeds) for cell in cells if len(cell.seeds) > 1})
    if not several:
        return ""
    said = "; ".join(f"seed {seed} of {', '.join(map(str, seeds))}" for seed, seeds in several)
    return f"Of several fits one is shown: {said}."


def looks(cells: Iterable[ShownCell]) -> dict[str, Look]:
    """Give each cell its look: the first set inside a training set's datasets is solid, the first outside is dashed."""
    found: dict[str, Look] = {}
    taken: Counter[tuple[str, bool]] = Counter()
    for cell in dict.fromkeys(cells):
        outside = cell.protocol == "external"
        found[cell.cell] = look(2 * taken[cell.training, outside] + outside)
        taken[cell.training, outside] += 1
    return found


def trainings(cells: Sequence[ShownCell]) -> list[str]:
    """List the training sets of cells in their order."""
    return list(dict.fromkeys(cell.training for cell in cells))


def counts_text(positive: int, labelled: int, patients: int | None) -> str:
    """Say how many images and patients stand behind a curve.

    >>> counts_text(12, 1204, 987)
    '12 positive of 1,204 images, 987 patients'
    """
    return f"{positive:,} positive of {labelled:,} images, {patients_text(patients)}"


def patients_text(patients: float | None) -> str:
    """Say how many patients there are, or that it is not known.

    >>> patients_text(987), patients_text(None)
    ('987 patients', 'patients not known')
    """
    return "patients not known" if patients is None or pd.isna(patients) else plural(int(patients), "patient")


def patients_among(frame: pd.DataFrame, kept: npt.NDArray[np.bool_]) -> int | None:
    """Count the patients of some rows of a predictions frame; None where there are no ids."""
    patients = patients_of(frame)
    return None if patients is None else encode(patients[kept], int(kept.sum())).size


def score_rows(run: Run) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Index the rows of the scores by cell, label and metric."""

    def index() -> dict[tuple[str, str, str], dict[str, Any]]:
        rows = ({str(name): value for name, value in row.items()} for row in run.scores.to_dict("records"))
        return {(row["cell"], row["label"], row["metric"]): row for row in rows}

    return run.once("score rows", index)


def training_names(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Name training sets as briefly as tells them apart: by configuration, or by datasets and what else differs.

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
        return AS_IT_COMES
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
