"""What a paper reported, read from its folder and put into our names.

A paper's folder holds its numbers as printed (``0.853``, ``92.26%``, ``80,657``), in long form; the columns of a file say what
kind of table it is:

* scores: ``method, row, setting, seed, train, valid, test, protocol, label, metric, value, sd`` and, where the paper has several,
  ``model, configuration, members``. ``row`` is the row's printed name; ``protocol``, ``label`` (``mean`` for the macro mean),
  ``metric``, ``configuration`` and ``members`` are ours and the rest is the paper's; ``setting`` is ``MEAN`` for a mean over the
  settings above.
* datasets: ``dataset, total, used, pathologies, region``.
* quantities: ``about, split, label, quantity, value``: what is counted or stated of a dataset or of a network.
* cases: ``image, model, label, truth, score, assessment``: single images that a paper shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import PaperCard
from xrbench.errors import CardError, suggestion
from xrbench.planning import HELD_OUT, NONE, setting_name
from xrbench.report.score_grid import Column, Line

OVER_SETTINGS = "MEAN"
SCORE_COLUMNS = (
    *("method", "row", "setting", "seed", "train", "valid", "test"),
    *("protocol", "label", "metric", "value", "sd"),
)
MORE_SCORE_COLUMNS: Mapping[str, str] = {"model": "", "configuration": "", "members": "1"}
"""Columns that a table of scores may lack, and what then stands there."""
DATASET_COLUMNS = ("dataset", "total", "used", "pathologies", "region")
QUANTITY_COLUMNS = ("about", "split", "label", "quantity", "value")
CASE_COLUMNS = ("image", "model", "label", "truth", "score", "assessment")


def _no_rows(*columns: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns))


@dataclass(frozen=True)
class Reported:
    """A paper's numbers in our names.

    Attributes:
        card: The paper.
        scores: One row a figure: method, model, configuration, members, train (``+`` between datasets), valid, test, protocol, label,
            metric, value, sd, and ``printed``, the text as printed. A mean over settings has ``setting`` MEAN and no datasets.
        datasets: One row a dataset: dataset, total, used, pathologies, region.
        quantities: One row a number: about (a dataset or a network), split, label, quantity, value, printed.
        cases: One row an image and network: image, model, label, truth, score, assessment.
    """

    card: PaperCard
    scores: pd.DataFrame
    datasets: pd.DataFrame
    quantities: pd.DataFrame = field(default_factory=lambda: _no_rows(*QUANTITY_COLUMNS, "printed"))
    cases: pd.DataFrame = field(default_factory=lambda: _no_rows(*CASE_COLUMNS))

    def find(self, line: Line, column: Column | None, protocol: str, label: str, metric: str) -> pd.Series | None:
        """Return the reported figure for a line and column (None for the mean over settings), or None."""
        rows = self.scores
        kept = (rows["method"] == line.method) & (rows["protocol"] == protocol)
        kept &= (rows["label"] == label) & (rows["metric"] == metric) & rows["value"].notna()
        if column is None:
            kept &= rows["setting"] == OVER_SETTINGS
        else:
            kept &= (
                same_domains(rows["train"], column.train)
                & (rows["valid"] == column.valid)
                & (rows["test"] == column.test)
            )
        found = rows[kept]
        return None if found.empty else found.iloc[0]

    def printed(self, **expected: object) -> str:
        """Return the one reported score with these values in these columns as it is printed; empty when there is none."""
        return _only_one(self.scores[self.scores["value"].notna()], expected) if len(self.scores) else ""

    def stated(self, **expected: object) -> str:
        """Return the one stated quantity with these values in these columns as it is printed; empty when there is none."""
        return _only_one(self.quantities, expected) if len(self.quantities) else ""


def reported(card: PaperCard, folder: Path) -> Reported:
    """Read a paper's tables and put our names in place of its own, each joined by name.

    Args:
        card: The paper's card.
        folder: Where its CSV files are.

    Raises:
        CardError: A file is missing or has other columns, or a name stands in no table of the card.
    """
    kinds: dict[str, list[pd.DataFrame]] = {"scores": [], "datasets": [], "quantities": [], "cases": []}
    for name, file in card.tables.items():
        path = folder / file
        frame = _read(path)
        columns = set(frame.columns)
        if set(SCORE_COLUMNS) <= columns:
            kinds["scores"].append(_named_scores(frame, card, path).assign(table=name))
        elif set(DATASET_COLUMNS) <= columns:
            renamed = [_name(card.datasets, value, "datasets", path) for value in frame["dataset"]]
            kinds["datasets"].append(frame.assign(dataset=renamed))
        elif set(QUANTITY_COLUMNS) <= columns:
            kinds["quantities"].append(_named_quantities(frame, card, path).assign(table=name))
        elif set(CASE_COLUMNS) <= columns:
            kinds["cases"].append(_named_cases(frame, card, path).assign(table=name))
        else:
            raise CardError(
                f"{path}: expected the columns {', '.join(SCORE_COLUMNS)} or {', '.join(DATASET_COLUMNS)} or "
                f"{', '.join(QUANTITY_COLUMNS)} or {', '.join(CASE_COLUMNS)}, got {', '.join(map(str, frame.columns))}"
            )
    empty = {
        "scores": _no_rows(*SCORE_COLUMNS, *MORE_SCORE_COLUMNS, "printed", "table"),
        "datasets": _no_rows(*DATASET_COLUMNS),
        "quantities": _no_rows(*QUANTITY_COLUMNS, "printed", "table"),
        "cases": _no_rows(*CASE_COLUMNS, "table"),
    }
    made = {kind: pd.concat(parts, ignore_index=True) if parts else empty[kind] for kind, parts in kinds.items()}
    return Reported(card, made["scores"], made["datasets"], made["quantities"], made["cases"])


def domains(train: str) -> frozenset[str]:
    """Return the datasets of a training set, whose order means nothing.

    >>> domains("nih+chexpert") == domains("chexpert+nih")
    True
    """
    return frozenset(train.split("+"))


def same_domains(names: pd.Series, expected: str) -> npt.NDArray[np.bool_]:
    """Tell which of these sets of datasets are the expected one, whatever the order.

    >>> same_domains(pd.Series(["nih+chexpert", "nih"]), "chexpert+nih").tolist()
    [True, False]
    """
    return np.array([domains(name) == domains(expected) for name in names], dtype=bool)


def figure_of(text: str) -> float:
    """Read a printed number: with grouped thousands, or in percent; NaN where nothing is printed.

    >>> figure_of("80,657"), figure_of("54%"), figure_of("0.853")
    (80657.0, 0.54, 0.853)
    >>> figure_of("26.58%")
    0.2658

    Raises:
        ValueError: It is not a number.
    """
    plain = text.strip().replace(",", "")
    if not plain:
        return math.nan
    # Moving the point in the text keeps the printed decimals: 92.26 / 100 is 0.9226000000000001.
    return float(f"{float(plain.removesuffix('%'))!r}e-2") if plain.endswith("%") else float(plain)


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

    def validation(text: str) -> str:
        return text if text in (HELD_OUT, NONE) else datasets(text)

    for column, usual in MORE_SCORE_COLUMNS.items():
        if column not in frame:
            frame = frame.assign(**{column: usual})
    named = frame.assign(
        method=[_name(card.methods, value, "methods", path) for value in frame["method"]],
        model=[_name(card.models, value, "models", path) if value else "" for value in frame["model"]],
        label=[card.labels.get(value, value) for value in frame["label"]],
        printed=[f"{value} ± {sd}" if sd else value for value, sd in zip(frame["value"], frame["sd"], strict=True)],
        train=[datasets(value) for value in frame["train"]],
        valid=[validation(value) for value in frame["valid"]],
        test=[datasets(value) for value in frame["test"]],
    )
    for column in ("value", "sd"):
        named[column] = _figures(frame, column, path)
    named["members"] = _figures(frame, "members", path).fillna(1).astype(int)
    settings = [
        setting_name(row["train"].split("+"), row["valid"], row["test"], row["configuration"])
        for row in named.to_dict("records")
    ]
    named["setting"] = named["setting"].where(named["setting"] == OVER_SETTINGS, pd.Series(settings, dtype=object))
    return named


def _named_quantities(frame: pd.DataFrame, card: PaperCard, path: Path) -> pd.DataFrame:
    known = {**card.datasets, **card.models}
    return frame.assign(
        about=[_name(known, value, "datasets or models", path) for value in frame["about"]],
        label=[card.labels.get(value, value) for value in frame["label"]],
        value=_figures(frame, "value", path),
        printed=frame["value"],
    )


def _named_cases(frame: pd.DataFrame, card: PaperCard, path: Path) -> pd.DataFrame:
    return frame.assign(
        model=[_name(card.models, value, "models", path) for value in frame["model"]],
        label=[card.labels.get(value, value) for value in frame["label"]],
        score=_figures(frame, "score", path),
    )


def _figures(frame: pd.DataFrame, column: str, path: Path) -> pd.Series:
    numbers = []
    for at, text in enumerate(frame[column]):
        try:
            numbers.append(figure_of(text))
        except ValueError as error:
            raise CardError(f"{path}: row {at + 2}, column {column!r}: expected a number, got {text!r}") from error
    return pd.Series(numbers, index=frame.index, dtype=float)


def _only_one(rows: pd.DataFrame, expected: Mapping[str, object]) -> str:
    """Return the figure that has these values as it is printed; where it is printed twice, as it is printed first."""
    for column, value in expected.items():
        same = same_domains(rows[column], str(value)) if column in ("train", "test") else rows[column] == value
        rows = rows[same]
    identity = [name for name in rows.columns if name not in ("value", "printed", "sd", "row", "table")]
    return str(rows["printed"].iloc[0]) if len(rows.drop_duplicates(identity)) == 1 else ""


def _name(names: dict[str, str], value: str, field: str, path: Path) -> str:
    if value not in names:
        raise CardError(
            f"{path}: {value!r} is not among the {field} of {path.parent.name}/paper.toml{suggestion(value, names)}"
        )
    return names[value]
