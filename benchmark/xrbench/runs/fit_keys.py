"""Keys of a bound plan's fits and cells; its pixel caches must be open.

``cache_keys`` hashes given values; here they are taken from the plan and its data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xrbench import cards
from xrbench.data.images import preprocessing
from xrbench.data.labels.head_truth import head_truth, metadata_heads
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
    fits = fit_keys(bound)
    return Keys(fits, {cell.name: cell_key(bound, cell, fits) for cell in bound.cells})


def fit_keys(bound: BoundPlan) -> dict[str, str]:
    """Compute the keys of all fits, name -> key; parents come first in a plan, since their keys stand in those of their children."""
    keys: dict[str, str] = {}
    for fit in bound.fits:
        keys[fit.name] = fit_key(bound, fit, [keys[parent] for parent in fit.parents])
    return keys


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


def preprocessing_digest(bound: BoundPlan, model: cards.ModelCard, *parts: split.Part) -> str:
    """Hash the steps between a file and its cached pixels; one hash for grey and one for colour where the parts have both."""
    steps, size = bound.plan.suite.preprocessing, bound.image_size(model)
    channels = {bound.domains[name].published.channels for part in parts for name in part}
    return "+".join(preprocessing.digest(steps, image_size=size, channels=number) for number in sorted(channels))


def fit_key(bound: BoundPlan, fit: Fit, parents: Sequence[str] = ()) -> str:
    """Return the key of a fit, given those of the fits that it starts from."""
    recipe, parts = bound.plan.recipes[fit.name], bound.parts[fit.name]
    train, valid = (
        "".join((rows_digest(bound, part, recipe.model), *_heads_digest(bound, part, recipe.method)))
        for part in (parts.train, parts.valid)
    )
    preprocessing = preprocessing_digest(bound, recipe.model, parts.train, parts.valid)
    return cache_keys.fit_key(recipe, train=train, valid=valid, preprocessing=preprocessing, parents=parents)


def _heads_digest(bound: BoundPlan, part: split.Part, method: cards.MethodCard) -> list[str]:
    """Hash what each head learns from a metadata column; nothing for a method that learns the suite's labels alone."""
    return [
        split.rows_digest(
            [head.name],
            *(
                head_truth(head, bound.domains[name].frame.iloc[rows], dataset=name).ravel()
                for name, rows in part.items()
            ),
        )
        for head in metadata_heads(method)
    ]


def cell_key(bound: BoundPlan, cell: Cell, keys: Mapping[str, str]) -> str:
    """Return the key of a cell, given those of the fits (name -> key)."""
    if cell.is_ensemble:
        return cache_keys.ensemble_key(member_keys(bound, cell, keys))
    model, part = bound.catalogue.model(cell.model), bound.part(cell)
    return cache_keys.cell_key(
        [keys[name] for name in cell.fits],
        rows=rows_digest(bound, part, model),
        preprocessing=preprocessing_digest(bound, model, part),
        model=None if cell.fits else model,
        labels=bound.plan.suite.labels,
    )


def member_keys(bound: BoundPlan, cell: Cell, keys: Mapping[str, str]) -> list[str]:
    """Return the keys of the cells whose scores an ensemble averages: one a fit, on the same rows."""
    model, part = bound.catalogue.model(cell.model), bound.part(cell)
    rows, pixels = rows_digest(bound, part, model), preprocessing_digest(bound, model, part)
    labels = bound.plan.suite.labels
    return [cache_keys.cell_key([keys[name]], rows=rows, preprocessing=pixels, labels=labels) for name in cell.fits]
