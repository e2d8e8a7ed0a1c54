"""Bring in predictions from elsewhere: a vendor's model, another framework, a table somebody sent.

The table has a row an image: ``image`` (or ``image_id``), ``patient_id`` if patients are known, and a score a label, named
``score:<label>`` or just by the label in any spelling of the vocabulary. Truth stands in the same table as ``truth:<label>``,
or in a second one whose label columns hold 1, 0 or nothing. From here on they are judged like our own.
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
KEPT = ("dataset", "view", "age", "sex")


@dataclass(frozen=True)
class PredictionTable:
    """Predictions from elsewhere in the store's shape.

    Attributes:
        frame: ``image, patient_id, dataset, ...``, ``truth:<label>`` and ``score:<label>``.
        labels: Labels that have both truth and score.
        notes: What was read as what.
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
        groups: Other columns that are kept, from the table with the truth or else from that with the scores.

    Raises:
        DataError: A file, column or row is not as it should be; the row is named.
        MeasureError: No label has both truth and score, or a labelled image has no score.
    """
    notes: list[str] = []
    scores = _read(path)
    found = _columns(scores, vocabulary, "score:", path, notes)
    table = _ids(scores, path)
    if truth is None:
        wanted = _columns(scores, vocabulary, "truth:", path, notes, bare=False)
        source, joined = scores, table
    else:
        source = _read(truth)
        wanted = _columns(source, vocabulary, "truth:", truth, notes)
        joined = _ids(source, truth)
    labels = tuple(label for label in wanted if label in found)
    if not labels:
        raise MeasureError(
            f"{path}: no label has both truth and score; scores: {', '.join(found) or 'none'}; truth: {', '.join(wanted) or 'none'}"
        )
    numbers = {label: _scores(scores, found[label], label, path, logits=logits) for label in labels}
    at = _positions(table["image"], joined["image"], path, truth or path)
    if truth is not None and "patient_id" not in joined and "patient_id" in table:
        joined["patient_id"] = table["patient_id"].to_numpy()[at]
    frame = joined if "patient_id" in joined else joined.assign(patient_id=None)
    frame = frame if "dataset" in frame else frame.assign(dataset=site or path.stem)
    for name in groups:
        frame[name] = _group(name, source, scores, at, truth or path)
    for label in labels:
        frame[f"truth:{label}"] = _truth(source, wanted[label], label, truth or path)
        frame[f"score:{label}"] = numbers[label][at]
        _complete(frame, label, at, path)
    patients = frame["patient_id"].nunique()
    of = f" of {patients:,} patients" if patients else "; no patient ids: intervals are by image"
    unmatched = sorted(set(found) - set(labels))
    unscored = sorted(set(wanted) - set(labels))
    notes.insert(
        0,
        f"{len(frame):,} images{of}; {len(labels)} labels matched"
        + (f"; no truth for {', '.join(unmatched)}" if unmatched else "")
        + (f"; no score for {', '.join(unscored)}" if unscored else ""),
    )
    notes += _strangers(scores, found, vocabulary)
    if len(table) > len(frame):
        notes.append(f"{len(table) - len(frame):,} scored images have no truth and are left out")
    return PredictionTable(frame.reset_index(drop=True), labels, tuple(notes))


def _group(
    name: str, labelled: pd.DataFrame, scored: pd.DataFrame, at: npt.NDArray[np.int64], path: Path
) -> npt.NDArray[np.object_]:
    """Take a column by which patients are grouped, in whichever table it stands."""
    for table, rows in ((labelled, slice(None)), (scored, at)):
        folded = {str(column).strip().casefold().replace(" ", "_"): column for column in table.columns}
        column = folded.get(name.casefold())
        if column is not None:
            return np.asarray(table[column].to_numpy(object)[rows])
    known = dict.fromkeys(map(str, (*labelled.columns, *scored.columns)))
    raise DataError(f"{path}: no column {name!r} to group patients by{suggestion(name, known)}")


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(
            f"{path}: {'is a folder, a CSV or Parquet file is wanted' if path.is_dir() else 'no such file'}"
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
        _no_twins(path)
    return frame


def _no_twins(path: Path) -> None:
    """Refuse a column that stands twice: one of them would be left out silently."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file), [])]
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands {header.count(name)} times in the header")


