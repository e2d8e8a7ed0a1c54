"""Selection of an epoch: the figure of validation that decides, and the epoch that has the best one so far."""

from __future__ import annotations

import math

from xrbench.cards import Recipe, Selection
from xrbench.training.components import heads
from xrbench.training.fitting.checkpoint import Progress
from xrbench.training.fitting.head_metrics import METRICS
from xrbench.training.fitting.validation import ValidationResult


def figure(recipe: Recipe) -> Selection:
    """Return the figure that selects an epoch, or that is shown where the last one is kept.

    That is the first metric of the labels, or else of the first head; the loss of a head without truth.
    """
    method = recipe.method
    if isinstance(method.selection, Selection):
        return method.selection
    head = heads.labels_head(method.learned) or method.learned[0]
    return Selection(head=head.name, metric=next(iter(METRICS[head.kind]), "loss"))


def keeps_last(recipe: Recipe) -> bool:
    """Return whether the last epoch is kept, whatever its figures."""
    return recipe.method.selection == "last"


def needs_validation(recipe: Recipe) -> bool:
    """Return whether a fit cannot do without validation images."""
    return not keeps_last(recipe) or recipe.method.patience > 0


def take_in(progress: Progress, result: ValidationResult, recipe: Recipe) -> bool:
    """Record the figure of the epoch that was trained last; return whether it is the selected one now."""
    rule, value = figure(recipe), result.value(figure(recipe))
    # until the figure is defined the latest epoch is selected; a comparison with NaN is False, so an undefined one never replaces it
    undecided = math.isnan(progress.best_value)
    better = value > progress.best_value if rule.larger_is_better else value < progress.best_value
    if not (keeps_last(recipe) or undecided or better):
        return False
    progress.best_epoch, progress.best_value = progress.epoch, value
    return True


def out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    """Return whether training stops before its last epoch."""
    # a patience of 0 never stops
    return 0 < recipe.method.patience <= progress.epoch - progress.best_epoch


def undefined_note(progress: Progress, recipe: Recipe) -> str:
    """Say that no epoch could be selected; empty where one was."""
    if keeps_last(recipe) or not math.isnan(progress.best_value):
        return ""
    rule = figure(recipe)
    if recipe.method.selection == "best-mean-auc":
        return "no label has both a positive and a negative in validation: the last epoch was kept"
    return f"{rule.metric} of head {rule.head!r} is defined at no epoch: the last epoch was kept"
