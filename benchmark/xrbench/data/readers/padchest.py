"""Reader of PadChest as BIMCV publishes it: one table of 160,861 images, and 16-bit PNG files in folders 0 to 54.

Every report was given a full list of findings, so a finding that is not listed is negative. PadChest has 193 findings; its card
says which of them make a label of the vocabulary. Rows without a list, and files that are known to be absent or broken in every
copy, are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.labels.policies import Lookup
from xrbench.data.readers import parsing
from xrbench.data.readers.base import Reading, States, files_in, image_ids, locate_files, tidy
from xrbench.data.readers.csv_files import Sheet, find_sheet, read_sheet
from xrbench.errors import DataError

CSV = ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "PADCHEST_*.csv")

ABSENT = frozenset(
    {
        "216840111366964012283393834152009033102258826_00-059-087.png",
        "216840111366964012339356563862009072111404053_00-043-192.png",
        "216840111366964012373310883942009117084022290_00-064-025.png",
        "216840111366964012373310883942009170084120009_00-097-074.png",
        "216840111366964012558082906712009327122220177_00-102-064.png",
        "216840111366964012819207061112010306085429121_04-020-102.png",
        "216840111366964012819207061112010307142602253_04-014-084.png",
        "216840111366964012819207061112010315104455352_04-024-184.png",
        "216840111366964012959786098432011033083840143_00-176-115.png",
        "216840111366964012989926673512011074122523403_00-163-058.png",
        "216840111366964013076187734852011291090445391_00-196-188.png",
    }
)
"""Listed images that were never published."""

BROKEN = frozenset(
    {
        "216840111366964012373310883942009152114636712_00-102-045.png",
        "216840111366964012487858717522009280135853083_00-075-001.png",
        "216840111366964012819207061112010281134410801_00-129-131.png",
        "216840111366964012989926673512011083134050913_00-168-009.png",
        "216840111366964012989926673512011151082430686_00-157-045.png",
        "216840111366964013590140476722013043111952381_02-065-198.png",
        "216840111366964013590140476722013058110301622_02-056-111.png",
        "216840111366964013686042548532013208193054515_02-026-007.png",
        "216840111366964013829543166512013353113303615_02-092-190.png",
        "216840111366964013962490064942014134093945580_01-178-104.png",
    }
)
"""Images whose published files are truncated or damaged."""

_FINDING = re.compile(r"'([^']*)'|\"([^\"]*)\"|([^\[\],'\"]+)")


def read(
    root: Path,
    *,
    vocabulary: Vocabulary,
    labels: Mapping[str, str],
    findings: Mapping[str, Sequence[str]] | None = None,
    without: Literal["absent-and-broken", "absent", "nothing"] = "absent-and-broken",
    born_before: int = 0,
) -> Reading:
    """Read PadChest.

    Age is the year of the study minus the year of birth, since nothing finer is published.

    Args:
        root: The folder with the table; images lie in folders ``0`` to ``54`` (in it or in ``images/``), or all in one folder.
        vocabulary: The shared names of findings.
        labels: PadChest findings -> shared names; used when ``findings`` is not given, beside the vocabulary's synonyms.
        findings: Label -> the PadChest findings any of which makes it positive, in lower case. A finding may count for
            several labels.
        without: Which listed files to leave out: those that are absent or broken in every copy, the absent ones only, or none.
        born_before: Keep only patients known to be born before this year; 0 keeps all.

    Raises:
        MissingDataError: The table is not there.
        DataError: It is not as published.
    """
    sheet = read_sheet(
        find_sheet(root, *CSV, needed="the metadata of PadChest"),
        {
            "image": "ImageID",
            "folder": "ImageDir",
            "date": "StudyDate_DICOM",
            "study": "StudyID",
            "patient_id": "PatientID",
            "birth": "PatientBirth",
            "sex": "PatientSex_DICOM",
            "view": "Projection",
            "findings": "Labels",
        },
    )
    images = image_ids(sheet)
    birth = sheet.values("birth", parsing.year, expected="a year of birth", dtype=np.float64)
    row_kept, dropped = _rows_kept(sheet, images, birth, without=without, born_before=born_before)
    columns: dict[str, Any] = {
        "image": images,
        "path": _paths(root, sheet, images),
        "patient_id": sheet.text("patient_id"),
        "study": sheet.text("study"),
        "view": pd.Series(sheet.values("view", parsing.view, expected="a projection")),
        "age": _ages(sheet, birth),
        "sex": pd.Series(sheet.values("sex", parsing.sex, expected=parsing.SEX)),
    }
    names = _findings_of_labels(findings, vocabulary, labels, sheet)
    states = _states(sheet, names)[row_kept]
    states_of_label = {label: states[:, number] for number, label in enumerate(names)}
    return Reading(
        tidy({key: column[row_kept] for key, column in columns.items()}, states_of_label),
        tuple(states_of_label),
        dropped,
    )


def split_findings(text: str) -> list[str]:
    """Split a list of findings as PadChest writes it, with stray spaces and quotes, into lower-case names.

    >>> split_findings("['COPD signs', ' pleural effusion', '']")
    ['copd signs', 'pleural effusion']
    """
    words = ("".join(groups).strip(" '\"").casefold() for groups in _FINDING.findall(text))
    return [word for word in words if word]


def _rows_kept(
    sheet: Sheet, images: pd.Series[Any], birth: npt.NDArray[np.float64], *, without: str, born_before: int
) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    excluded_files = {"absent-and-broken": ABSENT | BROKEN, "absent": ABSENT, "nothing": frozenset[str]()}[without]
    reasons = {
        "no list of findings": sheet.text("findings", missing=parsing.BLANK).isna().to_numpy(),
        "file absent or broken in every copy": images.isin(excluded_files).to_numpy(),
        # negated, so that an unknown year of birth (NaN) is excluded
        f"not known to be born before {born_before}": ~(birth < born_before) if born_before else None,
    }
    row_kept = np.ones(len(sheet), bool)
    dropped = {}
    # a row with several reasons is counted for the first one
    for reason, excluded in reasons.items():
        if excluded is not None and (excluded & row_kept).any():
            dropped[reason] = int((excluded & row_kept).sum())
            row_kept &= ~excluded
    if not row_kept.any():
        raise DataError(f"{sheet.path}: no row is left ({', '.join(f'{n:,} {why}' for why, n in dropped.items())})")
    return row_kept, dropped


def _paths(root: Path, sheet: Sheet, images: pd.Series[Any]) -> pd.Series[Any]:
    folders = sheet.text("folder").str.removesuffix(".0")
    for top in ("", "images/"):
        if any((root / f"{top}{number}").is_dir() for number in folders.unique()):
            return top + folders + "/" + images
    # no numbered folder holds images: all of them may be in one folder
    flat = files_in(root, ["images", *sorted(path.name for path in root.glob("images-*")), ""])
    if not any(name in flat for name in images):
        return folders + "/" + images
    return locate_files(images, flat, fallback="images/{}")


def _ages(sheet: Sheet, birth: npt.NDArray[np.float64]) -> pd.Series[Any]:
    ages = sheet.values("date", parsing.year, expected="a date such as 20140915", dtype=np.float64) - birth
    return pd.Series(np.where((ages >= 0) & (ages <= parsing.OLDEST), ages, np.nan))


def _findings_of_labels(
    findings: Mapping[str, Sequence[str]] | None, vocabulary: Vocabulary, labels: Mapping[str, str], sheet: Sheet
) -> dict[str, frozenset[str]]:
    """Return the PadChest findings that make each label positive."""
    lookup = Lookup(vocabulary)
    where = str(sheet.path)
    if findings:
        return {
            lookup(label, where=where): frozenset(map(str.casefold, own_findings))
            for label, own_findings in findings.items()
        }
    findings_of: dict[str, set[str]] = {}
    shared_names = {finding.casefold(): name for finding, name in labels.items()}
    for finding in sorted({finding for word in sheet.coded("findings")[1] for finding in split_findings(word)}):
        name = lookup(shared_names[finding], where=where) if finding in shared_names else lookup.get(finding)
        if name is not None:
            findings_of.setdefault(name, set()).add(finding)
    return {name: frozenset(of_label) for name, of_label in findings_of.items()}


def _states(sheet: Sheet, names: Mapping[str, frozenset[str]]) -> States:
    # each distinct list is read once; codes spread the result over the rows
    codes, words = sheet.coded("findings")
    finding_sets = list(names.values())
    table = np.array(
        [[not finding_set.isdisjoint(row) for finding_set in finding_sets] for row in map(split_findings, words)],
        np.float32,
    )
    return table[codes]
