"""Label policies: published states of findings as the truth that models are trained and evaluated on.

A published label has four states: positive (1), negative (0), uncertain (-1) and not mentioned (NaN). A *policy* turns them
into a truth of 1, 0 or NaN, where NaN is left out of losses and metrics. Since datasets differ in what a blank means, the
policy decides which images a figure is computed on: it is a named choice, never a default hidden in a reader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Blank, Uncertain, Vocabulary
from xrbench.cards import Mapping as LabelMapping
from xrbench.errors import CardError, UnknownNameError, UsageError, suggestion

NO_FINDING = "No Finding"
APART = frozenset({NO_FINDING, "Support Devices"})
"""Labels whose blanks "No Finding" does not decide: itself, and devices, which are not findings."""

EVERY_OTHER = "*"
"""Key of a policy for all labels without a choice of their own."""

Truth = npt.NDArray[np.float32]


class Lookup:
    """Look-up of findings in a vocabulary, in any spelling.

    Args:
        vocabulary: The shared names with their synonyms.

    Raises:
        CardError: A name or synonym could mean two findings.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._names: dict[str, str] = {}
        for name, pathology in vocabulary.pathologies.items():
            for spelling in (name, *pathology.synonyms):
                other = self._names.setdefault(normalised(spelling), name)
                if other != name:
                    raise CardError(f"pathologies.toml: {spelling!r} stands for both {other!r} and {name!r}")

    def __call__(self, name: str, *, where: str = "") -> str:
        """Return the shared name of a finding.

        Raises:
            UnknownNameError: The vocabulary does not have it; the nearest name is offered.
        """
        shared_name = self.get(name)
        if shared_name is None:
            raise UnknownNameError("label", name, set(self._names.values()), where=where)
        return shared_name

    def get(self, name: str) -> str | None:
        """Return the shared name of a finding, or None."""
        return self._names.get(normalised(name))


def normalised(name: str) -> str:
    """Reduce a name to lower-case letters and digits, so that variants of its spelling are equal.

    >>> normalised("Pleural_Thickening") == normalised("pleural thickening"), normalised("Nodule/Mass")
    (True, 'nodulemass')
    """
    return "".join(filter(str.isalnum, name.casefold()))


def absent_labels(frame: pd.DataFrame, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that a dataset does not have at all."""
    return tuple(label for label in labels if label not in frame.columns)


def published_states(frame: pd.DataFrame, labels: Sequence[str]) -> Truth:
    """Return the published states, float32 of shape (n, labels): 1, 0, -1, or NaN where not mentioned or the label is absent."""
    states = np.full((len(frame), len(labels)), np.nan, np.float32)
    for number, label in enumerate(labels):
        if label in frame.columns:
            states[:, number] = frame[label].to_numpy(np.float32)
    return states


def truth(
    frame: pd.DataFrame,
    labels: Sequence[str],
    *,
    uncertain: Uncertain | Mapping[str, Uncertain],
    blank: Blank | Mapping[str, Blank],
) -> Truth:
    """Apply a label policy.

    Args:
        frame: A tidy frame.
        labels: Vocabulary names, in the order of the columns returned.
        uncertain: Replacement of -1: ``ones``, ``zeros`` or ``ignore`` (NaN); one choice, or label -> choice with ``"*"`` for the
            others.
        blank: Replacement of NaN: ``negative`` (0), ``ignore`` (NaN), or ``negative-when-no-finding`` (0 in rows that are positive
            for "No Finding", as torchxrayvision does; NaN elsewhere); likewise.

    Returns:
        1, 0 or NaN, float32 of shape (n, labels). A label that the dataset lacks is NaN in every row, whatever the policy.

    Raises:
        UsageError: A label has no choice, or an unknown one.

    >>> frame = pd.DataFrame({"Edema": [1, 0, -1, np.nan]})
    >>> truth(frame, ["Edema"], uncertain="ones", blank="negative")[:, 0].tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    states = published_states(frame, labels)
    healthy = frame[NO_FINDING].to_numpy() == 1 if NO_FINDING in frame.columns else np.zeros(len(frame), bool)
    for number, label in enumerate(labels):
        when_uncertain = _choice_for("uncertain", uncertain, label, get_args(Uncertain))
        when_blank = _choice_for("blank", blank, label, get_args(Blank))
        if label not in frame.columns:
            continue
        column = states[:, number]
        # found before -1 is replaced: an uncertain state that becomes NaN is not a blank
        unmentioned = np.isnan(column)
        column[column == -1] = {"ones": 1.0, "zeros": 0.0, "ignore": np.nan}[when_uncertain]
        if when_blank == "negative":
            column[unmentioned] = 0.0
        elif when_blank == "negative-when-no-finding" and label not in APART:
            column[unmentioned & healthy] = 0.0
    return states


def with_mappings(frame: pd.DataFrame, mappings: Sequence[LabelMapping]) -> pd.DataFrame:
    """Add the target label of each mapping, combined from its sources.

    The target is positive where any source (or the target itself) is, uncertain where none is positive and any is uncertain,
    negative where all that the dataset has are negative, and not mentioned otherwise. A mapping without a source in the dataset
    changes nothing.

    >>> frame = pd.DataFrame({"Nodule": [1.0, 0.0, 0.0], "Mass": [np.nan, 0.0, np.nan]})
    >>> both = LabelMapping(target="Nodule/Mass", sources=("Nodule", "Mass"), reason="")
    >>> with_mappings(frame, [both])["Nodule/Mass"].tolist()
    [1.0, 0.0, nan]
    """
    for mapping in mappings:
        # later mappings see the targets of earlier ones
        if any(source in frame.columns for source in mapping.sources):
            present = [label for label in dict.fromkeys((mapping.target, *mapping.sources)) if label in frame.columns]
            frame = frame.assign(**{mapping.target: _three_valued_or(published_states(frame, present))})
    return frame


def _three_valued_or(states: Truth) -> npt.NDArray[np.float32]:
    """Combine states of shape (n, sources) into one column by three-valued "or"."""
    positive, uncertain = (states == 1).any(axis=1), (states == -1).any(axis=1)
    known = ~np.isnan(states).any(axis=1)
    # the first condition that holds decides
    return np.select([positive, uncertain, known], [1.0, -1.0, 0.0], np.nan).astype(np.float32)


def _choice_for(field: str, policy: str | Mapping[str, Any], label: str, known: Collection[str]) -> str:
    chosen = policy if isinstance(policy, str) else policy.get(label, policy.get(EVERY_OTHER))
    if chosen is None:
        raise UsageError(f"{field}: no choice for label {label!r}; name it, or {EVERY_OTHER!r} for all others")
    if chosen not in known:
        raise UsageError(f"{field}: {label}: unknown choice {chosen!r}{suggestion(str(chosen), known)}")
    return str(chosen)
