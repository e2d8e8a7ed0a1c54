"""Ages and sexes of the patients of each dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures.cell_selection import datasets_of, patients_text
from xrbench.report.figures.layout.options import Names, asked
from xrbench.report.figures.layout.style import canvas_of, file_name, notes, save, say_empty, short, title
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEXES: Mapping[str, str] = {"M": "male", "F": "female", "male": "male", "female": "female"}
NOT_RECORDED = "sex not recorded"
NOTE = "Each patient counts once. Mean ± standard deviation of known ages; 'about' where they are estimated from the bands."
FACES: Mapping[str, Mapping[str, str]] = {
    "male": {"facecolor": "0.35", "hatch": ""},
    "female": {"facecolor": "white", "hatch": "//////"},
    NOT_RECORDED: {"facecolor": "0.8", "hatch": "...."},
}


def ages(run: Run, layout: FigureLayout, folder: Path, /, *, dataset: Names = ()) -> list[Path]:
    """Draw histograms of the patients' ages by sex, one panel a dataset, in the bands that the run recorded.

    The manifest of the run lists patients by dataset, sex and band of age.

    Options:
        dataset: As for all figures.
    """
    people = _people(run.manifest.get("ages") or ())
    recorded = tuple(dict.fromkeys(people["dataset"]))
    chosen = asked(dataset, "dataset", dict.fromkeys([*recorded, *datasets_of(run)]), layout)
    names = [name for name in recorded if not chosen or name in chosen]
    if not names:
        return []
    people = people[people["dataset"].isin(names)]
    across = min(2, len(names))
    down = math.ceil(len(names) / across)
    with canvas_of(0.4 + 3.6 * across, 0.9 + 2.5 * down) as canvas:
        for at, name in enumerate(names, 1):
            axes = canvas.add_subplot(down, across, at)
            patients = people[people["dataset"] == name]
            _draw_panel(axes, patients)
            axes.set_title(f"{short(name, 50)}\n{_summary(patients, _stated(run, name))}", fontsize=7)
        aged = people[people["low"].notna()]
        keys = _keys([sex for sex in FACES if (aged["sex"] == sex).any()])
        title(canvas, layout.caption or "Patients by age and sex", run.stamp, keys)
        notes(canvas, [NOTE])
        return save(canvas, people, folder, file_name(layout.name), run.stamp)


def _people(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """List patients by dataset, sex and band; a band without bounds holds those whose age is not known."""
    columns = ["dataset", "sex", "low", "high", "patients"]
    frame = pd.DataFrame([{name: entry.get(name) for name in columns} for entry in entries], columns=columns)
    frame["sex"] = [SEXES.get(str(sex), NOT_RECORDED) for sex in frame["sex"]]
    for name in ("low", "high", "patients"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    bands = ["dataset", "sex", "low", "high"]
    return frame.groupby(bands, sort=False, dropna=False)["patients"].sum().reset_index()


def _stated(run: Run, dataset: str) -> tuple[float, float]:
    """Return mean and deviation of the ages as the run recorded them; NaN where it did not."""
    for entry in (*(run.manifest.get("ages") or ()), *run.manifest.get("datasets", ())):
        if entry.get("dataset") == dataset and entry.get("mean_age") is not None:
            sd = entry.get("sd_age")
            return float(entry["mean_age"]), math.nan if sd is None else float(sd)
    return math.nan, math.nan


def _summary(people: pd.DataFrame, stated: tuple[float, float]) -> str:
    known = people[people["low"].notna()]
    total, aged = people["patients"].sum(), known["patients"].sum()
    mean, sd = stated
    about = ""
    if math.isnan(mean) and aged:
        mean, sd = _from_bands(known)
        about = "about "
    age = "age not known" if math.isnan(mean) else f"{about}{mean:.1f}{'' if math.isnan(sd) else f' ± {sd:.1f}'} years"
    without = f", {total - aged:,.0f} without age" if total > aged else ""
    return f"{age}; {patients_text(total)}{without}"


def _from_bands(known: pd.DataFrame) -> tuple[float, float]:
    """Estimate mean and sample deviation from the middles of the bands."""
    middle, weight = (known["low"] + known["high"]).to_numpy() / 2, known["patients"].to_numpy()
    mean = float(np.average(middle, weights=weight))
    if weight.sum() < 2:
        return mean, math.nan
    return mean, math.sqrt(float(np.sum(weight * (middle - mean) ** 2)) / (float(weight.sum()) - 1))


def _draw_panel(axes: Axes, people: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    known = people[people["low"].notna() & (people["patients"] > 0)]
    if known.empty:
        say_empty(axes, "no patient's age is known")
        return
    axes.set_xlabel("age in years", fontsize=7)
    axes.set_ylabel("patients", fontsize=7)
    axes.tick_params(labelsize=6.5)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    sexes = [sex for sex in FACES if (known["sex"] == sex).any()]
    for number, sex in enumerate(sexes):
        of_sex = known[known["sex"] == sex]
        width = (of_sex["high"] - of_sex["low"]) / len(sexes)
        left = of_sex["low"] + number * width
        axes.bar(left, of_sex["patients"], width, align="edge", edgecolor="black", linewidth=0.4, **_face(sex))
    axes.margins(x=0.02)


def _keys(sexes: Sequence[str]) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(edgecolor="black", linewidth=0.4, label=sex, **_face(sex)) for sex in sexes]


def _face(sex: str) -> dict[str, Any]:
    return dict(FACES[sex])
