"""What a whole run costs: images of each fit at the published sizes, and hours at the measured speed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.paper_steps.records import Record
from xrbench import blocks, cards
from xrbench.catalogue import Catalogue
from xrbench.errors import CardError
from xrbench.planning import Fit, Plan
from xrbench.report.reported_values import Reported, reported


@dataclass(frozen=True)
class Sizes:
    """Images of a fit at the published sizes.

    Attributes:
        train: Training images of each dataset.
        valid: Validation images of an epoch.
        test: Images that its cells are tested on, once.
    """

    train: tuple[int, ...]
    valid: int
    test: int


@dataclass(frozen=True)
class Cost:
    """What the fits of one model, method and training set cost.

    Attributes:
        suite, model, method: Names of the cards.
        training_set: Name of the training set, or ``each setting`` where all settings have the same sizes.
        fits: How many fits there are.
        images: Images drawn in an epoch.
        epochs: Epochs of a fit.
        hours: Hours of one fit by the clock: its steps, the validation of each epoch and its tests.
        hours_alone: The same by processor time over threads, for a machine that does nothing else.
        gpu_gib: Memory that the case took on the CPU beyond that of its start, in GiB.
    """

    suite: str
    model: str
    method: str
    training_set: str
    fits: int
    images: int
    epochs: int
    hours: float
    hours_alone: float
    gpu_gib: float


class Published:
    """Published numbers of images, as the paper of a suite prints them, or else as the cards of the datasets do.

    Args:
        suite: The suite.
        catalogue: Where its paper and datasets are.
    """

    def __init__(self, suite: cards.SuiteCard, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.paper: Reported | None = reported(*catalogue.papers[suite.paper]) if suite.paper else None

    def sizes(self, plan: Plan, fit: Fit) -> Sizes:
        """Look up or compute the sizes of a fit.

        Raises:
            CardError: They are published nowhere.
        """
        limits = plan.profile.limits
        if limits.train:
            # every dataset of such a suite has more images than the limit; tests are external and internal
            return Sizes((limits.train,) * len(fit.train), limits.valid, limits.test * (1 + len(fit.train)))
        rule = fit.split or plan.profile.split
        parts = [self._parts(name, rule) for name in fit.train]
        external = {cell.test for cell in plan.cells if fit.name in cell.fits and cell.protocol == "external"}
        tested = sum(self._images(name, "test", "all") for name in external)
        return Sizes(
            tuple(part.train[0] for part in parts),
            sum(part.valid for part in parts) if fit.validated else 0,
            sum(part.test for part in parts) + tested,
        )

    def _parts(self, dataset: str, rule: cards.SplitRule) -> Sizes:
        """Return the images of one training dataset in each split."""
        if rule.kind == "everything":
            images = self._images(dataset, "all")
            return Sizes((images,), 0, images)
        printed = [self._printed(dataset, split) for split in ("train", "valid", "test")]
        if all(printed):
            return Sizes((printed[0],), printed[1], printed[2])
        # where the paper does not print them, the shares of patients are taken for shares of images
        images = self._images(dataset, "all")
        test = math.ceil(rule.test_fraction * images)
        valid = math.ceil(rule.valid_fraction * (images - test))
        return Sizes((images - test - valid,), valid, test)

    def _images(self, dataset: str, *splits: str) -> int:
        """Return the printed number of images of the first of these splits that has one, or that of the dataset's card."""
        found = next((count for split in splits if (count := self._printed(dataset, split))), 0)
        found = found or int(self.catalogue.dataset(dataset).counts.get("images", 0))
        if not found:
            raise CardError(
                f"dataset {dataset}: counts: images: expected a number, as its size is published nowhere else"
            )
        return found

    def _printed(self, dataset: str, split: str) -> int:
        if self.paper is None:
            return 0
        rows = self.paper.quantities
        chosen = rows[(rows["about"] == dataset) & (rows["split"] == split) & (rows["quantity"] == "images")]
        return 0 if chosen.empty else int(chosen["value"].iloc[0])


def costs(plan: Plan, catalogue: Catalogue, records: Sequence[Record]) -> list[Cost]:
    """Compute what the fits of a plan cost, those of equal cost in one row; what is not measured is left out.

    Args:
        plan: A suite under its profile.
        catalogue: Where its cards are.
        records: Measured on one device.
    """
    published = Published(plan.suite, catalogue)
    measured = {record.key[:4]: record for record in records}
    groups: dict[tuple[str, str, str, Sizes], list[Fit]] = {}
    for fit in plan.fits:
        key = (fit.model, fit.method, fit.configuration, published.sizes(plan, fit))
        groups.setdefault(key, []).append(fit)
    rows = []
    for (model, method, configuration, sizes), fits in groups.items():
        record = measured.get((plan.suite.name, plan.profile_name, model, method))
        if record is None:
            continue
        recipe = plan.recipes[fits[0].name]
        alone = record.step_cpu_seconds / record.threads, record.evaluation_cpu_seconds / record.threads
        rows.append(
            Cost(
                suite=plan.suite.name,
                model=model,
                method=method,
                training_set=configuration or "each setting",
                fits=len(fits),
                images=steps_of(recipe, sizes, record) * record.batch * record.groups,
                epochs=recipe.epochs,
                hours=seconds_of(recipe, sizes, record, record.step_seconds, record.evaluation_seconds) / 3600,
                hours_alone=seconds_of(recipe, sizes, record, *alone) / 3600,
                gpu_gib=(record.peak_memory_mib - record.start_memory_mib) / 1024,
            )
        )
    return rows


def steps_of(recipe: cards.Recipe, sizes: Sizes, record: Record) -> int:
    """Return the steps of an epoch: as the profile says, or one pass as ``samplers.steps_in_epoch`` counts it."""
    if recipe.steps_per_epoch:
        return recipe.steps_per_epoch
    _, options = blocks.split("sampler", recipe.method.sampler)
    if options.get("groups"):
        return math.ceil(sum(sizes.train) / (record.batch * record.groups))
    return math.ceil(max(sizes.train) / record.batch)


def seconds_of(recipe: cards.Recipe, sizes: Sizes, record: Record, step: float, evaluation: float) -> float:
    """Return the seconds of a fit and of its tests, from those of a step of the optimiser and of an evaluation batch."""
    updates = math.ceil(steps_of(recipe, sizes, record) / record.accumulate)
    validation, tests = math.ceil(sizes.valid / record.batch), math.ceil(sizes.test / record.batch)
    return recipe.epochs * (updates * step + validation * evaluation) + tests * evaluation
