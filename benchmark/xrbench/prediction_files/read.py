"""Reading of predictions that were made elsewhere: by a vendor's model, or in another framework.

The table has one row an image: ``image`` (or ``image_id``), ``patient_id`` if patients are known, and a score a label, named
``score:<label>`` or just by the label in any spelling of the vocabulary. Truth stands in the same table as ``truth:<label>``,
or in a second one whose label columns hold 1, 0 or nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.labels.policies import Lookup
from xrbench.errors import DataError, MeasureError, suggestion

IDS = {
    "image": ("image", "image_id", "imageid", "filename", "file", "path", "dicom_id"),
    "patient_id": ("patient_id", "patient", "patientid", "subject_id"),
}
OTHERS = ("dataset", "view", "age", "sex")
"""Other columns that are read where they are there."""


@dataclass(frozen=True)
class PredictionTable:
    """Predictions in the form of the store.

    Attributes:
        frame: ``image, patient_id, dataset, ...``, ``truth:<label>`` and ``score:<label>``.
        labels: Labels that have both truth and score.
        notes: How the columns were read.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def read_table(
    path: Path,
    vocabulary: Vocabulary,
    *,
    truth: Path | None = None,
    logits: bool = False,
    site: str = "",
    groups: Sequence[str] = (),
) -> PredictionTable:
    """Read a table of scores and its truth.

    Args:
        path: CSV or Parquet with scores.
        vocabulary: Names of findings with synonyms.
        truth: A second table with the truth; else the truth stands beside the scores.
        logits: Scores are logits: they are put through the logistic function.
        site: Whose patients these are, where no column ``dataset`` says so; by default the file's stem.
        groups: Other columns that are read, from the table with the truth or else from that with the scores.

    Raises:
        DataError: A file, column or row is malformed; the row is named.
        MeasureError: No label has both truth and score, or a labelled image has no score.
    """
    notes: list[str] = []
    scores = _read(path)
    score_columns = _columns(scores, vocabulary, "score:", path, notes)
    scored = _ids(scores, path)
    if truth is None:
        truth_columns = _columns(scores, vocabulary, "truth:", path, notes, bare=False)
        truths, frame = scores, scored
    else:
        truths = _read(truth)
        truth_columns = _columns(truths, vocabulary, "truth:", truth, notes)
        frame = _ids(truths, truth)
    labels = tuple(label for label in truth_columns if label in score_columns)
    if not labels:
        there = f"scores: {', '.join(score_columns) or 'none'}; truth: {', '.join(truth_columns) or 'none'}"
        raise MeasureError(f"{path}: no label has both truth and score; {there}")
    numbers = {label: _scores(scores, score_columns[label], label, path, logits=logits) for label in labels}
    rows = _positions(scored["image"], frame["image"], path, truth or path)
    if truth is not None and "patient_id" not in frame and "patient_id" in scored:
        frame["patient_id"] = scored["patient_id"].to_numpy()[rows]
    frame = frame if "patient_id" in frame else frame.assign(patient_id=None)
    frame = frame if "dataset" in frame else frame.assign(dataset=site or path.stem)
    for name in groups:
        frame[name] = _group(name, truths, scores, rows, truth or path)
    for label in labels:
        frame[f"truth:{label}"] = _truth(truths, truth_columns[label], label, truth or path)
        frame[f"score:{label}"] = numbers[label][rows]
        _check_complete(frame, label, rows, path)
    without_truth, without_score = (set(columns) - set(labels) for columns in (score_columns, truth_columns))
    notes.insert(0, _summary(frame, len(labels), sorted(without_truth), sorted(without_score)))
    notes += _misspelt(scores, score_columns, vocabulary)
    if len(scored) > len(frame):
        notes.append(f"{len(scored) - len(frame):,} scored images have no truth and are left out")
    return PredictionTable(frame.reset_index(drop=True), labels, tuple(notes))


def _summary(frame: pd.DataFrame, labels: int, without_truth: Sequence[str], without_score: Sequence[str]) -> str:
    patients = frame["patient_id"].nunique()
    of = f" of {patients:,} patients" if patients else "; no patient ids: intervals are by image"
    lacking = f"; no truth for {', '.join(without_truth)}" if without_truth else ""
    lacking += f"; no score for {', '.join(without_score)}" if without_score else ""
    return f"{len(frame):,} images{of}; {labels} labels matched{lacking}"


def _group(
    name: str, labelled: pd.DataFrame, scored: pd.DataFrame, rows: npt.NDArray[np.int64], path: Path
) -> npt.NDArray[np.object_]:
    """Read a column by which patients are grouped, from the table with the truth or else from that with the scores."""
    for table, own_rows in ((labelled, slice(None)), (scored, rows)):
        folded = {str(column).strip().casefold().replace(" ", "_"): column for column in table.columns}
        column = folded.get(name.casefold())
        if column is not None:
            return np.asarray(table[column].to_numpy(object)[own_rows])
    known = dict.fromkeys(map(str, (*labelled.columns, *scored.columns)))
    raise DataError(f"{path}: no column {name!r} to group patients by{suggestion(name, known)}")


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(
            f"{path}: {'is a folder, a CSV or Parquet file is expected' if path.is_dir() else 'no such file'}"
        )
    try:
        frame = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, dtype=str, encoding="utf-8-sig", skipinitialspace=True)
        )
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: not a readable table: {str(error).splitlines()[0]}") from error
    if frame.empty:
        raise DataError(f"{path}: has no rows")
    if path.suffix != ".parquet":
        _check_header(path)
    return frame


