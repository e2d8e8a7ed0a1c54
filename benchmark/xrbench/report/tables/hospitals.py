"""Tables of what happens at other hospitals: what to expect at a next one, and what case mix explains of a gap."""

from __future__ import annotations

import math

from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, count, number
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import AnalysisRow, change, figure, grouped, label_value, labelled_rows

EXPECTED = (
    "Expected: AUC of the internal images weighted, in positives and in negatives, to the external case mix by logistic regression of the "
    "hospital. Internal minus expected is due to case mix; expected minus external is the rest: other images, other labels, and what was "
    "not measured. Effective: number of internal images that the weighted ones amount to. About these networks: patients are left out in "
    "groups, the regressions fitted anew."
)


def hospitals(run: Run, layout: TableLayout, *, label: str = "") -> Table | None:
    """Show each method's mean over external hospitals and the prediction interval for a next one; None where all have one.

    Options:
        label: As for all tables.
    """
    frame = analysis_table.read_rows(run, "hospitals", label=label_value(run, label))
    if frame is None or not (frame["n_hospitals"] > 1).any():
        return None
    rows = labelled_rows(frame)
    metric = metric_title(str(frame["metric"].iloc[0]))
    blocks = [[_hospital_row(row, layout.digits) for row in each] for each in grouped(rows, "method", "model").values()]
    return analysis_table.table_of(
        run,
        layout,
        f"{metric} to expect at a next hospital",
        (
            *("method", "model", "training set", "label", "hospitals", f"mean {metric}", "next hospital"),
            *("tau", "between hospitals", "trainings"),
        ),
        blocks,
        "lllllrrrrr",
        notes=[
            "A hospital: an external dataset that the weights have not seen; its figure is the mean over the method's trainings, with the "
            "variance of patients and trainings. Random effects on the logit: the mean has Hartung and Knapp's interval, the next hospital "
            "a prediction interval (Student's t with one degree of freedom fewer than hospitals). Tau: standard deviation between "
            "hospitals on the logit; between hospitals: I2, the share of the variance that is not error. "
            f"{analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame),
        ],
    )


def _hospital_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    ahead = MISSING
    if not math.isnan(row["next_low"]):
        ahead = f"{number(row['next_low'], digits)}-{number(row['next_high'], digits)}"
    share = MISSING if math.isnan(row["i2"]) else f"{100 * row['i2']:.0f} %"
    tau = MISSING if math.isnan(row["tau"]) else number(row["tau"], 2)
    names = (row["method"], row["model"], row["configuration"] or MISSING, row["label"], row["hospitals"])
    return (*names, figure(row, digits), ahead, tau, share, count(row["n_trainings"]))


def case_mix(run: Run, layout: TableLayout, *, label: str = "each") -> Table | None:
    """Show how much of each gap of the AUC the external case mix explains, and the rest.

    Options:
        label: As for all tables; ``each`` by default.
    """
    frame = analysis_table.read_rows(run, "case-mix", label=label_value(run, label))
    if frame is None:
        return None
    rows = labelled_rows(frame)
    used = sorted({name for row in rows for name in row["used"].split(", ") if name and not name.startswith("with ")})
    findings = ["other findings"] if any("with " in row["used"] for row in rows) else []
    unknown = sorted({name for row in rows for name in row["left_out"].split(", ") if name})
    blocks = [[_case_mix_row(row, layout.digits) for row in each] for each in grouped(rows, "method", "model").values()]
    return analysis_table.table_of(
        run,
        layout,
        "Gap of the AUC: what the external case mix explains, and the rest",
        (
            *(
                "method",
                "train",
                "internal",
                "external",
                "label",
                "internal AUC",
                "expected AUC",
                "external AUC",
                "gap",
            ),
            *("case mix", "rest", "effective positive", "effective negative"),
        ),
        blocks,
        "lllll" + "r" * 8,
        notes=[
            f"Case mix: {', '.join([*used, *findings]) or 'nothing that both sides know'}. {EXPECTED} "
            f"{analysis_table.level_of(frame)}",
            *([f"Not known on both sides, and therefore in the rest: {', '.join(unknown)}."] if unknown else []),
            *analysis_table.remarks(frame),
        ],
    )


def _case_mix_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    train, test = analysis_table.train_and_test(row)
    parts = (change(row, name, f"{name}_low", f"{name}_high", digits) for name in ("case_mix", "rest"))
    effective = (_effective(row[f"effective_{kind}"]) for kind in ("positive", "negative"))
    values = (number(row[name], digits) for name in ("internal", "expected", "external"))
    about = (analysis_table.method_name(row), train, row["internal_test"], test, row["label"])
    return (*about, *values, f"{row['value']:+.{digits}f}", *parts, *effective)


def _effective(number_of: float) -> str:
    return MISSING if math.isnan(number_of) else count(round(number_of))
