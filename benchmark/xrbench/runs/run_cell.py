"""One measured cell, as scores, leaderboards and manifests describe it: what was trained, and on what it was tested.

``planning.Cell`` is what a plan intends to measure; a ``RunCell`` is what was measured, with training sets joined to one text as in the
columns of the scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

VALIDATION = "validation"
GIVEN = "given"
"""Column of scores and analyses, and field of cells, that names a parent which all seeds share."""
ANCESTORS = "ancestors"
"""Column of scores, and field of cells, that names the fits which a fit starts from, joined by ``JOINED_BY``."""
SOMETIMES = (GIVEN, ANCESTORS)
"""Columns of scores that are there only where a cell has a value."""
JOINED_BY = "; "


@dataclass(frozen=True, kw_only=True)
class RunCell:
    """One model on one test set.

    Attributes:
        setting: Name of the setting; empty for a pretrained model, which belongs to none.
        configuration: Name of the training set, where the protocol names it.
        method, model: Card names.
        members: How many fits its scores are the mean of; 1 for a single fit.
        train: Training datasets, joined by ``+``; empty for a pretrained model.
        valid: Validation dataset, ``held-out`` or ``none``.
        test: Test datasets, joined by ``+``.
        protocol: ``internal``, ``external``, ``resubstitution`` or ``validation``.
        seed: Seed of the fit; the lowest of an ensemble's.
        seen: Whether the weights had seen images of the test dataset before.
        cell: Name of the cell.
        given: The parent that the fits of all seeds share; empty where there is none.
        ancestors: Names of the fits that its fit starts from, as far as each seed has its own.
    """

    setting: str = ""
    configuration: str = ""
    method: str
    model: str
    members: int = 1
    train: str
    valid: str = ""
    test: str
    protocol: str
    seed: int = 0
    seen: bool = False
    cell: str
    given: str = ""
    ancestors: tuple[str, ...] = ()

    @classmethod
    def of_scores(cls, row: Mapping[Any, Any]) -> RunCell:
        """Read a cell from one of its rows in the scores; scores of before ensembles do not say how many members it has."""
        texts = {name: str(row[name]) for name in HEAD if name not in ("members", "seed", "seen")}
        members = 1 if pd.isna(row["members"]) else int(row["members"])
        seed, seen = int(row["seed"]), bool(row["seen"])
        ancestors = tuple(name for name in str(row.get(ANCESTORS, "")).split(JOINED_BY) if name)
        given = str(row.get(GIVEN, ""))
        return cls(**texts, members=members, seed=seed, seen=seen, given=given, ancestors=ancestors)

    @classmethod
    def of_manifest(cls, entry: Mapping[str, Any]) -> RunCell:
        """Read a cell from its entry in a run's manifest."""
        direct = ("setting", "method", "model", "valid", "test", "protocol", "seed", "seen", "cell")
        return cls(
            **{name: entry[name] for name in direct},
            configuration=entry.get("configuration", ""),
            members=entry.get("members", max(1, len(entry["fits"]))),
            train="+".join(entry["train"]),
            given=entry.get(GIVEN, ""),
            ancestors=tuple(entry.get(ANCESTORS, ())),
        )

    @property
    def head(self) -> dict[str, Any]:
        """Its values in the columns of ``HEAD``."""
        return {name: getattr(self, name) for name in HEAD}

    @property
    def fit(self) -> str:
        """Name of the fit, or ensemble, that it measures."""
        return self.cell.rpartition("/")[0]

    @property
    def chain(self) -> tuple[str, ...]:
        """Names of the fits of its training, ancestors included; empty for a pretrained model, which is not trained here."""
        return (self.fit, *self.ancestors) if self.train else ()

    @property
    def validation(self) -> str:
        """Name of the cell that holds the validation predictions of the same fit."""
        return f"{self.fit}/{VALIDATION}"

    @property
    def line(self) -> tuple[str, str]:
        """Method and model."""
        return self.method, self.model

    @property
    def training_set(self) -> str:
        """Name of the training set, or its datasets where it has none."""
        return self.configuration or self.train

    @property
    def is_ensemble(self) -> bool:
        """Whether its scores are the mean of several fits' scores."""
        return self.members > 1

    def matches(self, values: Mapping[str, Sequence[str]]) -> bool:
        """Tell whether each of these columns has one of the values that are allowed for it."""
        return all(str(getattr(self, name)) in allowed for name, allowed in values.items())


HEAD = tuple(field.name for field in fields(RunCell) if field.name not in SOMETIMES)
"""Columns that say which cell a row of a table is about; those of ``SOMETIMES`` are more where a cell has a value."""


def cells_of(scores: pd.DataFrame) -> tuple[RunCell, ...]:
    """List the cells of tidy scores, in the order of their first rows."""
    return tuple(RunCell.of_scores(row) for row in scores.drop_duplicates("cell").to_dict("records"))
