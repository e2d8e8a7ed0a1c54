"""Read the names of metrics.

A name is that of a row in ``metrics.table`` and, for a decision about one label, the operating point behind an ``@``: ``auc``,
``recall@threshold=0.5``, ``recall@specificity=0.9`` (the threshold comes from the validation set), ``ppv@sensitivity=0.9,prevalence=0.02``.

In multi-class suites the predicted class is the decision, so no name has an operating point: ``accuracy`` and ``macro-recall`` (one value
over all classes), ``class-recall`` (one a class), and the rank and probability metrics of each class against the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from xrbench.errors import UnknownNameError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.decisions import Counts
from xrbench.metrics.metric import Better, Family, Metric, Task
from xrbench.metrics.table import TABLE, aliases, formula, named

_CONDITIONS = ("threshold", "sensitivity", "specificity")


@dataclass(frozen=True)
class MetricSpec:
    """One metric of one task, with its operating point.

    Attributes:
        name: The name as it stands in cards and tables.
        metric: Its row in the table.
        task: The task that the name was read for.
        condition: For a decision about one label ``threshold``, ``sensitivity`` or ``specificity``; else empty.
        target: The number behind the condition; NaN without one.
        prevalence: Stated prevalence of ``ppv`` and ``npv``; None takes that of the data.
    """

    name: str
    metric: Metric
    task: Task = "multilabel"
    condition: str = ""
    target: float = float("nan")
    prevalence: float | None = None

    @property
    def base(self) -> str:
        """The part of the name before ``@``."""
        return self.metric.name

    @property
    def family(self) -> Family:
        """What it is computed from: ``rank``, ``decision`` or ``probability``."""
        return self.metric.family

    @property
    def better(self) -> Better:
        """Which direction is better."""
        return self.metric.better

    @property
    def sign(self) -> int:
        """Sign of a difference that is a gain: 1 where higher is better, -1 where lower is, 0 where neither is."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.better]

    @property
    def from_validation(self) -> bool:
        """Whether the threshold has to be chosen on the validation set."""
        return self.condition in ("sensitivity", "specificity")

    @property
    def is_share(self) -> bool:
        """Whether it is a share of images; at a stated prevalence a predictive value is none."""
        return bool(self.metric.share_of) and self.prevalence is None

    @property
    def moves_with_prevalence(self) -> bool:
        """Whether it changes with how common the classes are; at a stated prevalence it does not."""
        return self.metric.prevalence and self.prevalence is None

    def of_counts(self, counts: Counts, threshold: float) -> FloatArray:
        """Compute a decision about one label.

        Args:
            counts: The four outcomes at the threshold, each of shape (...).
            threshold: NaN where none could be chosen: then the value is NaN.

        Returns:
            Shape (...).
        """
        known = {"prevalence": self.prevalence, "threshold": threshold}
        value: FloatArray = formula(self.metric.multilabel)(
            counts, **{name: known[name] for name in self.metric.options}
        )
        return value if threshold == threshold else value * float("nan")

    def of_table(self, counts: FloatArray) -> FloatArray:
        """Compute a metric of predicted classes.

        Args:
            counts: Images by true and predicted class, shape (classes, classes, ...).

        Returns:
            Shape (classes, ...) where the metric has one value a class, else (1, ...).
        """
        value: FloatArray = formula(self.metric.multiclass)(counts)
        return value if self.metric.per_class else value[None]


def metric_title(name: str) -> str:
    """Write a metric's name as a heading; names that are no metric's are written as they are, in words.

    >>> metric_title("auc"), metric_title("recall@specificity=0.9"), metric_title("positive-calls-per-1000")
    ('AUC', 'recall at specificity 0.9', 'positive calls per 1,000')
    """
    base, at, point = name.partition("@")
    shown = (TABLE[base].title if base in TABLE else "") or base.replace("-", " ").replace("=", " ")
    return f"{shown} at {point.replace('=', ' ')}" if at else shown


def point_title(name: str) -> str:
    """Write a metric at an operating point that the caption names, with the prevalence if one is stated.

    >>> point_title("ppv,prevalence=0.02"), point_title("recall")
    ('PPV at 0.02', 'recall')
    """
    base, _, stated = name.partition(",prevalence=")
    return f"{metric_title(base)} at {stated}" if stated else metric_title(base)


def decimals(name: str, digits: int) -> int:
    """Return the decimals that a metric is printed with: ``digits``, unless its unit asks for others.

    >>> decimals("auc", 3), decimals("positive-calls-per-1000@threshold=0.5", 3)
    (3, 0)
    """
    row = TABLE.get(name.partition("@")[0])
    return digits if row is None or row.decimals is None else row.decimals


def gap_note(metric: MetricSpec) -> tuple[str, ...]:
    """Say which sign of an internal minus an external value is a loss, where it is not the positive one.

    >>> gap_note(parse("auc")), gap_note(parse("brier"))
    ((), ('Lower is better: a gap below 0 is a loss on external images.',))
    """
    return {
        "higher": (),
        "lower": ("Lower is better: a gap below 0 is a loss on external images.",),
        "neither": ("Neither higher nor lower is better: a gap of either sign is only a difference.",),
    }[metric.better]


