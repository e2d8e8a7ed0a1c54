"""Description of a dataset from its metadata: images, patients, views, sex, age, and the states of every label.

Figures are by image unless stated otherwise. Prevalence is positive / (positive + negative), without uncertain and unmentioned
findings: two datasets can be compared only together with the numbers of those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from xrbench.data.datasets.domain import Domain
from xrbench.fixture_notice import STAMP

UNKNOWN = "unknown"
"""Name of missing views and sexes."""

STATES = {"positive": 1.0, "negative": 0.0, "uncertain": -1.0}


@dataclass(frozen=True)
class Ages:
    """Ages in years: mean, standard deviation (n - 1), minimum, maximum, and the number of unknown ones."""

    mean: float
    sd: float
    low: float
    high: float
    missing: int


@dataclass(frozen=True)
class LabelCount:
    """Number of images in which a label is positive, negative, uncertain or not mentioned."""

    label: str
    positive: int
    negative: int
    uncertain: int
    blank: int

    @property
    def prevalence(self) -> float:
        """Share of positive among positive and negative images; NaN when there are none.

        >>> LabelCount("Edema", positive=1, negative=3, uncertain=9, blank=9).prevalence
        0.25
        """
        known = self.positive + self.negative
        return self.positive / known if known else math.nan


@dataclass(frozen=True)
class Description:
    """Description of a domain.

    Attributes:
        name, title, layout, synthetic: Its name, its card's title, the layout of its files, whether its images are synthetic.
        channels: 3 where its images are read in colour, else 1.
        images: Number of images.
        patients, studies: Numbers of patients and studies; None when ids are not published.
        views, sex: Value -> images; ``unknown`` counts what is missing.
        age: Ages by image.
        patient_age: Ages by patient, at the first image in published order; None without patient ids.
        labels: States of each label.
        dropped: Reason -> number of published images left out for it.
        notes: Remarks on this copy.
    """

    name: str
    title: str
    layout: str
    synthetic: bool
    channels: int
    images: int
    patients: int | None
    studies: int | None
    views: Mapping[str, int]
    sex: Mapping[str, int]
    age: Ages
    patient_age: Ages | None
    labels: tuple[LabelCount, ...]
    dropped: Mapping[str, int]
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Return one row a label: label, positive, negative, uncertain, blank, prevalence."""
        rows = [{**asdict(count), "prevalence": count.prevalence} for count in self.labels]
        return pd.DataFrame(rows, columns=["label", *STATES, "blank", "prevalence"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        labels = [{**asdict(count), "prevalence": count.prevalence} for count in self.labels]
        return _plain({**asdict(self), "labels": labels})  # type: ignore[no-any-return]

    def lines(self) -> list[str]:
        """Return everything except the labels as lines of text."""
        stamp = [STAMP] if self.synthetic else []
        people = "no patient ids" if self.patients is None else f"{self.patients:,} patients"
        studies = "" if self.studies is None else f", {self.studies:,} studies"
        lines = [
            f"{self.name}   {self.title}   ({self.layout} layout)",
            f"images    {self.images:,}   {people}{studies}{', in colour' if self.channels == 3 else ''}",
            f"views     {_counts(self.views, self.images)}",
            f"sex       {_counts(self.sex, self.images)}",
            f"age       {_ages(self.age)}",
        ]
        if self.patient_age is not None and not math.isnan(self.patient_age.mean):
            lines.append(f"          {_ages(self.patient_age)} (patients at their first image)")
        lines += [f"left out  {count:,}   {reason}" for reason, count in self.dropped.items()]
        return stamp + lines + [f"note      {note}" for note in self.notes]


def describe(domain: Domain) -> Description:
    """Describe a domain."""
    frame = domain.frame
    identified = bool(frame["patient_id"].notna().any())
    # rows are in published order, so the first row of a patient is the one that is not a duplicate
    first = frame.loc[frame["patient_id"].notna() & ~frame["patient_id"].duplicated(), "age"]
    return Description(
        name=domain.name,
        title=domain.card.title,
        layout=domain.layout,
        synthetic=domain.synthetic,
        channels=domain.channels,
        images=len(frame),
        patients=int(frame["patient_id"].nunique()) if identified else None,
        studies=int(frame["study"].nunique()) if frame["study"].notna().any() else None,
        views=_frequencies(frame["view"]),
        sex=_frequencies(frame["sex"]),
        age=_ages_of(frame["age"]),
        patient_age=_ages_of(first) if identified else None,
        labels=tuple(_label_count(frame, label) for label in domain.labels),
        dropped=dict(domain.dropped),
        notes=domain.notes,
    )


def count_of(domain: Domain, key: str) -> int | None:
    """Return the number that a key of a card's ``counts`` stands for; None when the domain does not determine it.

    Keys are ``images``, ``patients``, ``studies``, ``rows`` (published, with those left out), ``positive:LABEL``,
    ``negative:LABEL``, ``uncertain:LABEL``, ``blank:LABEL``, and ``COLUMN:VALUE`` for any other column, such as ``view:PA``.
    """
    frame = domain.frame
    kind, _, value = key.partition(":")
    if key == "images":
        return len(frame)
    if key == "rows":
        return len(frame) + sum(domain.dropped.values())
    if key in ("patients", "studies"):
        ids = frame["patient_id" if key == "patients" else "study"]
        return int(ids.nunique()) if ids.notna().any() else None
    if kind in (*STATES, "blank"):
        return int(getattr(_label_count(frame, value), kind)) if value in domain.labels else None
    return int((frame[kind] == value).sum()) if kind in frame.columns else None


def _label_count(frame: pd.DataFrame, label: str) -> LabelCount:
    states = frame[label].to_numpy()
    counts = {name: int((states == state).sum()) for name, state in STATES.items()}
    return LabelCount(label, **counts, blank=int(np.isnan(states).sum()))


def _frequencies(values: pd.Series[Any]) -> dict[str, int]:
    known = values.value_counts()
    counts = {str(value): int(count) for value, count in sorted(known.items(), key=lambda item: (-item[1], item[0]))}
    missing = int(values.isna().sum())
    return {**counts, UNKNOWN: missing} if missing else counts


def _ages_of(ages: pd.Series[Any]) -> Ages:
    return Ages(
        mean=float(ages.mean()),
        sd=float(ages.std()),
        low=float(ages.min()),
        high=float(ages.max()),
        missing=int(ages.isna().sum()),
    )


def _counts(counts: Mapping[str, int], total: int) -> str:
    return ", ".join(f"{value} {count:,} ({count / total:.1%})" for value, count in counts.items())


def _ages(ages: Ages) -> str:
    unknown = f", {ages.missing:,} unknown" if ages.missing else ""
    if math.isnan(ages.mean):
        return f"not published{unknown}"
    spread = "" if math.isnan(ages.sd) else f" ± {ages.sd:.1f}"
    return f"{ages.mean:.1f}{spread} years ({ages.low:g} to {ages.high:g}{unknown})"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
