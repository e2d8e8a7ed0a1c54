"""Change the code a little and see whether the tests notice.

    python -m tests.mutation run                    # every mutant of sample.csv; writes result.csv; fails below 90 %
    python -m tests.mutation run --survivors        # only those that were not found last time
    python -m tests.mutation run --only statistics  # only those whose id, file or target holds this text
    python -m tests.mutation show ID                # the change as a diff
    python -m tests.mutation draw --refresh         # replace those that edits of the code have removed

A survivor that changes nothing that a caller can see stands in ``equivalent.toml`` with its reason and does not count.
"""

from __future__ import annotations

import argparse
import ast
import csv
import difflib
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.mutation.mutants import Mutant, mutated
from tests.mutation.sample import COLUMNS, Setup, SetupError, draw, everything, read_sample, read_setup, write_rows
from tests.mutation.trial import LEAST, PATIENCE, Slot, Trial, preload, run_all

ROOT, HERE = Path.cwd(), Path("tests/mutation")
RESULT = ("id", "file", "function", "operator", "change", "outcome", "by")
FOUND = ("killed", "timeout")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    root = options.root.resolve()
    try:
        setup = read_setup(root, root / HERE / "targets.toml")
        return int(options.command(setup, root / HERE, options))
    except (SetupError, OSError, tomllib.TOMLDecodeError) as error:
        print(error, file=sys.stderr)
        return 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="try the mutants of sample.csv")
    run.add_argument("--only", action="append", help="those whose id, file or target holds this text; may be repeated")
    run.add_argument("--survivors", action="store_true", help="those that were not found last time")
    run.add_argument("--limit", type=int, help="at most so many, evenly over the sample")
    run.add_argument("--jobs", type=int, default=2)
    run.add_argument("--least", type=float, default=LEAST, help="seconds that a trial may take at least")
    run.add_argument("--at-least", type=float, default=90.0, help="per cent to be found")
    run.set_defaults(command=_run)
    drawing = commands.add_parser("draw", help="draw a sample")
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--refresh", action="store_true", help="keep the mutants that still exist")
    drawing.set_defaults(command=_draw)
    showing = commands.add_parser("show", help="print a mutant as a diff")
    showing.add_argument("id")
    showing.set_defaults(command=_show)
    return parser


def _draw(setup: Setup, here: Path, options: argparse.Namespace) -> int:
    file = here / "sample.csv"
    kept = read_sample(file) if options.refresh else []
    drawn = draw(setup, options.seed, kept)
    write_rows(file, COLUMNS, [[getattr(mutant, column) for column in COLUMNS] for mutant in drawn])
    print(f"{len(drawn)} mutants, {len(set(drawn) & set(kept))} of them from before, of {_count(setup)} in all")
    return 0


def _count(setup: Setup) -> int:
    return sum(len(everything(setup, target)) for target in setup.targets)


def _show(setup: Setup, here: Path, options: argparse.Namespace) -> int:
    for mutant in read_sample(here / "sample.csv"):
        if mutant.id == options.id:
            source = (setup.root / mutant.file).read_text(encoding="utf-8")
            sys.stdout.writelines(_diff(source, mutant))
            return 0
    raise SetupError(f"sample.csv: no mutant {options.id}")


def _diff(source: str, mutant: Mutant) -> Iterator[str]:
    """Compare in the form in which Python writes code itself, without comments: only the change differs."""
    before = (ast.unparse(ast.parse(source)) + "\n").splitlines(keepends=True)
    after = (mutated(source, mutant) or "").splitlines(keepends=True)
    return difflib.unified_diff(before, after, mutant.file, f"{mutant.file} ({mutant.id})", n=4)