def names_of(given: object, what: str) -> None:
    """Refuse one text where a list of names is expected: Python would take its letters for names.

    >>> names_of("auc", "metrics")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: metrics is the text 'auc', expected a list of names: ['auc']
    """
    if isinstance(given, str):
        raise UsageError(f"{what} is the text {given!r}, expected a list of names: {[given]}")


def _one_name(given: object) -> None:
    """Refuse anything but a text where one metric is expected."""
    if not isinstance(given, str):
        raise UsageError(f"metric is {given!r}, expected one name such as 'auc'")


def standard_note(metric: MetricSpec) -> tuple[str, ...]:
    """Say why a gap of a metric that moves with prevalence is taken at one prevalence; nothing for others.

    >>> standard_note(parse("auc")), standard_note(parse("brier"))[0][:45]
    ((), 'Brier moves with prevalence. Internal and ext')
    """
    if not metric.moves_with_prevalence:
        return ()
    title = metric_title(metric.name)
    return (
        f"{title[0].upper()}{title[1:]} moves with prevalence. Internal and external value are therefore weighted by class to one "
        "prevalence, that of the internal images; gap, interval and p are of these. Raw gap: the difference at each side's own "
        "prevalence, which may be one of prevalence alone and has no test.",
    )


def parse_as(task: str, name: str) -> MetricSpec:
    """Read a metric's name as a suite of that task means it.

    Args:
        task: ``multilabel`` or ``multiclass``.
        name: The name.

    Raises:
        UsageError: No such metric, or an operating point that is missing, out of place, or out of range.

    >>> parse_as("multilabel", "accuracy@threshold=0.5").condition, parse_as("multiclass", "accuracy").condition
    ('threshold', '')
    """
    return parse_classes(name) if task == "multiclass" else parse(name)


def parse(name: str) -> MetricSpec:
    """Read the name of a metric of single labels.

    Raises:
        UnknownNameError: No metric of that name; the nearest one is offered.
        UsageError: The operating point is missing, out of place, or out of range.

    >>> parse("recall@specificity=0.9").condition
    'specificity'
    >>> parse("auroc")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: unknown metric 'auroc'; did you mean 'auc'?
    """
    _one_name(name)
    base, at, text = name.partition("@")
    known, others = named("multilabel"), aliases("multilabel")
    if base in others:
        raise UsageError(f"unknown metric {base!r}; did you mean {others[base]!r}?")
    if base not in known:
        raise UnknownNameError("metric", base, known)
    metric = known[base]
    if metric.family != "decision":
        if at:
            raise UsageError(f"metric {name!r}: {base} has no operating point; write {base!r}")
        return MetricSpec(name, metric)
    values = _options(name, metric, text)
    prevalence = values.pop("prevalence", None)
    if len(values) != 1:
        raise UsageError(f"metric {name!r}: expected one operating point, such as '{base}@specificity=0.9'")
    condition, target = next(iter(values.items()))
    _check_ranges(name, metric, condition, target, prevalence)
    return MetricSpec(name, metric, "multilabel", condition, target, prevalence)


def parse_classes(name: str) -> MetricSpec:
    """Read the name of a metric of a multi-class suite.

    Raises:
        UnknownNameError: No metric of that name; the nearest one is offered.
        UsageError: It has an operating point, which the predicted class leaves no room for.

    >>> parse_classes("macro-f1").better, parse_classes("auc").family
    ('higher', 'rank')
    >>> parse_classes("f1")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: unknown metric 'f1' of multi-class labels; did you mean 'class-f1'?
    """
    _one_name(name)
    base, at, _ = name.partition("@")
    known = named("multiclass")
    meant = base if base in known else aliases("multiclass").get(base, "")
    if at and meant:
        raise UsageError(f"metric {name!r}: the predicted class leaves no room for an operating point; write {meant!r}")
    if base not in known:
        if meant:
            raise UsageError(f"unknown metric {base!r} of multi-class labels; did you mean {meant!r}?")
        raise UnknownNameError("multi-class metric", base, known)
    return MetricSpec(name, known[base], "multiclass")


def _options(name: str, metric: Metric, text: str) -> dict[str, float]:
    accepted = (*_CONDITIONS, "prevalence") if "prevalence" in metric.options else _CONDITIONS
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, _, number = part.partition("=")
        if key not in accepted:
            raise UsageError(f"metric {name!r}: {metric.name} has no option {key!r}{suggestion(key, accepted)}")
        if key in values:
            raise UsageError(f"metric {name!r}: {key} is given twice")
        try:
            values[key] = float(number)
        except ValueError as error:
            raise UsageError(f"metric {name!r}: {key} wants a number, not {number!r}") from error
    return values


def _check_ranges(name: str, metric: Metric, condition: str, target: float, prevalence: float | None) -> None:
    if "threshold" in metric.options and (condition != "threshold" or not 0 <= target < 1):
        raise UsageError(
            f"metric {name!r}: {metric_title(metric.name)} wants a threshold probability, such as '{metric.name}@threshold=0.1'"
        )
    if condition != "threshold" and not 0 < target <= 1:
        raise UsageError(f"metric {name!r}: {condition} {target} is outside 0..1")
    if target != target:
        raise UsageError(f"metric {name!r}: {condition} is not a number")
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"metric {name!r}: prevalence {prevalence} is not between 0 and 1")
