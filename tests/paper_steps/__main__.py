"""One optimiser step and one evaluation batch of every ``paper`` profile, at the paper's own sizes.

    python -m tests.paper_steps                          # all cases; writes docs/paper-sizes.csv and the tables of docs/paper-sizes.md
    python -m tests.paper_steps --only vindr-to-chexpert # only cases whose name SUITE/PROFILE/MODEL/METHOD holds this text
    python -m tests.paper_steps --device cuda            # on a GPU; rows of other devices stay
    python -m tests.paper_steps --no-measuring           # only the tables of the page, from the csv as it is

Each case runs in a process of its own, so that its peak memory is its own; cases that differ in the name of their suite and in seeds alone
are measured once. After all cases the one with the longest step is measured once more. ``--missing`` goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.paper_steps import page, records
from tests.paper_steps.cases import Case, cases
from tests.paper_steps.records import Record
from xrbench.catalogue import open_catalogue

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the table and the page; return the exit code."""
    options = _parser().parse_args(arguments)
    catalogue = open_catalogue(options.catalogue)
    every = cases(catalogue)
    chosen = [case for case in every if (options.only or "") in case.name]
    if not chosen:
        print(f"--only {options.only}: in no name: {', '.join(case.name for case in every)}", file=sys.stderr)
        return 3
    if not options.no_measuring:
        table = Table(options, every)
        for case in chosen:
            if not (options.missing and table.has(case)):
                table.put(case, table.of_equal(case) or _measured(case, options))
        table.repeat_slowest(chosen)
    if options.page:
        page.update(options.page, records.read(options.csv), catalogue)
    return 0


class Table:
    """The csv, which is written after each case, so that an interruption loses one.

    Args:
        options: Of the command.
        every: The cases of all plans, in order.
    """

    def __init__(self, options: argparse.Namespace, every: Sequence[Case]) -> None:
        self.options, self.device = options, options.device.partition(":")[0]
        self.order = [case.key for case in every]
        self.measured: list[tuple[Case, Record]] = []

    def has(self, case: Case) -> bool:
        """Say whether the csv has a row of this case and device."""
        return self._row(case) is not None

    def of_equal(self, case: Case) -> Record | None:
        """Return what this command has measured of a case that differs in its suite's name and seeds alone."""
        return next((record for other, record in self.measured if case.is_equal(other)), None)

    def put(self, case: Case, record: Record) -> None:
        """Add a row, or put it in place of an older one."""
        record = replace(record, suite=case.suite, profile=case.profile, model=case.model, method=case.method)
        self.measured.append((case, record))
        self._write(record)
        print(_line(record), flush=True)

    def repeat_slowest(self, chosen: Sequence[Case]) -> None:
        """Measure the case with the longest step again, and put its time beside the first one."""
        rows = [(case, row) for case in chosen if (row := self._row(case)) is not None and row.groups]
        if rows:
            case, row = max(rows, key=lambda pair: pair[1].step_seconds)
            again = _measured(case, self.options)
            self._write(replace(row, repeated_step_seconds=again.step_seconds))
            print(f"again: {_line(again)}", flush=True)

    def _row(self, case: Case) -> Record | None:
        key = (*case.key, self.device)
        return next((record for record in records.read(self.options.csv) if record.key == key), None)

    def _write(self, record: Record) -> None:
        table = records.merged(records.read(self.options.csv), [record], self.order)
        records.write(self.options.csv, table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.paper_steps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="cases whose name SUITE/PROFILE/MODEL/METHOD holds this text")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; the profile's by default")
    parser.add_argument("--repeats", type=int, default=2, help="steps and evaluation batches that are timed")
    parser.add_argument("--catalogue", action="append", default=[], help="a further folder with cards")
    parser.add_argument("--missing", action="store_true", help="only cases that the csv has no row of")
    parser.add_argument("--csv", type=Path, default=ROOT / "docs" / "paper-sizes.csv")
    parser.add_argument("--page", type=_optional_path, default=ROOT / "docs" / "paper-sizes.md", help="'' for none")
    parser.add_argument("--no-measuring", action="store_true", help="write the page's tables from the csv as it is")
    return parser


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _measured(case: Case, options: argparse.Namespace) -> Record:
    """Measure a case in a process of its own."""
    command = [sys.executable, "-m", "tests.paper_steps.measure", case.name]
    command += ["--device", options.device, "--repeats", str(options.repeats), "--threads", str(options.threads)]
    command += [word for folder in options.catalogue for word in ("--catalogue", str(Path(folder).resolve()))]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return Record(**json.loads(done.stdout.splitlines()[-1]))


def _line(record: Record) -> str:
    return (
        f"{'/'.join(record.key)}: step {record.step_seconds:.2f} s, evaluation batch {record.evaluation_seconds:.2f} s, "
        f"{record.peak_memory_mib:,.0f} MiB"
    )


if __name__ == "__main__":
    sys.exit(main())
