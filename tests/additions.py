"""What the code recipes of CONTRIBUTING give, computed with the copy of xrbench that has them and printed as JSON.

    python -m tests.additions FOLDER COMMANDS

FOLDER is an empty folder, COMMANDS a JSON list of command lines to be run.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import small_suite_card, write_run
from xrbench import cards, cli, metrics, statistics
from xrbench.catalogue import open_catalogue
from xrbench.report.claims.evaluate import judged
from xrbench.report.pages.publish import publish
from xrbench.report.reported_values import reported
from xrbench.report.run_folder import open_run
from xrbench.runs import store

LEAST = (10, 1000)
"""Numbers of patients that the claims are about."""


def main(folder: Path, commands: list[str]) -> dict[str, Any]:
    """Use each addition once."""
    run = _run(folder / "runs")
    return {
        "run": str(run),
        "metric": metrics.evaluate("youden@threshold=0.4", [1, 1, 0, 0, 0], [0.9, 0.3, 0.5, 0.1, 0.2]),
        "interval": _intervals(),
        "claim": _claims(run),
        "reader": _images(folder / "images"),
        "commands": {line: output_of(shlex.split(line)[1:]) for line in commands},
    }


def _run(out: Path) -> Path:
    """Write a run whose suite asks for the figure and the table, and its report."""
    folder = write_run(out, {"plain": 1.5})
    manifest = store.read_manifest(folder)
    layouts = {
        "figures": [{"name": "histogram", "kind": "score-histogram", "options": {"bins": 4}}],
        "tables": [{"name": "without", "kind": "unlabelled"}],
    }
    store.write_json(folder / store.MANIFEST, {**manifest, "suite": {**cards.plain(small_suite_card()), **layouts}})
    publish(folder, open_catalogue())
    return folder


def _intervals() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 3 == 0
    score = truth + rng.normal(size=120)
    return {
        kind: asdict(statistics.estimate(truth, score, labels=["Edema"], kind=kind, replicates=200)[0])
        for kind in ("bootstrap", "basic")
    }


def _claims(folder: Path) -> list[str]:
    claims = tuple(cards.Claim(text=str(n), kind="patients-at-least", options={"least": n}) for n in LEAST)
    paper = cards.PaperCard(title="Small", name="small", cite="Nobody", suite="small", claims=claims)
    run = replace(open_run(folder, open_catalogue()), paper=reported(paper, folder))
    return [verdict.outcome for verdict in judged(run)]


def _images(root: Path) -> dict[str, Any]:
    from PIL import Image

    for name in ("Edema/1", "Edema/2", "Effusion/1"):
        path = root / "sorted-images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), len(name)).save(path)
    where = ["sorted-images", "--data-root", str(root)]
    return {name: output_of(["data", name, *where]) for name in ("check", "describe")}


def output_of(arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.invoke(arguments)
    return code, out.getvalue()


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