def _check_header(path: Path) -> None:
    """Refuse a column that stands twice: pandas renames the second, which would be left out silently."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file), [])]
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands {header.count(name)} times in the header")


def _ids(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Read the columns that identify images and patients, under the names of the store."""
    folded = {str(column).strip().casefold().replace(" ", "_"): column for column in frame.columns}
    columns = {ours: next((folded[name] for name in names if name in folded), None) for ours, names in IDS.items()}
    if columns["image"] is None:
        raise DataError(f"{path}: column 'image' missing{suggestion('image', map(str, frame.columns))}")
    ids = pd.DataFrame(
        {
            ours: frame[column].astype("string").to_numpy(object)
            for ours, column in columns.items()
            if column is not None
        }
    )
    for name in OTHERS:
        if name in folded:
            ids[name] = frame[folded[name]].to_numpy()
    missing = ids["image"].isna()
    if missing.any():
        raise DataError(f"{path}: row {_row(missing, path)}: no image id")
    repeated = ids["image"].duplicated()
    if repeated.any():
        raise DataError(f"{path}: row {_row(repeated, path)}: image {ids['image'][repeated].iloc[0]!r} stands twice")
    if "patient_id" in ids and ids["patient_id"].isna().any():
        if not ids["patient_id"].isna().all():
            raise DataError(f"{path}: row {_row(ids['patient_id'].isna(), path)}: no patient id, other rows have one")
        ids = ids.drop(columns="patient_id")
    return ids


def _columns(
    frame: pd.DataFrame, vocabulary: Vocabulary, prefix: str, path: Path, notes: list[str], *, bare: bool = True
) -> dict[str, str]:
    """Find the column of each label: those with the prefix or, where there are none and ``bare`` allows it, any that name a label."""
    lookup = Lookup(vocabulary)
    named = [str(column) for column in frame.columns]
    candidates = [column for column in named if column.startswith(prefix)]
    if not candidates and bare:
        candidates = [column for column in named if ":" not in column and lookup.get(column) is not None]
    columns: dict[str, str] = {}
    for column in candidates:
        written = column.removeprefix(prefix)
        label = lookup.get(written) or written
        if label in columns:
            raise DataError(f"{path}: columns {columns[label]!r} and {column!r} both mean {label!r}")
        columns[label] = column
        if label != written:
            notes.append(f"{written!r} read as {label!r} (synonym)")
    return columns


def _scores(frame: pd.DataFrame, column: str, label: str, path: Path, *, logits: bool) -> npt.NDArray[np.float64]:
    values = _numbers(frame[column], label, path)
    if logits:
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-values)))
    out_of_range = (values < 0) | (values > 1)
    if out_of_range.any():
        value = values[out_of_range][0]
        raise DataError(
            f"{path}: row {_row(out_of_range, path)}: score {value:g} for {label} is outside 0..1: are these logits? pass --logits"
        )
    return values


def _truth(frame: pd.DataFrame, column: str, label: str, path: Path) -> npt.NDArray[np.float64]:
    values = _numbers(frame[column], label, path)
    odd = ~(np.isnan(values) | (values == 0) | (values == 1))
    if odd.any():
        value = values[odd][0]
        hint = "; decide what uncertain (-1) means before judging" if value == -1 else ""
        raise DataError(f"{path}: row {_row(odd, path)}: truth {value:g} for {label}: expected 1, 0 or nothing{hint}")
    return values


def _check_complete(frame: pd.DataFrame, label: str, rows: npt.NDArray[np.int64], path: Path) -> None:
    """Refuse a known truth without a score: without the image it would be another test set."""
    without = (frame[f"score:{label}"].isna() & frame[f"truth:{label}"].notna()).to_numpy()
    if without.any():
        first = int(np.flatnonzero(without)[0])
        row = int(rows[first]) + (1 if path.suffix == ".parquet" else 2)
        raise MeasureError(
            f"{path}: row {row}: no score for {label}, whose truth is known ({without.sum():,} such images, "
            f"such as {frame['image'].iloc[first]!r})"
        )


def _misspelt(scores: pd.DataFrame, columns: Mapping[str, str], vocabulary: Vocabulary) -> list[str]:
    """Name columns that were not read and look like misspelt labels."""
    known = {*columns.values(), *OTHERS}
    folded = {name for names in IDS.values() for name in names}
    notes = []
    for column in map(str, scores.columns):
        if column in known or ":" in column or column.strip().casefold().replace(" ", "_") in folded:
            continue
        near = suggestion(column, vocabulary.pathologies)
        if near.startswith("; did you mean"):
            notes.append(f"column {column!r} is not a label{near}")
    return notes


def _numbers(column: pd.Series, label: str, path: Path) -> npt.NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce")
    broken = numbers.isna() & column.notna() & (column.astype(str).str.strip() != "")
    if broken.any():
        raise DataError(f"{path}: row {_row(broken, path)}: {column[broken].iloc[0]!r} for {label} is not a number")
    return np.asarray(numbers.to_numpy(np.float64))


def _positions(scored: pd.Series, labelled: pd.Series, scores_path: Path, truth_path: Path) -> npt.NDArray[np.int64]:
    """Find the row of each labelled image among the scored ones; one without a score would silently shrink the test set."""
    row_of: Mapping[str, int] = {image: number for number, image in enumerate(scored)}
    without = [image for image in labelled if image not in row_of]
    if without:
        raise MeasureError(
            f"{scores_path}: {len(without):,} of {len(labelled):,} images of {truth_path.name} have no score, such as {without[0]!r}"
        )
    return np.array([row_of[image] for image in labelled], np.int64)


def _row(mask: pd.Series | npt.NDArray[np.bool_], path: Path) -> int:
    """Number the first marked row as a spreadsheet does (the header is row 1); in Parquet the first row is 1."""
    return int(np.flatnonzero(np.asarray(mask))[0]) + (1 if path.suffix == ".parquet" else 2)
