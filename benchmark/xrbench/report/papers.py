"""What a paper reported, read from its folder and put into our names.

A paper's folder holds its numbers as printed, in long form. A table of scores has the columns ``method, row, setting, seed,
train, valid, test, protocol, label, metric, value, sd``, where ``row`` is the row's printed name, ``protocol``, ``label``
(``mean`` for the macro mean) and ``metric`` are ours and the rest is the paper's; ``setting`` is ``MEAN`` for a mean over the
settings above. A table of datasets has ``dataset, total, used, pathologies, region``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xrbench.cards import PaperCard
from xrbench.errors import CardError, suggestion
from xrbench.report.selection import Column, Line

OVER_SETTINGS = "MEAN"
SCORE_COLUMNS = (
    *("method", "row", "setting", "seed", "train", "valid", "test"),
    *("protocol", "label", "metric", "value", "sd"),
)
DATASET_COLUMNS = ("dataset", "total", "used", "pathologies", "region")


@dataclass(frozen=True)
class Reported:
    """A paper's numbers in our names.

    Attributes:
        card: The paper.
        scores: One row a figure: method, train (``+`` between datasets), valid, test, protocol, label, metric, value, sd, and
            ``printed``, the text as printed. A mean over settings has ``setting`` MEAN and no datasets.
        datasets: One row a dataset: dataset, total, used, pathologies, region.
    """

    card: PaperCard
    scores: pd.DataFrame
    datasets: pd.DataFrame

    def find(self, line: Line, column: Column | None, protocol: str, label: str, metric: str) -> pd.Series | None:
        """Return the reported figure for a line and column (None for the mean over settings), or None."""
        rows = self.scores
        kept = (rows["method"] == line.method) & (rows["protocol"] == protocol)
        kept &= (rows["label"] == label) & (rows["metric"] == metric) & rows["value"].notna()
        if column is None:
            kept &= rows["setting"] == OVER_SETTINGS
        else:
            same = [domains(train) == domains(column.train) for train in rows["train"]]
            kept &= np.array(same, dtype=bool) & (rows["valid"] == column.valid) & (rows["test"] == column.test)
        found = rows[kept]
        return None if found.empty else found.iloc[0]


def reported(card: PaperCard, folder: Path) -> Reported:
    """Read a paper's tables and put our names in place of its own, each joined by name.

    Args:
        card: The paper's card.
        folder: Where its CSV files are.

    Raises:
        CardError: A file is missing or has other columns, or a name stands in no table of the card.
    """
    scores, datasets = [], []
    for name, file in card.tables.items():
        path = folder / file
        frame = _read(path)
        if set(SCORE_COLUMNS) <= set(frame.columns):
            scores.append(_named_scores(frame, card, path).assign(table=name))
        elif set(DATASET_COLUMNS) <= set(frame.columns):
            renamed = [_name(card.datasets, value, "datasets", path) for value in frame["dataset"]]
            datasets.append(frame.assign(dataset=renamed))
        else:
            raise CardError(
                f"{path}: wanted the columns {', '.join(SCORE_COLUMNS)} or {', '.join(DATASET_COLUMNS)}, "
                f"got {', '.join(map(str, frame.columns))}"
            )
    empty_scores = pd.DataFrame(columns=[*SCORE_COLUMNS, "printed", "table"])
    return Reported(
        card=card,
        scores=pd.concat(scores, ignore_index=True) if scores else empty_scores,
        datasets=pd.concat(datasets, ignore_index=True) if datasets else pd.DataFrame(columns=list(DATASET_COLUMNS)),
    )


def domains(train: str) -> frozenset[str]:
    """Return the datasets of a training set, whose order means nothing.

    >>> domains("nih+chexpert") == domains("chexpert+nih")
    True
    """
    return frozenset(train.split("+"))


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise CardError(f"{path}: not a CSV of reported figures: {str(error).splitlines()[0]}") from error


def _named_scores(frame: pd.DataFrame, card: PaperCard, path: Path) -> pd.DataFrame:
    def datasets(text: str) -> str:
        return "+".join(_name(card.datasets, part, "datasets", path) for part in text.split("+")) if text else ""

    named = frame.assign(
        method=[_name(card.methods, value, "methods", path) for value in frame["method"]],
        label=[card.labels.get(value, value) for value in frame["label"]],
        printed=[f"{value} ± {sd}" if sd else value for value, sd in zip(frame["value"], frame["sd"], strict=True)],
        **{role: [datasets(value) for value in frame[role]] for role in ("train", "valid", "test")},
    )
    for column in ("value", "sd"):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        wrong = (numbers.isna() & (frame[column] != "")).to_numpy()
        if wrong.any():
            at = int(wrong.argmax())
            raise CardError(f"{path}: row {at + 2}, column {column!r}: wanted a number, got {frame[column].iloc[at]!r}")
        named[column] = numbers.astype(float)
    settings = named["train"] + ">" + named["valid"] + ">" + named["test"]
    named["setting"] = named["setting"].where(named["setting"] == OVER_SETTINGS, settings)
    return named


def _name(names: dict[str, str], value: str, field: str, path: Path) -> str:
    if value not in names:
        raise CardError(
            f"{path}: {value!r} is not among the {field} of {path.parent.name}/paper.toml{suggestion(value, names)}"
        )
    return names[value]
