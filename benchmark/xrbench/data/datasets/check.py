"""Check of a dataset before it is used: whether it is present, complete, readable, and as its card describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import DatasetCard, Vocabulary
from xrbench.data.datasets.describe import count_of
from xrbench.data.datasets.domain import Domain, load_domain
from xrbench.data.images.decode import decode
from xrbench.data.readers.base import files_in
from xrbench.errors import DataError, MissingDataError
from xrbench.progress import Reporter, Silent

SHOWN = 3
"""Number of examples that a line names."""
PLAIN_DIFFERENCE = 24
"""Difference between red, green and blue, of 255, that is a colour and no artefact of compression."""


@dataclass(frozen=True)
class Count:
    """A number of the card and the number observed, which is None when this copy does not determine it."""

    key: str
    expected: int
    observed: int | None

    @property
    def same(self) -> bool:
        """Whether they are equal."""
        return self.observed == self.expected


@dataclass(frozen=True)
class Check:
    """Result of the check of one dataset.

    Attributes:
        name, title: The dataset.
        folder: Its folder; None when it is missing.
        missing: Why it cannot be found; empty when it is present.
        access: Where to request it.
        wrong: Why its metadata cannot be read; empty when they can.
        layout: ``published`` or ``table`` (xrbench's own).
        synthetic: Whether the images are synthetic.
        images, patients: Their numbers; ``patients`` is None without ids.
        absent: Images that are listed but missing.
        shared: Images whose file is also that of another row.
        unreadable: Image -> why it cannot be decoded.
        decoded: Number of images that were decoded.
        channels: 3 where the card says that images are in colour, else 1.
        coloured: Number of decoded images that show colours.
        counts: Numbers of the card and those observed.
        whole: Whether the counts must agree: not for a sample in xrbench's own layout, nor for synthetic images.
        notes: Remarks on this copy.
    """

    name: str
    title: str = ""
    folder: Path | None = None
    missing: str = ""
    access: str = ""
    wrong: str = ""
    layout: str = ""
    synthetic: bool = False
    images: int = 0
    patients: int | None = None
    absent: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    decoded: int = 0
    channels: int = 1
    coloured: int = 0
    counts: tuple[Count, ...] = ()
    whole: bool = False
    notes: tuple[str, ...] = ()

    @property
    def differing(self) -> tuple[Count, ...]:
        """Counts that differ from the card."""
        return tuple(count for count in self.counts if not count.same)

    @property
    def ok(self) -> bool:
        """Whether the dataset can be used as its card describes it."""
        broken = self.missing or self.wrong or self.absent or self.shared or self.unreadable
        return not broken and not (self.whole and self.differing)

    def lines(self) -> list[str]:
        """Return the result as text: a line for the dataset, then one for each finding."""
        head = f"{self.name}   {self.title}"
        if self.missing:
            return [
                f"{head}   missing",
                f"  {self.missing}",
                *([f"  where to ask: {self.access}"] if self.access else []),
            ]
        if self.wrong:
            return [f"{head}   wrong", f"  {self.wrong}"]
        people = "no patient ids" if self.patients is None else f"{self.patients:,} patients"
        kind = "FIXTURE, synthetic images" if self.synthetic else f"{self.layout} layout"
        lines = [
            f"{head}   {'ok' if self.ok else 'not ok'}",
            f"  {self.images:,} images, {people}   {self.folder}   ({kind})",
        ]
        return lines + [f"  {line}" for line in (*self._file_lines(), *self._count_lines(), *self.notes)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "counts"}
        counts = {count.key: {"expected": count.expected, "found": count.observed} for count in self.counts}
        folder = None if self.folder is None else str(self.folder)
        lists = {name: list(getattr(self, name)) for name in ("absent", "shared", "notes")}
        return {**plain, **lists, "folder": folder, "counts": counts, "ok": self.ok}

    def _file_lines(self) -> Iterator[str]:
        if self.absent:
            yield f"absent: {len(self.absent):,} of {self.images:,} images are listed but not there: {_first_few(self.absent)}"
        if self.shared:
            yield f"shared: {len(self.shared):,} images have the file of another image: {_first_few(self.shared)}"
        reasons = [f"{path}: {reason}" for path, reason in self.unreadable.items()]
        if reasons:
            yield f"unreadable: {len(reasons):,} of {self.decoded:,} images: {_first_few(reasons)}"
        elif self.decoded:
            yield f"readable: all {self.decoded:,} images were decoded"
        if self.decoded and self.channels == 3:
            grey = self.decoded - len(self.unreadable) - self.coloured
            yield f"colour: {self.coloured:,} images show colours{f', {grey:,} are grey' if grey else ''}"
        elif self.coloured:
            yield (
                f"colour: {self.coloured:,} of {self.decoded:,} images show colours and are read as grey; "
                "channels = 3 in the card keeps them"
            )

    def _count_lines(self) -> Iterator[str]:
        if not self.counts or self.synthetic:
            return
        if not self.differing:
            yield f"counts: as published ({len(self.counts)} numbers compared)"
        elif not self.whole:
            published = next((count.expected for count in self.counts if count.key in ("images", "rows")), None)
            of = "" if published is None else f" of {published:,}"
            yield f"counts: {self.images:,}{of} published images are here; a sample is not compared"
        else:
            for count in self.differing[:SHOWN]:
                observed = "unknown" if count.observed is None else f"{count.observed:,}"
                yield f"counts: {count.key} is {observed}, published {count.expected:,}"
            if len(self.differing) > SHOWN:
                yield f"counts: {len(self.differing)} of {len(self.counts)} numbers are not those published"


def check(
    card: DatasetCard,
    base: DatasetCard | Sequence[DatasetCard] | None,
    vocabulary: Vocabulary,
    data_root: Path,
    *,
    folder: Path | None = None,
    read_pixels: bool = False,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Check:
    """Check one dataset of a data root.

    Args:
        card: The dataset or slice.
        base: The cards below a slice, as for ``load_domain``.
        vocabulary: The shared names of findings.
        data_root: Folder with one folder a dataset.
        folder: The dataset's folder; None to search for it.
        read_pixels: Also decode every image.
        jobs: Number of images decoded at a time.
        reporter: Where progress is shown.

    Raises:
        UsageError: The data root is not a folder. Errors of the data are not raised but part of the result.
    """
    chain = [card, *([base] if isinstance(base, DatasetCard) else base or ())]
    identity: dict[str, Any] = {"name": card.name, "title": card.title, "access": chain[-1].access}
    try:
        domain = load_domain(card, base, vocabulary, data_root, folder=folder)
    except MissingDataError as error:
        # the access line is shown apart
        message = str(error).removesuffix(f"; {chain[-1].access}") if chain[-1].access else str(error)
        return Check(**identity, missing=message)
    except DataError as error:
        return Check(**identity, wrong=str(error))
    report = reporter or Silent()
    absent = _absent_images(domain, report)
    pixels = _read_images(domain, set(absent), jobs, report) if read_pixels else _Pixels()
    return Check(
        **identity,
        folder=domain.root,
        layout=domain.layout,
        synthetic=domain.synthetic,
        images=len(domain),
        patients=count_of(domain, "patients"),
        absent=absent,
        shared=tuple(domain.frame.loc[domain.frame["path"].duplicated(), "path"]),
        unreadable=pixels.unreadable,
        decoded=pixels.decoded,
        channels=domain.channels,
        coloured=pixels.coloured,
        counts=tuple(Count(key, expected, count_of(domain, key)) for key, expected in card.counts.items()),
        whole=domain.layout == "published" and not domain.synthetic,
        notes=(*(f"left out: {n:,} images ({reason})" for reason, n in domain.dropped.items()), *domain.notes),
    )


def _absent_images(domain: Domain, reporter: Reporter) -> tuple[str, ...]:
    """Return the images whose files are missing, with one scan of each folder."""
    paths = domain.frame["path"]
    folders = pd.Series([str(PurePosixPath(path).parent) for path in paths])
    absent: list[int] = []
    with reporter.bar(f"files {domain.name}", len(paths)) as bar:
        for folder, rows in folders.groupby(folders).groups.items():
            file_names = files_in(domain.root, [str(folder)])
            absent += [row for row in rows if PurePosixPath(paths[row]).name not in file_names]
            bar.advance(len(rows))
    return tuple(paths[row] for row in sorted(absent))


@dataclass(frozen=True)
class _Pixels:
    """What the files of a dataset hold; see ``Check``."""

    unreadable: dict[str, str] = field(default_factory=dict)
    decoded: int = 0
    coloured: int = 0


def _read_images(domain: Domain, absent: set[str], jobs: int, reporter: Reporter) -> _Pixels:
    # Pillow releases the interpreter lock while it decodes, so threads suffice here
    def attempt(path: str) -> tuple[str, bool]:
        try:
            return "", shows_colours(decode(domain.root / path, channels=None))
        except DataError as error:
            return str(error).removeprefix(f"{domain.root / path}: "), False

    paths = [path for path in domain.frame["path"] if path not in absent]
    reasons, coloured = {}, 0
    with reporter.bar(f"images {domain.name}", len(paths)) as bar, ThreadPoolExecutor(max(jobs, 1)) as pool:
        for path, (reason, is_coloured) in zip(paths, pool.map(attempt, paths), strict=True):
            bar.advance()
            coloured += is_coloured
            if reason:
                reasons[path] = reason
    return _Pixels(reasons, len(paths), coloured)


def shows_colours(image: npt.NDArray[Any]) -> bool:
    """Return whether an image shows colours: one pixel in a hundred, at least, in which red, green and blue differ plainly.

    Grey images that are stored with three channels do not count, nor the faint tints that JPEG makes of them, nor a small coloured
    mark.

    Args:
        image: Values 0..255, shape (height, width) or (height, width, 3).

    >>> shows_colours(np.zeros((4, 4))), shows_colours(np.full((4, 4, 3), [200, 150, 130]))
    (False, True)
    """
    if image.ndim == 2:
        return False
    return bool((np.ptp(image, axis=2) > PLAIN_DIFFERENCE).mean() >= 0.01)


def _first_few(names: Sequence[str]) -> str:
    more = f", ... ({len(names) - SHOWN:,} more)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
