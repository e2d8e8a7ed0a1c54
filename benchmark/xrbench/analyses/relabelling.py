"""Truth under other label policies, from the published states that are stored with the predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import PolicyRule, SuiteCard
from xrbench.data.labels import policies as policies
from xrbench.errors import MeasureError

RAW, TRUTH = "raw:", "truth:"
WHEN_HEALTHY = "negative-when-no-finding"
OWN_POLICY = "own policy"
"""The policy under which the suite itself is judged."""


def truth_under(frame: pd.DataFrame, suite: SuiteCard, rule: PolicyRule) -> npt.NDArray[np.float64]:
    """Apply a label policy to the published states of labels.

    The policy "a blank is negative where the image is read as No Finding" needs to know which images are. That is in the column
    ``raw:No Finding``, or follows from the stored truth where the suite itself has this policy: there a blank became 0 exactly in
    those images. Otherwise it is an error.

    Args:
        frame: Predictions with ``raw:<label>`` columns.
        suite: Its labels, and the policy under which the truth was stored.
        rule: The other policy.

    Returns:
        1, 0 or NaN, shape (n, labels).

    Raises:
        MeasureError: The published states are missing, or the images read as No Finding are not known.

    >>> suite = SuiteCard(title="", labels=("Edema",))
    >>> frame = pd.DataFrame({"raw:Edema": [1.0, 0.0, -1.0, np.nan], "dataset": "here"})
    >>> truth_under(frame, suite, PolicyRule(name="zeros", uncertain="zeros"))[:, 0].tolist()
    [1.0, 0.0, 0.0, nan]
    """
    for label in suite.labels:
        if f"{RAW}{label}" not in frame.columns:
            raise MeasureError(f"no column '{RAW}{label}': the published states of labels are not in the predictions")
    truth = np.full((len(frame), len(suite.labels)), np.nan)
    datasets = frame["dataset"].astype(str).to_numpy() if "dataset" in frame.columns else np.zeros(len(frame))
    for name in pd.unique(datasets):
        rows = np.flatnonzero(datasets == name)
        part = frame.iloc[rows]
        for number, label in enumerate(suite.labels):
            truth[rows, number] = _of_label(part, label, suite, rule)
    return truth


def _of_label(part: pd.DataFrame, label: str, suite: SuiteCard, rule: PolicyRule) -> npt.NDArray[np.float64]:
    """Apply the policy to one label of one dataset; a label that a dataset never mentions is unknown in all its images."""
    states = part[f"{RAW}{label}"]
    if states.isna().all():
        return np.full(len(part), np.nan)
    published = pd.DataFrame({label: states.to_numpy(np.float32)})
    if _choice(rule.blank, label) == WHEN_HEALTHY:
        published[policies.NO_FINDING] = _healthy(part, label, suite)
    truth = policies.truth(published, [label], uncertain=rule.uncertain, blank=rule.blank)
    return np.asarray(truth[:, 0], np.float64)


def _healthy(part: pd.DataFrame, label: str, suite: SuiteCard) -> npt.NDArray[np.float64]:
    """Find the images read as No Finding (1, else 0), as far as blanks of this label depend on it."""
    column = f"{RAW}{policies.NO_FINDING}"
    if column in part.columns:
        return np.asarray((part[column] == 1).to_numpy(np.float64))
    if _choice(suite.blank, label) == WHEN_HEALTHY:
        return np.asarray((part[f"{RAW}{label}"].isna() & (part[f"{TRUTH}{label}"] == 0)).to_numpy(np.float64))
    raise MeasureError(
        f"blank {WHEN_HEALTHY!r}: which images are read as {policies.NO_FINDING!r} is not in the predictions, "
        f"and the suite's own policy for blanks of {label} does not tell"
    )


def _choice(policy: str | dict[str, str] | object, label: str) -> str:
    if isinstance(policy, dict):
        return str(policy.get(label, policy.get(policies.EVERY_OTHER, "")))
    return str(policy)
