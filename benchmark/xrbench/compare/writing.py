"""Sections of a comparison as text: title, table, gap, and what was left out."""

from __future__ import annotations

import math

from xrbench import statistics
from xrbench.compare.across_runs import signed_lines
from xrbench.compare.hypotheses import ADJUSTMENTS, SUPERIORITY, claim
from xrbench.compare.rows import CompareOptions, Section, spec_of
from xrbench.metrics.names import gap_note, metric_title
from xrbench.rendering.numbers import p_text, plural, signed, signed_interval
from xrbench.rendering.text import aligned


def section_lines(part: Section, how: CompareOptions, measured: int) -> list[str]:
    """Write one section.

    Args:
        part: The section.
        how: How differences were judged.
        measured: Rows with a figure in all sections: the size of the family.
    """
    lines = [
        _title(part, how, measured),
        *_table(part, how),
        *part.given,
        *_gap_line(part),
        *part.notes,
        *_cautions(part),
    ]
    return lines + signed_lines(part.signed, ADJUSTMENTS[how.adjustment])


def _title(part: Section, how: CompareOptions, measured: int) -> str:
    paired = "paired over patients" if part.paired else "unpaired (no predictions)"
    family = f"{ADJUSTMENTS[how.adjustment]} over {plural(measured, 'comparison')}"
    asked = "" if part.question == SUPERIORITY else f"; declared: {claim(part.question, part.margin)}"
    return f"{part.title}, {part.protocol} test {metric_title(how.metric)}, {paired}, {family}{asked}"


def _table(part: Section, how: CompareOptions) -> list[str]:
    heads = (
        "label",
        "settings",
        "difference",
        f"{100 * how.level:g} % interval",
        f"p({ADJUSTMENTS[how.adjustment]})",
        "smallest detectable",
        "verdict",
        *(() if part.question == SUPERIORITY else (f"p of {part.question}", "claim")),
    )
    rows = [
        (
            row.label,
            str(row.settings),
            signed(row.difference),
            signed_interval(row.low, row.high),
            p_text(row.p_adjusted),
            "n/a" if math.isnan(row.detectable) else f"{row.detectable:.3f}",
            row.reason or row.verdict,
            *(() if part.question == SUPERIORITY else (p_text(row.p_question), row.answer)),
        )
        for row in part.rows
    ]
    return aligned([heads, *rows], "lrrrrrl" + "rl" * (part.question != SUPERIORITY))


def _gap_line(part: Section) -> list[str]:
    if len(part.gaps) < 2:
        return []
    line = "gap internal-external: " + " against ".join(_gap(gap) for gap in part.gaps)
    return [line, *gap_note(spec_of(part.gaps[0].metric))]


def _gap(gap: statistics.Gap) -> str:
    if math.isnan(gap.gap):
        return f"n/a ({gap.reason})"
    return f"{gap.gap:.3f} ({gap.low:.3f} … {gap.high:.3f})"


def _cautions(part: Section) -> list[str]:
    labels: dict[str, list[str]] = {}
    for row in part.rows:
        if row.caution:
            labels.setdefault(row.caution, []).append(row.label)
    return [f"caution, {', '.join(names)}: {text}" for text, names in labels.items()]
