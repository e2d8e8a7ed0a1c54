"""The log of a fit: the figures of an epoch as one row, and in words beside the progress bar."""

from __future__ import annotations

import math

from xrbench.cards import Head, MethodCard, Recipe
from xrbench.training.components import base_loss
from xrbench.training.fitting import selection
from xrbench.training.fitting.checkpoint import Progress, Row
from xrbench.training.fitting.loop import Epoch, Loop
from xrbench.training.fitting.validation import ValidationResult


def row(epoch: int, figures: Epoch, result: ValidationResult, loop: Loop) -> Row:
    """Return one row of the log.

    ``train_loss`` and ``valid_loss`` are the same quantity, the base loss over all images; ``objective`` is what was minimised, where
    that is another one. Metrics of the labels stand under ``valid_auc`` and ``valid_accuracy``; those of other heads, and the losses of
    several heads, under ``head.valid_auc`` and the like.
    """
    method = loop.recipe.method
    several = len(method.learned) > 1
    minimised = {"objective": figures.objective} if _differs(figures, method) else {}
    values: Row = {"epoch": epoch, "train_loss": figures.loss, **minimised, "valid_loss": result.loss}
    for head in method.learned:
        values |= _of_head(head, figures, result, loop.recipe, with_losses=several)
    return {
        **values,
        "lr": figures.lr,
        "images_per_second": figures.images / figures.seconds,
        "seconds": figures.seconds,
        **{f"drawn:{name}": int(n) for name, n in zip(loop.train.domains, figures.images_by_domain, strict=True)},
    }


def note(progress: Progress, recipe: Recipe, figures: Epoch, result: ValidationResult) -> str:
    """Describe the last epoch in words."""
    start = f"epoch {progress.epoch}/{recipe.epochs}  loss {figures.loss:.3f}"
    if math.isnan(result.loss):
        return start
    rule, value = selection.figure(recipe), result.value(selection.figure(recipe))
    name = "AUC" if rule.metric == "auc" else rule.metric
    is_labels = any(head.name == rule.head and head.kind == "labels" for head in recipe.method.learned)
    shown = "undefined" if math.isnan(value) else f"{value:.3f}"
    best = "" if math.isnan(progress.best_value) else f" (best {progress.best_value:.3f} @ {progress.best_epoch})"
    return f"{start}  valid {'' if is_labels else f'{rule.head} '}{name} {shown}{best}"


def _of_head(head: Head, figures: Epoch, result: ValidationResult, recipe: Recipe, *, with_losses: bool) -> Row:
    values: Row = {}
    of_head = result.heads[head.name]
    prefix = "" if head.kind == "labels" else f"{head.name}."
    if with_losses:
        trained = {} if head.kind == "none" else {f"{head.name}.train_loss": figures.losses[head.name]}
        values |= {**trained, f"{head.name}.valid_loss": of_head.loss}
    values |= {f"{prefix}valid_{metric}": value for metric, value in of_head.metrics.items()}
    if head.kind == "labels":
        values |= {f"valid_auc:{label}": float(auc) for label, auc in zip(recipe.labels, of_head.aucs, strict=True)}
    return values


def _differs(figures: Epoch, method: MethodCard) -> bool:
    """Return whether what is minimised is not the logged loss: weighted, a sum over groups, or of all groups together."""
    if all(head.kind == "none" for head in method.learned):
        return False
    return base_loss.is_joint(method) or method.task_weights != "none" or figures.groups > 1