def _run(setup: Setup, here: Path, options: argparse.Namespace) -> int:
    sample = read_sample(here / "sample.csv")
    before = _results(here / "result.csv")
    equivalent = _equivalent(here / "equivalent.toml", sample)
    expected = options.only or [""]
    named = {m.id: f"{m.id} {m.file} {setup.target_of(m.file).name}" for m in sample}
    chosen = [m for m in sample if any(text in named[m.id] for text in expected)]
    if options.survivors:
        chosen = [m for m in chosen if before.get(m.id, ("", ""))[0] not in FOUND and m.id not in equivalent]
    if options.limit and len(chosen) > options.limit:
        chosen = [chosen[len(chosen) * i // options.limit] for i in range(options.limit)]
    there = {mutant for target in setup.targets for mutant in everything(setup, target)}
    gone = [f"{m.id} in {m.file}" for m in chosen if m not in there]
    if gone:
        raise SetupError(f"sample.csv: edits have removed {', '.join(gone)}: draw --refresh replaces them")
    results = _tried(setup, chosen, options.jobs, options.least)
    known = {m.id: results.get(m.id) or before.get(m.id, ("untried", "")) for m in sample}
    rows = [[*(getattr(m, column) for column in RESULT[:5]), *known[m.id]] for m in sample]
    write_rows(here / "result.csv", RESULT, rows)
    return _judge([(m, known[m.id][0]) for m in sample], equivalent, options.at_least)


def _results(file: Path) -> dict[str, tuple[str, str]]:
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        return {row["id"]: (row["outcome"], row["by"]) for row in csv.DictReader(stream)}


def _equivalent(file: Path, sample: Sequence[Mutant]) -> dict[str, str]:
    reasons: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    unknown = set(reasons) - {mutant.id for mutant in sample}
    if unknown:
        raise SetupError(f"{file.name}: not in sample.csv: {', '.join(sorted(unknown))}")
    return reasons


def _tried(setup: Setup, chosen: Sequence[Mutant], jobs: int, least: float) -> dict[str, tuple[str, str]]:
    """Try the unchanged code with the tests of every target in every slot first, then the mutants."""
    results: dict[str, tuple[str, str]] = {}
    if not chosen:
        return results
    preload(setup)
    with tempfile.TemporaryDirectory(prefix="mutation-") as temporary:
        slots = [Slot(Path(temporary) / f"slot-{number}", setup) for number in range(jobs)]
        for slot in slots:
            slot.copy()
        setup = replace(setup, root=slots[0].folder)  # edits during the run change nothing
        limits = _measured(setup, chosen, slots, least)

        def done(trial: Trial) -> None:
            assert trial.mutant is not None
            results[trial.mutant.id] = (trial.outcome, trial.by)
            print(
                f"{len(results):4}/{len(chosen)} {trial.mutant.id} {trial.outcome:8} {trial.took:5.1f} s  {trial.by}",
                flush=True,
            )

        run_all(slots, (_trial(setup, mutant, limits) for mutant in chosen), done)
    return results


def _measured(setup: Setup, chosen: Sequence[Mutant], slots: Sequence[Slot], least: float) -> dict[str, float]:
    """Return the seconds that a mutant of each target may take; tests that fail unchanged can find nothing."""
    limits: dict[str, float] = {}
    for name in dict.fromkeys(setup.target_of(mutant.file).name for mutant in chosen):
        first = next(mutant for mutant in chosen if setup.target_of(mutant.file).name == name)

        def done(trial: Trial, name: str = name) -> None:
            if trial.outcome != "survived":
                raise SetupError(f"{name}: its tests fail on the unchanged code: {trial.outcome} {trial.by}")
            limits[name] = max(least, PATIENCE * trial.took, limits.get(name, 0.0))

        plain = [_trial(setup, first, {}, changed=False) for _ in slots]
        run_all(slots, iter(plain), done)
        print(f"{name}: its tests pass on the unchanged code, {max(trial.took for trial in plain):.0f} s", flush=True)
    return limits


def _trial(setup: Setup, mutant: Mutant, limits: dict[str, float], *, changed: bool = True) -> Trial:
    target = setup.target_of(mutant.file)
    tests = target.tests_of(setup.root, mutant.file)
    return Trial(tests, mutant if changed else None, target.left_out, limits.get(target.name, 900.0))


def _judge(outcomes: Sequence[tuple[Mutant, str]], equivalent: dict[str, str], at_least: float) -> int:
    """Print what was found and what was not; 0 if enough was found and every argument of equivalence stands."""
    tried = [(m, outcome) for m, outcome in outcomes if outcome != "untried"]
    refuted = [m.id for m, outcome in tried if m.id in equivalent and outcome in FOUND]
    counted = [(m, outcome) for m, outcome in tried if m.id not in equivalent]
    found = sum(outcome in FOUND for _, outcome in counted)
    for mutant, outcome in counted:
        if outcome not in FOUND:
            print(f"{outcome}: {mutant.id} {mutant.file} {mutant.function}: {mutant.change}")
    for name in refuted:
        print(f"equivalent.toml: {name} is said to change nothing, but a test found it")
    share = 100 * found / len(counted) if counted else 0.0
    print(f"{found} of {len(counted)} mutants found ({share:.1f} %)")
    print(f"not counted: {len(tried) - len(counted)} that change nothing, {len(outcomes) - len(tried)} untried")
    return int(share < at_least or bool(refuted))


if __name__ == "__main__":
    sys.exit(main())
