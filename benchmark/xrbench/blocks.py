"""Find a building block by its name and import it only when it is used.

A block is a function or class that a card names: ``sampler = { block = "balanced-batches", replacement = true }``. Executors are named
by ``--executor``, and pages by nobody: every run has all of them. The blocks of xrbench are in one table of ``"module:object"`` strings;
another package adds its own with the entry point group ``xrbench.blocks`` (names ``kind.name``); and any importable object can be named
in full as ``package.module:object``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any

from xrbench.errors import CardError, UnknownNameError, suggestion

BLOCKS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "reader": {
            "nih": "xrbench.data.readers.nih:read",
            "chexpert": "xrbench.data.readers.chexpert:read",
            "mimic": "xrbench.data.readers.mimic:read",
            "padchest": "xrbench.data.readers.padchest:read",
            "vindr": "xrbench.data.readers.vindr:read",
            "table": "xrbench.data.readers.table:read",
        },
        "preprocessing": {
            "centre-crop": "xrbench.data.images.preprocessing:centre_crop",
            "resize": "xrbench.data.images.preprocessing:resize",
            "pad-square": "xrbench.data.images.preprocessing:pad_square",
            "equalize": "xrbench.data.images.contrast:equalize",
            "clahe": "xrbench.data.images.contrast:clahe",
        },
        "protocol": {
            "leave-datasets-out": "xrbench.planning.protocols:leave_datasets_out",
            "internal-external": "xrbench.planning.protocols:internal_external",
        },
        "network": {
            "timm": "xrbench.training.models.networks:timm_network",
            "torchvision": "xrbench.training.models.networks:torchvision_network",
            "torchxrayvision": "xrbench.training.models.networks:torchxrayvision_network",
        },
        "sampler": {
            "random-batches": "xrbench.training.components.samplers:random_batches",
            "balanced-batches": "xrbench.training.components.samplers:balanced_batches",
            "first-dataset-batches": "xrbench.training.components.samplers:first_dataset_batches",
        },
        "objective": {
            "masked-bce": "xrbench.training.components.losses:masked_bce",
            "cross-entropy": "xrbench.training.components.losses:cross_entropy",
            "smooth-l1": "xrbench.training.components.losses:smooth_l1",
            "coral": "xrbench.training.components.domain_objectives:Coral",
            "group-dro": "xrbench.training.components.domain_objectives:GroupDRO",
        },
        "optimiser": {
            "adam": "xrbench.training.components.optimisers:adam",
            "adamw": "xrbench.training.components.optimisers:adamw",
            "sgd": "xrbench.training.components.optimisers:sgd",
        },
        "schedule": {
            "constant": "xrbench.training.components.schedules:constant",
            "step": "xrbench.training.components.schedules:step",
            "cosine": "xrbench.training.components.schedules:cosine",
            "one-cycle": "xrbench.training.components.schedules:one_cycle",
            "time-based": "xrbench.training.components.schedules:time_based",
        },
        "augmentation": {
            "affine": "xrbench.training.components.augmentation:affine",
            "horizontal-flip": "xrbench.training.components.augmentation:horizontal_flip",
        },
        "pruning": {
            "magnitude": "xrbench.training.components.pruning:magnitude",
        },
        "executor": {
            "serial": "xrbench.runs.executors:Serial",
            "processes": "xrbench.runs.executors:Processes",
        },
        "table": {
            "datasets": "xrbench.report.tables.datasets:datasets",
            "settings": "xrbench.report.tables.by_setting:settings",
            "internal-external": "xrbench.report.tables.generalization_gap:internal_external",
            "operating": "xrbench.report.tables.per_test_set:operating",
            "decision-curve": "xrbench.report.tables.per_test_set:decision_curve",
            "subgroups": "xrbench.report.tables.subgroups:subgroups",
            "policies": "xrbench.report.tables.per_test_set:policies",
            "seeds": "xrbench.report.tables.across_settings:seeds",
            "ranks": "xrbench.report.tables.across_settings:ranks",
            "signed-rank": "xrbench.report.tables.across_settings:signed_rank",
            "variance": "xrbench.report.tables.across_settings:variance",
            "matrix": "xrbench.report.tables.across_settings:matrix",
            "hospitals": "xrbench.report.tables.hospitals:hospitals",
            "case-mix": "xrbench.report.tables.hospitals:case_mix",
            "configurations": "xrbench.report.tables.by_training_set:configurations",
            "gaps": "xrbench.report.tables.by_training_set:gaps",
            "splits": "xrbench.report.tables.cohort_flow:splits",
            "trainings": "xrbench.report.tables.trainings:trainings",
            "discordant-errors": "xrbench.report.tables.discordant_errors:discordant_errors",
            "multiclass": "xrbench.report.tables.multiclass:multiclass_accuracy",
            "class-recall": "xrbench.report.tables.multiclass:class_recall",
            "all-metrics": "xrbench.report.tables.multiclass:all_metrics",
            "baseline-accuracy": "xrbench.report.tables.baseline_accuracy:baseline_accuracy",
            "confusion": "xrbench.report.tables.baseline_accuracy:confusion",
            "claims": "xrbench.report.claims.tables:table",
            "claim-parts": "xrbench.report.claims.tables:parts_table",
        },
        "figure": {
            "ages": "xrbench.report.figures.demographics:ages",
            "classes": "xrbench.report.figures.class_prevalence:classes",
            "confidence": "xrbench.report.figures.confidence:confidence",
            "confusion": "xrbench.report.figures.confusion:confusion",
            "loss": "xrbench.report.figures.losses:loss",
            "metrics": "xrbench.report.figures.metric_bars:metrics",
            "prevalence": "xrbench.report.figures.class_prevalence:prevalence",
            "reliability": "xrbench.report.figures.reliability:reliability",
            "roc": "xrbench.report.figures.roc:roc",
            "critical-difference": "xrbench.report.figures.critical_difference:critical_difference",
            "decision-curve": "xrbench.report.figures.decision_curves:decision_curve",
            "explain": "xrbench.report.pages.explanations:figure",
            "discordant-errors": "xrbench.report.figures.discordant_errors:discordant_errors",
        },
        "claim": {
            "gap": "xrbench.report.claims.generalization:gap",
            "configuration-better": "xrbench.report.claims.generalization:configuration_better",
            "models-alike": "xrbench.report.claims.generalization:models_alike",
            "label-weaker": "xrbench.report.claims.generalization:label_weaker",
            "prevalence": "xrbench.report.claims.data_claims:prevalence",
            "younger": "xrbench.report.claims.data_claims:younger",
            "class-order": "xrbench.report.claims.data_claims:class_order",
            "errors-near-threshold": "xrbench.report.claims.data_claims:errors_near_threshold",
            "device-raises-score": "xrbench.report.claims.data_claims:device_raises_score",
            "accuracy-above": "xrbench.report.claims.multiclass:accuracy_above",
            "ensemble-gain": "xrbench.report.claims.multiclass:ensemble_gain",
            "most-predicted": "xrbench.report.claims.multiclass:most_predicted",
            "predicted-next": "xrbench.report.claims.multiclass:predicted_next",
            "best-recalled": "xrbench.report.claims.multiclass:best_recalled",
            "recall-rises": "xrbench.report.claims.multiclass:recall_rises",
            "confidence-falls": "xrbench.report.claims.multiclass:confidence_falls",
            "not-comparable": "xrbench.report.claims.multiclass:not_comparable",
        },
        "page": {
            "README": "xrbench.report.pages.leaderboard:page_of_run",
        },
        "interval": {
            "jackknife": "xrbench.statistics.intervals.interval_kinds:by_jackknife",
            "bootstrap": "xrbench.statistics.intervals.interval_kinds:by_percentiles",
            "bca": "xrbench.statistics.intervals.interval_kinds:by_bca",
            "stratified": "xrbench.statistics.intervals.interval_kinds:by_percentiles",
            "delong": "xrbench.statistics.intervals.interval_kinds:by_delong",
            "delong-plain": "xrbench.statistics.intervals.interval_kinds:by_delong_plain",
            "wilson": "xrbench.statistics.intervals.interval_kinds:by_wilson",
        },
    }
)
"""Kind of block -> name -> where it is; a test imports every row."""

ENTRY_POINTS = "xrbench.blocks"


def known(kind: str) -> tuple[str, ...]:
    """List the names of all blocks of a kind, those of installed packages among them."""
    return tuple(sorted({*BLOCKS[kind], *_installed(kind)}))


def find(kind: str, name: str, *, where: str = "") -> Callable[..., Any]:
    """Import the block of that kind and name.

    Args:
        kind: A key of ``BLOCKS``.
        name: A name in the table, an entry point's name, or ``package.module:object``.
        where: The card that names it, for the message.

    Raises:
        UnknownNameError: Nothing of that name; the nearest one is offered.
        CardError: The named object cannot be imported.
    """
    target = BLOCKS[kind].get(name) or _installed(kind).get(name) or (name if ":" in name else None)
    place = f"{where}: " if where else ""
    if target is None:
        raise UnknownNameError(kind, name, known(kind), where=where)
    module, _, attribute = target.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name in {"torch", "torchvision", "timm", "torchxrayvision"}:
            raise CardError(f'{place}{kind} {name!r} needs {error.name}: pip install "xrbench[train]"') from error
        raise CardError(f"{place}{kind} {name!r}: no module {error.name!r} (looked for {target})") from error
    except Exception as error:
        raise CardError(
            f"{place}{kind} {name!r}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    block: Callable[..., Any] | None = getattr(imported, attribute, None)
    if block is None:
        raise CardError(f"{place}{kind} {name!r}: {module} has no {attribute!r}{suggestion(attribute, vars(imported))}")
    if not callable(block):
        raise CardError(f"{place}{kind} {name!r}: {target} is not a function")
    return block


def split(kind: str, spec: str | Mapping[str, Any], *, where: str = "") -> tuple[str, dict[str, Any]]:
    """Separate a card's block field into the block's name and its options.

    >>> split("schedule", {"block": "step", "every": 3})
    ('step', {'every': 3})
    >>> split("schedule", "constant")
    ('constant', {})
    """
    if isinstance(spec, str):
        return spec, {}
    options = dict(spec)
    name = options.pop("block", None)
    if not isinstance(name, str):
        place = f"{where}: " if where else ""
        raise CardError(f'{place}a {kind} is named by a field "block", such as {{ block = "{known(kind)[0]}" }}')
    return name, options


def check_options(kind: str, name: str, options: Mapping[str, Any], *, where: str = "") -> Callable[..., Any]:
    """Find a block and refuse options that its signature does not know.

    Raises:
        CardError: An option is unknown; the nearest parameter is offered.
    """
    block = find(kind, name, where=where)
    parameters = inspect.signature(block).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return block
    accepted = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for option in options:
        if option not in accepted:
            place = f"{where}: " if where else ""
            raise CardError(f"{place}{kind} {name!r} has no option {option!r}{suggestion(option, accepted)}")
    return block


def _installed(kind: str) -> dict[str, str]:
    prefix = f"{kind}."
    points = metadata.entry_points(group=ENTRY_POINTS)
    return {point.name[len(prefix) :]: point.value for point in points if point.name.startswith(prefix)}
