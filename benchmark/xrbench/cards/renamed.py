"""Names that cards used in earlier versions: they are refused by a line that gives the present name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from xrbench.errors import CardError

FIELDS: Mapping[str, str] = MappingProxyType({"judgement": "analyses"})
"""Earlier -> present name of a field at the top of a card."""

BLOCKS: Mapping[str, str] = MappingProxyType(
    {"regimes": "multiclass", "naive": "baseline-accuracy", "borderline": "discordant-errors"}
)
"""Earlier -> present name of a kind of table or figure."""

METRICS: Mapping[str, str] = MappingProxyType({"alarms-per-1000": "positive-calls-per-1000"})
"""Earlier -> present family of a metric."""


def refuse_renamed(values: Mapping[str, Any], where: str) -> None:
    """Refuse a card that uses a name of an earlier version.

    Args:
        values: The content of the card's file.
        where: The file, for the message.

    Raises:
        CardError: A field, a kind of table or figure, or a metric is called otherwise now.
    """
    for field in values:
        if field in FIELDS:
            raise CardError(f"{where}: field {field!r} is now called {FIELDS[field]!r}")
    for place, metric in _metrics(values):
        family, at, target = metric.partition("@")
        if family in METRICS:
            raise CardError(f"{where}: {place}: metric {metric!r} is now called {METRICS[family] + at + target!r}")
    for section in ("tables", "figures"):
        for number, layout in enumerate(_tables(values.get(section))):
            kind = layout.get("kind")
            if isinstance(kind, str) and kind in BLOCKS:
                raise CardError(f"{where}: {section}[{number}].kind: {kind!r} is now called {BLOCKS[kind]!r}")


def _metrics(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the names of metrics in a suite's card, each with its place."""
    listed = values.get("metrics")
    yield from (
        ("metrics", metric)
        for metric in (listed if isinstance(listed, list | tuple) else ())
        if isinstance(metric, str)
    )
    for section in ("tables", "figures", "comparisons"):
        for number, entry in enumerate(_tables(values.get(section))):
            if isinstance(entry.get("metric"), str):
                yield f"{section}[{number}].metric", entry["metric"]


def _tables(value: Any) -> list[Mapping[str, Any]]:
    """Give the tables of an array of tables; anything else is left to the check of types."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []
