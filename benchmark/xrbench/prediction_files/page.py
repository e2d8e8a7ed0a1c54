"""Scores and analyses of a table of predictions: as text, plain values, CSV files, and one page that opens offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from xrbench.files import write_atomic
from xrbench.rendering.table import Table
from xrbench.runs import store


@dataclass(frozen=True)
class Evaluation:
    """Scores and analyses of predictions.

    Attributes:
        notes: How the tables were read.
        scores: One row a site, label and metric.
        gaps: One row a label: figure at the reference site minus figure here; empty without a reference.
        tables: The same laid out.
        findings: ``operating``, ``decision-curve`` and ``subgroups``, as far as they were asked for.
    """

    notes: tuple[str, ...]
    scores: pd.DataFrame
    gaps: pd.DataFrame
    tables: tuple[Table, ...]
    findings: dict[str, pd.DataFrame] = field(default_factory=dict)

    def text(self) -> str:
        """Write notes and tables for a terminal."""
        return "\n\n".join(["\n".join(self.notes), *(table.text().rstrip() for table in self.tables)])

    def to_dict(self) -> dict[str, Any]:
        """Write everything for machines."""
        return {
            "notes": list(self.notes),
            "scores": self.scores.to_dict("records"),
            "gaps": self.gaps.to_dict("records"),
            **{name: frame.to_dict("records") for name, frame in self.findings.items()},
        }

    def write_csv(self, path: Path) -> list[Path]:
        """Write the scores as CSV, and each finding beside them: of ``out.csv``, ``out-subgroups.csv``; returns the paths."""
        paths = [path, *(path.with_name(f"{path.stem}-{name}{path.suffix}") for name in self.findings)]
        for where, frame in zip(paths, (self.scores, *self.findings.values()), strict=True):
            store.write_csv(where, frame)
        return paths

    def write_html(self, path: Path) -> None:
        """Write one page that needs nothing from anywhere else."""
        from jinja2 import Environment

        page = Environment(autoescape=True).from_string(PAGE)
        write_atomic(path, page.render(notes=self.notes, tables=[table.html() for table in self.tables]).encode())


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>xrbench: evaluation of predictions</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #111; }
table { border-collapse: collapse; margin: 1.5rem 0; } caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ccc; text-align: right; } th:first-child, td:first-child { text-align: left; }
</style></head><body><h1>Predictions judged</h1>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
{% for table in tables %}{{ table | safe }}{% endfor %}
</body></html>
"""
"""Tables arrive escaped from ``Table.html``; everything else is escaped here."""
