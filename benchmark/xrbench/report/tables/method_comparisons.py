"""Comparisons of methods as tables, from the plain values that are stored beside the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xrbench import compare
from xrbench.cards import SuiteCard
from xrbench.compare.hypotheses import ADJUSTMENTS, SUPERIORITY, claim
from xrbench.compare.rows import METHODS, NETWORKS, spec_of
from xrbench.compare.writing import question_words, trainings_text
from xrbench.metrics import metric_title
from xrbench.metrics.names import gap_note
from xrbench.rendering.numbers import number, p_text, plural, signed, signed_interval
from xrbench.rendering.table import Table

HEADS = ("label", "settings", "baseline", "challenger", "difference", "interval")


def declared(results: compare.Results, suite: SuiteCard) -> list[dict[str, Any]]:
    """Compute the suite's declared comparisons, one value (and family) a metric, as far as both methods were measured."""
    methods = set(results.scores["method"])
    measured = [each for each in suite.comparisons if {each.challenger, each.baseline} <= methods]
    compared = []
    for metric in dict.fromkeys(each.metric for each in measured):
        family = [each for each in measured if each.metric == metric]
        how = compare.CompareOptions(
            metric, level=suite.interval.level, replicates=suite.interval.replicates, adjustment=suite.adjustment
        )
        values = compare.compare_methods(results, family, how).to_dict()
        # Paths belong to the machine that made them, not to the results.
        compared.append({**values, "a": "", "b": ""})
    return compared


def comparison_tables(values: Iterable[Mapping[str, Any]]) -> list[Table]:
    """Lay out stored comparisons, one table a section."""
    return [_table(value, part, number) for value in values for number, part in enumerate(value["sections"], 1)]


def _table(value: Mapping[str, Any], part: Mapping[str, Any], number_of: int) -> Table:
    how, about = question_words(part.get("about", NETWORKS), paired=part["paired"]), part.get("about", NETWORKS)
    family = sum(row["difference"] is not None for section in value["sections"] for row in section["rows"])
    metric = metric_title(value["metric"])
    adjustment = ADJUSTMENTS[value.get("adjustment", "holm")]
    question = part.get("question", SUPERIORITY)
    notes = [
        *([] if question == SUPERIORITY else [f"Declared: {claim(question, part['margin'])}."]),
        f"{100 * value['level']:g} % intervals and verdicts for the family: {adjustment} over {plural(family, 'comparison')}. Smallest "
        "detectable: the smallest true difference that this verdict would show with 80 % power.",
        *(f"{text}." for text in part.get("given", ())),
        *_gap_note(part["gaps"]),
        *part["notes"],
        *_cautions(part["rows"]),
    ]
    return Table.of(
        f"comparison-{value['metric']}-{number_of}",
        f"{part['title']}, {part['protocol']} test {metric}, {how}",
        (*_heads(about), f"p ({adjustment})", "smallest detectable", "verdict", *_question_heads(question)),
        [[_row(row, question, about) for row in part["rows"]]],
        "lr" + "r" * (about == METHODS) + "rrrrrrl" + "rl" * (question != SUPERIORITY),
        notes=notes,
        stamp=value["stamp"],
    )


def _question_heads(question: str) -> tuple[str, ...]:
    return () if question == SUPERIORITY else (f"p of {question}", "claim")


def _heads(about: str) -> tuple[str, ...]:
    return (*HEADS[:2], *(("trainings",) if about == METHODS else ()), *HEADS[2:])


def _row(row: Mapping[str, Any], question: str, about: str) -> tuple[str, ...]:
    numbers = {
        name: _float(row[name])
        for name in ("value_a", "value_b", "difference", "low", "high", "p_adjusted", "detectable")
    }
    return (
        row["label"],
        str(row["settings"]),
        *((trainings_text(_float(row["trainings"]), row["over"]),) if about == METHODS else ()),
        number(numbers["value_a"], 3),
        number(numbers["value_b"], 3),
        signed(numbers["difference"]),
        signed_interval(numbers["low"], numbers["high"]),
        p_text(numbers["p_adjusted"]),
        number(numbers["detectable"], 3),
        row["reason"] or row["verdict"],
        *(() if question == SUPERIORITY else (p_text(_float(row["p_question"])), row["answer"])),
    )


def _gap_note(gaps: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(gaps) != 2:
        return []
    texts = []
    for gap in gaps:
        value, low, high = (_float(gap[name]) for name in ("gap", "low", "high"))
        texts.append(f"{number(value, 3)} ({number(low, 3)} … {number(high, 3)})")
    at = f" at {gaps[0]['at']}" if gaps[0].get("at") else ""
    sign = " ".join(gap_note(spec_of(gaps[0]["metric"])))
    return [
        f"Gap internal minus external{at}: {texts[0]} for the challenger, {texts[1]} for the baseline. {sign}".rstrip()
    ]


def _cautions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    labels: dict[str, list[str]] = {}
    for row in rows:
        if row["caution"]:
            labels.setdefault(row["caution"], []).append(row["label"])
    return [f"Caution, {', '.join(names)}: {text}." for text, names in labels.items()]


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
