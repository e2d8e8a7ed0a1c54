"""Rows of ``docs/paper-sizes.csv``: what a step and an evaluation batch took, and where."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import msgspec

from xrbench.files import write_atomic

FORMATS = {"load": ".1f"}
"""Formats of numbers that are not whole; times have three decimals."""
KEY = ("suite", "profile", "model", "method", "device")


@dataclass(frozen=True)
class Record:
    """One case on one device; figures of what is not done (training, or running a network at all) are NaN.

    Attributes:
        suite, profile, model, method: The case.
        device: ``cpu``, ``cuda`` ...
        image_size: Side of the images in pixels.
        batch: Images in a group, and in an evaluation batch.
        groups: Groups in a step; 0 without training.
        accumulate: Steps whose gradients are summed before the optimiser's step; 0 without training.
        precision: Number format of training; evaluation is in float32.
        threads: CPU threads.
        step_seconds: Least time of one step of the optimiser, all accumulated steps together.
        step_cpu_seconds: Processor time of a step, all threads together, which other programs disturb less; NaN on a GPU.
        repeated_step_seconds: ``step_seconds``, measured again after all other cases; only for the slowest case of a run.
        evaluation_seconds: Least time of one evaluation batch.
        evaluation_cpu_seconds: Its processor time, likewise.
        start_memory_mib: Peak memory before the network is built: interpreter, libraries, images; on a GPU 0.
        peak_memory_mib: Peak memory of the process; on a GPU that of its tensors.
        machine: Processor, cores, memory, version of PyTorch.
        load: Processes that wanted a core in the minute before the case (load average); NaN where it is not known.
    """

    suite: str
    profile: str
    model: str
    method: str
    device: str
    image_size: int
    batch: int
    groups: int
    accumulate: int
    precision: str
    threads: int
    step_seconds: float
    step_cpu_seconds: float
    repeated_step_seconds: float
    evaluation_seconds: float
    evaluation_cpu_seconds: float
    start_memory_mib: float
    peak_memory_mib: float
    machine: str
    load: float

    @property
    def key(self) -> tuple[str, ...]:
        """What one row stands for."""
        return tuple(str(getattr(self, name)) for name in KEY)

    @property
    def images(self) -> int:
        """Images in a step of the optimiser."""
        return self.batch * self.groups * self.accumulate


COLUMNS = tuple(field.name for field in fields(Record))


def read(path: Path) -> list[Record]:
    """Read a table that ``write`` wrote; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{name: text or "nan" for name, text in row.items()} for row in csv.DictReader(file)]
    # not strict: numbers are texts in a csv
    return msgspec.convert(rows, list[Record], strict=False)


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a table; what was not measured is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_text(name, value) for name, value in asdict(record).items()] for record in records)
    write_atomic(path, text.getvalue().encode())


def merged(old: Sequence[Record], new: Sequence[Record], order: Sequence[tuple[str, ...]]) -> list[Record]:
    """Put new rows in place of old ones with the same key, in the order of (suite, profile, model, method); cases of no plan go.

    Args:
        old: The table as it is.
        new: What was measured now.
        order: The cases of all plans.
    """
    rows = {record.key: record for record in (*old, *new)}
    placed = {case: number for number, case in enumerate(order)}
    kept = [record for record in rows.values() if record.key[:-1] in placed]
    return sorted(kept, key=lambda record: (placed[record.key[:-1]], record.device))


def _text(name: str, value: object) -> str:
    if isinstance(value, float):
        return (
            "" if math.isnan(value) else format(value, ".3f" if name.endswith("seconds") else FORMATS.get(name, ".0f"))
        )
    return str(value)
