"""Read what the command line asks of predictions: metrics, an operating point, groups, threshold probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xrbench.cards import SubgroupRule
from xrbench.errors import CardError, UsageError, suggestion
from xrbench.metrics import parse
from xrbench.statistics.clinical.operating_points import FIGURES
from xrbench.statistics.clinical.subgroups import MINIMUM

DEFAULT_METRICS = ("auc", "average-precision")
CONDITIONS = ("sensitivity", "specificity", "threshold")
NEEDS_REFERENCE = "needs --compare, whose images set the threshold; a set is never judged at a threshold chosen on it"


def read_metrics(metrics: Sequence[str], reference: Path | None) -> tuple[str, ...]:
    """Read the names of metrics, each once; those that are computed by default when there are none.

    Raises:
        UsageError: No such metric, or one that needs a reference, and there is none.
    """
    names = tuple(dict.fromkeys(metrics)) or DEFAULT_METRICS
    for name in names:
        if parse(name).from_validation and reference is None:
            raise UsageError(f"--metric {name}: {NEEDS_REFERENCE}")
    return names


def point_metrics(target: str | None, reference: Path | None, prevalences: Sequence[float]) -> tuple[str, ...]:
    """Name the metrics of an operating point; none without a target.

    Raises:
        UsageError: The target is not of the form ``sensitivity=0.9``, or needs a reference.

    >>> point_metrics("threshold=0.5", None, [0.1])[-2:]
    ('ppv@threshold=0.5,prevalence=0.1', 'npv@threshold=0.5,prevalence=0.1')
    """
    if target is None:
        if prevalences:
            raise UsageError(
                f"--prevalence {prevalences[0]:g}: predictive values are of an operating point; add --target WHAT=SHARE"
            )
        return ()
    condition, _, share = target.partition("=")
    if condition not in CONDITIONS:
        raise UsageError(
            f"--target {target}: expected sensitivity=SHARE, specificity=SHARE or threshold=SCORE{suggestion(condition, CONDITIONS)}"
        )
    try:
        float(share)
    except ValueError as error:
        raise UsageError(f"--target {target}: {share!r} is not a number") from error
    if condition != "threshold" and reference is None:
        raise UsageError(f"--target {target}: {NEEDS_REFERENCE}")
    stated = [f"{base}@{target},prevalence={value:g}" for value in prevalences for base in ("ppv", "npv")]
    names = (*(f"{base}@{target}" for base in FIGURES), *stated)
    for name in names:
        parse(name)
    return names


def read_groups(texts: Sequence[str], minimum: int | None) -> tuple[SubgroupRule, ...]:
    """Read the columns by which patients are grouped, each with the smallest group that is shown.

    Raises:
        UsageError: A text is not usable, or there is a minimum without any.
    """
    if minimum is not None and not texts:
        raise UsageError("--minimum: says how small a group may be; add --subgroup COLUMN")
    return tuple(read_group(text, MINIMUM if minimum is None else minimum) for text in texts)


def read_group(text: str, minimum: int = MINIMUM) -> SubgroupRule:
    """Read ``sex`` or ``age=18,40,60,80``: a column, and where bands begin.

    Raises:
        UsageError: A band is no number, or they do not rise.

    >>> read_group("age=18,65").bands
    (18.0, 65.0)
    """
    column, equals, listed = text.partition("=")
    if not column.strip() or (equals and not listed.strip()):
        raise UsageError(f"--subgroup {text}: expected COLUMN, or COLUMN=NUMBER,NUMBER,... where bands begin")
    rule = SubgroupRule(
        column=column.strip(), bands=_numbers(listed, f"--subgroup {text}") if equals else (), minimum=minimum
    )
    try:
        rule.check(f"--subgroup {text}")
    except CardError as error:
        raise UsageError(str(error).replace(f"{text}.bands", text)) from error
    return rule


def read_decisions(text: str | None) -> tuple[float, ...]:
    """Read threshold probabilities, such as ``0.05,0.1,0.2``.

    Raises:
        UsageError: One is no number from 0 to below 1.

    >>> read_decisions("0.05, 0.1")
    (0.05, 0.1)
    """
    thresholds = _numbers(text, f"--decision {text}") if text is not None else ()
    for value in thresholds:
        if not 0 <= value < 1:
            raise UsageError(f"--decision {text}: a threshold probability is from 0 to below 1, got {value:g}")
    return thresholds


def refuse(why: str, given: Mapping[str, object]) -> None:
    """Refuse options that would be left unused.

    Raises:
        UsageError: There are some.
    """
    unused = [name for name, value in given.items() if value]
    if unused:
        raise UsageError(f"{why}: leave out {', '.join(unused)}")


def _numbers(text: str, where: str) -> tuple[float, ...]:
    numbers = []
    for part in text.split(","):
        try:
            numbers.append(float(part))
        except ValueError:
            raise UsageError(f"{where}: {part.strip()!r} is not a number") from None
    return tuple(numbers)
