"""Describe the data of a bound plan, for the manifest: what is used of each dataset, its splits, and its patients' ages."""

from __future__ import annotations

from typing import Any

from xrbench.data.datasets.demographics import age_bands, age_of_patients, describe_split
from xrbench.data.labels import policies as labelling
from xrbench.runs.bound_plan import BoundPlan


def describe_datasets(bound: BoundPlan) -> list[dict[str, Any]]:
    """Describe what is used of each dataset, as the first table of a paper does."""
    return [_describe_dataset(bound, name) for name in bound.domains]


def _describe_dataset(bound: BoundPlan, name: str) -> dict[str, Any]:
    domain = bound.domains[name]
    trained = [len(parts.train[name]) for parts in bound.parts.values() if name in parts.train]
    mean_age, sd_age = age_of_patients(domain.frame)
    return {
        "dataset": name,
        "base": domain.base,
        "title": domain.card.title,
        "images": len(domain.frame),
        "patients": int(domain.frame["patient_id"].nunique()) if domain.by_patient else None,
        "mean_age": mean_age,
        "sd_age": sd_age,
        "unreadable": int(bound.unreadable[name].sum()) if name in bound.unreadable else 0,
        "used": max(trained, default=0),
        "pathologies": len(set(domain.labels) - labelling.APART),
        "region": domain.card.region or domain.published.region,
        "synthetic": domain.synthetic,
        "shareable": domain.synthetic or domain.published.shareable,
        "digest": domain.digest,
        "of": domain.total,
    }


def describe_splits(bound: BoundPlan) -> list[dict[str, Any]]:
    """Count images, patients and labels of each dataset, and of each part of its splits, for a cohort flow chart.

    A split that several fits share is listed once, with the first of their seeds.
    """
    labels, described = bound.plan.suite.labels, []
    for name, domain in bound.domains.items():
        whole = describe_split(domain.frame, domain.truth, labels)
        described.append({"configuration": "", "dataset": name, "seed": 0, "split": "all", **whole})
    seen: set[tuple[str, str, str, bytes]] = set()
    for fit in bound.fits:
        parts = bound.parts[fit.name]
        sides = {"train": parts.train, "valid": parts.valid, "test": {**parts.external, **parts.internal}}
        configuration = fit.configuration or "+".join(fit.train)
        for side, part in sides.items():
            for name, rows in part.items():
                same = (configuration, name, side, rows.tobytes())
                if same in seen or not len(rows):
                    continue
                seen.add(same)
                domain = bound.domains[name]
                counts = describe_split(domain.frame.iloc[rows], domain.truth[rows], labels)
                described.append(
                    {"configuration": configuration, "dataset": name, "seed": fit.seed, "split": side, **counts}
                )
    return described


def describe_ages(bound: BoundPlan) -> list[dict[str, Any]]:
    """Count the patients of each dataset by sex and age."""
    return [{"dataset": name, **band} for name, domain in bound.domains.items() for band in age_bands(domain.frame)]
