"""Comparison of two runs, or of two methods of one run: sections of differences, as text and as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from xrbench import cards
from xrbench.compare import pairs as pairing
from xrbench.compare.across_runs import (
    SHARED,
    RankedMethods,
    rank_over_settings,
    ranking_lines,
    settings_by_method,
    unseen_external,
)
from xrbench.compare.differences import adjusted, gap_of, section
from xrbench.compare.pairs import Pair
from xrbench.compare.rows import METHODS, NETWORKS, CompareOptions, Row, Section
from xrbench.compare.scores_io import Results
from xrbench.compare.writing import section_lines
from xrbench.errors import UnknownNameError, UsageError
from xrbench.fixture_notice import STAMP
from xrbench.metrics import parse_as
from xrbench.planning import parse_only
from xrbench.progress import Reporter
from xrbench.runs.run_cell import RunCell
from xrbench.runs.shared_parents import given_notes

PROTOCOLS = ("external", "internal")
ONE_SEED = "one seed a setting: how much two trainings of one method differ is not in these intervals"
SEVERAL = "about these networks: how much other trainings of the methods would differ is not in these intervals (--about methods)"


@dataclass(frozen=True)
class Comparison:
    """Differences of two runs or methods: b minus a.

    Attributes:
        a, b: Where the two sides come from.
        how: Metric, margin, level, replicates.
        sections: One a method and protocol, or one a declared pair of methods.
        missing: Cells (and labels) of a that b does not have.
        unmeasured: Methods that should be compared and were not run.
        fixture: Whether any result comes from synthetic images.
        ranks: The methods ranked over settings, one value a label; empty unless asked for.
        given: Sentences on ranked methods whose seeds share one parent.
    """

    a: str
    b: str
    how: CompareOptions
    sections: tuple[Section, ...]
    missing: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    fixture: bool = False
    ranks: tuple[RankedMethods, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[Section, Row]]:
        """All rows, each with its section."""
        return [(part, row) for part in self.sections for row in part.rows]

    @property
    def measured(self) -> int:
        """Number of rows with a figure."""
        return sum(not math.isnan(row.difference) for _, row in self.rows)

    @property
    def exit_code(self) -> int:
        """Return 0, or 2 when there was nothing to compare."""
        return 0 if self.measured else 2

    def text(self) -> str:
        """Write the comparison for a terminal."""
        lines = [STAMP] if self.fixture else []
        for part in self.sections:
            lines += ["", *section_lines(part, self.how, self.measured)]
        lines += ["", *ranked, *self.given] if (ranked := ranking_lines(self.ranks)) else []
        lines += [f"caution: {SHARED}"] if self.how.across else []
        if self.missing:
            lines += ["", f"only in A ({self.a}): {', '.join(self.missing)}"]
        if self.unmeasured:
            lines += ["", f"not measured in {self.a}: {', '.join(self.unmeasured)}"]
        if not self.measured:
            lines += ["", "nothing was measured: no cell has a value on both sides"]
        return "\n".join(lines).strip("\n")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "a": self.a,
            "b": self.b,
            "stamp": STAMP if self.fixture else "",
            **asdict(self.how),
            "sections": [part.plain() for part in self.sections],
            "ranks": [asdict(one) for one in self.ranks],
            "missing": list(self.missing),
            "unmeasured": list(self.unmeasured),
            "exit_code": self.exit_code,
            **({"given": list(self.given)} if self.given else {}),
        }


def compare_runs(
    a: Results, b: Results, how: CompareOptions, *, only: Sequence[str] = (), reporter: Reporter | None = None
) -> Comparison:
    """Subtract run a from run b: each method with itself, internal and external apart.

    About networks, the default, cells are matched by name; about methods every training of one run is held against every one of the
    other, whatever their seeds.

    Raises:
        MeasureError: Test images or truth do not match.
        UsageError: ``only`` leaves nothing of a.
    """
    filters = parse_only(only)
    cells = [[c for c in side.cells if c.matches(filters) and c.protocol in PROTOCOLS] for side in (a, b)]
    if filters and not cells[0]:
        raise UsageError(f"--only {' '.join(only)}: nothing in {a.where} matches")
    how = replace(how, about=how.about or NETWORKS)
    pairs, missing = (pairing.matched_trainings if how.about == METHODS else pairing.matched)(*cells)
    labels = [label for label in pairing.labels_of(a) if label in pairing.labels_of(b)]
    missing += [f"label {label}" for label in pairing.labels_of(a) if pairs and label not in labels]
    parts = []
    for (method, model, protocol), of_line in _grouped(pairs).items():
        name = method if len({p.b.model for p in pairs if p.b.method == method}) == 1 else f"{method} ({model})"
        part = section(f"{name}: B minus A", of_line, a, b, labels, how, reporter=reporter)
        parts.append(_with_gaps(part, of_line, cells, (a, b), labels, how) if protocol == "external" else part)
    return Comparison(
        a.where, b.where, how, tuple(adjusted(parts, how)), tuple(missing), fixture=a.fixture or b.fixture
    )


def compare_methods(
    results: Results,
    comparisons: Sequence[cards.Comparison],
    how: CompareOptions,
    *,
    only: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> Comparison:
    """Subtract the baseline from the challenger of each comparison, on external test sets, in the same settings.

    Cells that the weights of either side have seen are left out.

    Raises:
        UnknownNameError: A method is neither among the results nor of the suite; one of the suite that was not run is no error.
        UsageError: Nothing to compare was declared or given.
    """
    if not comparisons:
        raise UsageError(
            f"{results.where}: the suite declares no comparisons; name two with --methods CHALLENGER,BASELINE"
        )
    filters = parse_only(only)
    cells = [cell for cell in results.cells if cell.matches(filters)]
    if only and not cells:
        raise UsageError(f"--only {' '.join(only)}: nothing in {results.where} matches")
    measured = {cell.method for cell in cells}
    known = {cell.method for cell in results.cells} | set(results.card.methods if results.card else ())
    known |= {
        name for one in (results.card.comparisons if results.card else ()) for name in (one.challenger, one.baseline)
    }
    labels = pairing.labels_of(results)
    parts, missing = [], []
    how = replace(how, about=how.about or METHODS)
    for comparison in comparisons:
        names = (comparison.challenger, comparison.baseline)
        for name in names:
            if name not in known:
                raise UnknownNameError("method", name, known, where=results.where)
        missing += [f"method {name}" for name in names if name not in measured]
        faced = pairing.facing(cells, comparison.challenger, comparison.baseline, any_seed=how.about == METHODS)
        pairs = [pair for pair in faced if pair.b.protocol == "external"]
        fair = [p for p in pairs if not p.a.seen and not p.b.seen]
        if fair:
            title = f"{comparison.challenger} minus {comparison.baseline}"
            own = replace(how, margin=comparison.margin or how.margin)
            part = section(title, fair, results, results, labels, own, question=comparison.question, reporter=reporter)
            parts.append(
                _with_gaps(part, fair, (cells, cells), (results, results), labels, how, len(pairs) - len(fair))
            )
    return Comparison(
        results.where,
        results.where,
        how,
        tuple(adjusted(parts, how)),
        ranks=_ranks(results, labels, how) if how.across else (),
        given=given_notes(cell for cell in results.cells if cell.protocol == "external") if how.across else (),
        unmeasured=tuple(dict.fromkeys(missing)),
        fixture=results.fixture,
    )


def _ranks(results: Results, labels: Sequence[str], how: CompareOptions) -> tuple[RankedMethods, ...]:
    """Rank all methods of the results over settings, for every label that the metric has (and their mean)."""
    there = unseen_external(results.scores)
    measured = there.loc[there["metric"] == how.metric, "label"].drop_duplicates()
    better = parse_as(results.task, how.metric).better
    return tuple(
        rank_over_settings(settings_by_method(results.scores, how.metric, label), str(label), better, 1 - how.level)
        for label in measured
        if len(labels) > 1 or label != pairing.MEAN
    )


def _with_gaps(
    part: Section,
    pairs: Sequence[Pair],
    cells: Sequence[Sequence[RunCell]],
    sides: tuple[Results, Results],
    labels: Sequence[str],
    how: CompareOptions,
    left_out: int = 0,
) -> Section:
    """Add each side's gap, if its internal cells have predictions, and how many contaminated cells were left out."""
    gap_a = gap_of((p.a.fit for p in pairs), cells[0], sides[0], labels, how)
    gap_b = gap_of((p.b.fit for p in pairs), cells[1], sides[1], labels, how)
    notes = list(part.notes)
    if part.about == NETWORKS:
        notes.append(ONE_SEED if len({(p.b.setting, p.b.model) for p in pairs}) == len(pairs) else SEVERAL)
    if left_out:
        notes.append(f"{left_out} pairs of cells left out: the weights have seen images of the test dataset")
    gaps = (gap_b, gap_a) if gap_a is not None and gap_b is not None else ()
    return replace(part, gaps=gaps, notes=tuple(notes))


def _grouped(pairs: Sequence[Pair]) -> dict[tuple[str, str, str], list[Pair]]:
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for protocol in PROTOCOLS:
        for pair in pairs:
            if pair.b.protocol == protocol:
                groups.setdefault((pair.b.method, pair.b.model, protocol), []).append(pair)
    return groups
