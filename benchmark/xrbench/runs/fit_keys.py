"""Keys of a bound plan's fits and cells; its pixel caches must be open.

``cache_keys`` hashes given values; here they are taken from the plan and its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xrbench import cards
from xrbench.data.images import preprocessing
from xrbench.data.splits import split
from xrbench.planning import Cell, Fit
from xrbench.runs import cache_keys
from xrbench.runs.bound_plan import BoundPlan


@dataclass(frozen=True)
class Keys:
    """Keys of a run: name -> key, of fits and of cells."""

    fits: Mapping[str, str]
    cells: Mapping[str, str]


def keys_of(bound: BoundPlan) -> Keys:
    """Compute the keys of all fits and cells."""
    fits = {fit.name: fit_key(bound, fit) for fit in bound.fits}
    return Keys(fits, {cell.name: cell_key(bound, cell, fits) for cell in bound.cells})


def rows_digest(bound: BoundPlan, part: split.Part, model: cards.ModelCard) -> str:
    """Hash ids, patients, truth and pixels of the rows of a part, as the model is fed them."""
    size = bound.image_size(model)
    digests = []
    for name, rows in part.items():
        domain = bound.domains[name]
        frame = domain.frame.iloc[rows]
        pixels = bound.caches[domain.base, size].digests(frame["path"].tolist())
        patients, truth = domain.members.patient[rows], domain.truth[rows].ravel()
        digests.append(split.rows_digest([name, domain.base], frame["image"].tolist(), patients, truth, pixels))
    return split.rows_digest(digests)


def preprocessing_digest(bound: BoundPlan, model: cards.ModelCard) -> str:
    """Hash the steps between a file and its cached pixels."""
    return preprocessing.digest(bound.plan.suite.preprocessing, image_size=bound.image_size(model), channels=1)


def fit_key(bound: BoundPlan, fit: Fit) -> str:
    """Return the key of a fit."""
    recipe, parts = bound.plan.recipes[fit.name], bound.parts[fit.name]
    return cache_keys.fit_key(
        recipe,
        train=rows_digest(bound, parts.train, recipe.model),
        valid=rows_digest(bound, parts.valid, recipe.model),
        preprocessing=preprocessing_digest(bound, recipe.model),
    )


def cell_key(bound: BoundPlan, cell: Cell, fit_keys: Mapping[str, str]) -> str:
    """Return the key of a cell, given those of the fits (name -> key)."""
    if cell.is_ensemble:
        return cache_keys.ensemble_key(member_keys(bound, cell, fit_keys))
    model = bound.catalogue.model(cell.model)
    return cache_keys.cell_key(
        [fit_keys[name] for name in cell.fits],
        rows=rows_digest(bound, bound.part(cell), model),
        preprocessing=preprocessing_digest(bound, model),
        model=None if cell.fits else model,
        labels=bound.plan.suite.labels,
    )


def member_keys(bound: BoundPlan, cell: Cell, fit_keys: Mapping[str, str]) -> list[str]:
    """Return the keys of the cells whose scores an ensemble averages: one a fit, on the same rows."""
    model = bound.catalogue.model(cell.model)
    rows, pixels = rows_digest(bound, bound.part(cell), model), preprocessing_digest(bound, model)
    labels = bound.plan.suite.labels
    return [cache_keys.cell_key([fit_keys[name]], rows=rows, preprocessing=pixels, labels=labels) for name in cell.fits]