def _ids(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Take the identifying columns of a table under our names."""
    folded = {str(column).strip().casefold().replace(" ", "_"): column for column in frame.columns}
    found = {ours: next((folded[name] for name in names if name in folded), None) for ours, names in IDS.items()}
    if found["image"] is None:
        raise DataError(f"{path}: column 'image' missing{suggestion('image', map(str, frame.columns))}")
    kept = pd.DataFrame(
        {ours: frame[column].astype("string").to_numpy(object) for ours, column in found.items() if column is not None}
    )
    for name in KEPT:
        if name in folded:
            kept[name] = frame[folded[name]].to_numpy()
    missing = kept["image"].isna()
    if missing.any():
        raise DataError(f"{path}: row {_row(missing, path)}: no image id")
    repeated = kept["image"].duplicated()
    if repeated.any():
        raise DataError(f"{path}: row {_row(repeated, path)}: image {kept['image'][repeated].iloc[0]!r} stands twice")
    if "patient_id" in kept and kept["patient_id"].isna().any():
        if not kept["patient_id"].isna().all():
            raise DataError(f"{path}: row {_row(kept['patient_id'].isna(), path)}: no patient id, other rows have one")
        kept = kept.drop(columns="patient_id")
    return kept


def _columns(
    frame: pd.DataFrame, vocabulary: Vocabulary, prefix: str, path: Path, notes: list[str], *, bare: bool = True
) -> dict[str, str]:
    """Find the label columns: those with the prefix, or, when there are none and it is allowed, any that name a label."""
    lookup = Lookup(vocabulary)
    named = [str(column) for column in frame.columns]
    chosen = [column for column in named if column.startswith(prefix)]
    if not chosen and bare:
        chosen = [column for column in named if ":" not in column and lookup.get(column) is not None]
    found: dict[str, str] = {}
    for column in chosen:
        written = column.removeprefix(prefix)
        label = lookup.get(written) or written
        if label in found:
            raise DataError(f"{path}: columns {found[label]!r} and {column!r} both mean {label!r}")
        found[label] = column
        if label != written:
            notes.append(f"{written!r} read as {label!r} (synonym)")
    return found


def _scores(frame: pd.DataFrame, column: str, label: str, path: Path, *, logits: bool) -> npt.NDArray[np.float64]:
    values = _numbers(frame[column], label, path)
    if logits:
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-values)))
    outside = (values < 0) | (values > 1)
    if outside.any():
        value = values[outside][0]
        raise DataError(
            f"{path}: row {_row(outside, path)}: score {value:g} for {label} is outside 0..1: are these logits? pass --logits"
        )
    return values


def _truth(frame: pd.DataFrame, column: str, label: str, path: Path) -> npt.NDArray[np.float64]:
    values = _numbers(frame[column], label, path)
    odd = ~(np.isnan(values) | (values == 0) | (values == 1))
    if odd.any():
        value = values[odd][0]
        hint = "; decide what uncertain (-1) means before judging" if value == -1 else ""
        raise DataError(f"{path}: row {_row(odd, path)}: truth {value:g} for {label}: wanted 1, 0 or nothing{hint}")
    return values


def _complete(frame: pd.DataFrame, label: str, at: npt.NDArray[np.int64], path: Path) -> None:
    """Refuse a known truth without a score: leaving the image out would silently change the test."""
    without = (frame[f"score:{label}"].isna() & frame[f"truth:{label}"].notna()).to_numpy()
    if without.any():
        first = int(np.flatnonzero(without)[0])
        row = int(at[first]) + (1 if path.suffix == ".parquet" else 2)
        raise MeasureError(
            f"{path}: row {row}: no score for {label}, whose truth is known ({without.sum():,} such images, "
            f"such as {frame['image'].iloc[first]!r})"
        )


def _strangers(scores: pd.DataFrame, found: Mapping[str, str], vocabulary: Vocabulary) -> list[str]:
    """Name columns that were not read and look like a label that is written otherwise."""
    known = {*found.values(), *KEPT}
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
    """Find each labelled image among the scored ones; one without a score would silently shrink the test."""
    where: Mapping[str, int] = {image: number for number, image in enumerate(scored)}
    without = [image for image in labelled if image not in where]
    if without:
        raise MeasureError(
            f"{scores_path}: {len(without):,} of {len(labelled):,} images of {truth_path.name} have no score, such as {without[0]!r}"
        )
    return np.array([where[image] for image in labelled], np.int64)


def _row(mask: pd.Series | npt.NDArray[np.bool_], path: Path) -> int:
    """Number the first row that is meant, as a spreadsheet does (the header is row 1); in Parquet the first row is 1."""
    return int(np.flatnonzero(np.asarray(mask))[0]) + (1 if path.suffix == ".parquet" else 2)
