"""Sections of a comparison as text: title, table, gap, and what was left out."""

from __future__ import annotations

import math

from xrbench.compare.across_runs import signed_lines
from xrbench.compare.hypotheses import ADJUSTMENTS, SUPERIORITY, claim
from xrbench.compare.rows import METHODS, CompareOptions, Section, SideGap, spec_of
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
    paired = question_words(part.about, paired=part.paired)
    family = f"{ADJUSTMENTS[how.adjustment]} over {plural(measured, 'comparison')}"
    asked = "" if part.question == SUPERIORITY else f"; declared: {claim(part.question, part.margin)}"
    return f"{part.title}, {part.protocol} test {metric_title(how.metric)}, {paired}, {family}{asked}"


def question_words(about: str, *, paired: bool) -> str:
    """Say what verdicts are about, and what varies.

    >>> question_words("methods", paired=True), question_words("networks", paired=True)
    ('methods, trained anew: trainings and patients vary', 'these networks, paired over patients')
    """
    if about == METHODS:
        return "methods, trained anew: trainings and patients vary"
    return "these networks, paired over patients" if paired else "these networks, unpaired (no predictions)"


def _table(part: Section, how: CompareOptions) -> list[str]:
    heads = (
        "label",
        "settings",
        *(("trainings",) if part.about == METHODS else ()),
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
            *((trainings_text(row.trainings, row.over),) if part.about == METHODS else ()),
            signed(row.difference),
            signed_interval(row.low, row.high),
            p_text(row.p_adjusted),
            "n/a" if math.isnan(row.detectable) else f"{row.detectable:.3f}",
            row.reason or row.verdict,
            *(() if part.question == SUPERIORITY else (p_text(row.p_question), row.answer)),
        )
        for row in part.rows
    ]
    align = "lr" + "r" * (part.about == METHODS) + "rrrrl" + "rl" * (part.question != SUPERIORITY)
    return aligned([heads, *rows], align)


def trainings_text(trainings: float, over: str) -> str:
    """Write how many trainings a setting has, and whether settings stand in their place.

    >>> trainings_text(3, "trainings"), trainings_text(1, "settings"), trainings_text(float("nan"), "")
    ('3', '1 (over settings)', 'n/a')
    """
    if math.isnan(trainings):
        return "n/a"
    return f"{trainings:g}{' (over settings)' if over == 'settings' else ''}"


def _gap_line(part: Section) -> list[str]:
    if len(part.gaps) < 2:
        return []
    at = f" at {part.gaps[0].at}" if part.gaps[0].at else ""
    line = f"gap internal-external{at}: " + " against ".join(_gap(gap) for gap in part.gaps)
    return [line, *gap_note(spec_of(part.gaps[0].metric))]


def _gap(gap: SideGap) -> str:
    if math.isnan(gap.gap):
        return f"n/a ({gap.reason})"
    return f"{gap.gap:.3f} ({gap.low:.3f} … {gap.high:.3f})"


def _cautions(part: Section) -> list[str]:
    labels: dict[str, list[str]] = {}
    for row in part.rows:
        if row.caution:
            labels.setdefault(row.caution, []).append(row.label)
    return [f"caution, {', '.join(names)}: {text}" for text, names in labels.items()]
