"""Matrix of training domain by test domain.

A named training set is one domain; otherwise each dataset that a fit was trained on is one. The diagonal is internal: held-out
patients of a dataset, under fits that were trained on it. Everything else is external. Seeds and settings of an entry share their test
patients, who enter its interval once.
"""

from __future__ import annotations

from collections.abc import Iterator

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material
from xrbench.analyses.rows import FIGURE, Row, nothing, repeats
from xrbench.errors import XrbenchError
from xrbench.runs.run_cell import RunCell

COLUMNS = (
    *("method", "model", "train", "test", "protocol", *FIGURE, "error", "df", "over"),
    *("n_trainings", "n_settings", "n_figures"),
)


def rows_of(material: Material) -> Iterator[Row]:
    """Summarise the first metric by training domain and test domain, for each method and label (and their mean).

    Scores on images that the weights have seen, or that were trained on, are left out.

    Yields:
        One row a method, training domain, test domain and label: the mean over settings and trainings with an interval over trainings
        and patients, see ``statistics.method_mean``.
    """
    entries: dict[tuple[str, str, str, str], list[RunCell]] = {}
    for cell in material.cells(*HELD_OUT):
        if cell.seen or not cell.train:
            continue
        for train in domains_of(cell):
            entries.setdefault((cell.method, cell.model, train, cell.test), []).append(cell)
    for (method, model, train, test), cells in entries.items():
        head = {"method": method, "model": model, "train": train, "test": test, "protocol": cells[0].protocol}
        try:
            figures = statistics.method_mean(
                [material.trained(cell) for cell in cells], metric=material.metric, level=material.level
            )
        except XrbenchError as error:
            yield {**head, **nothing(str(error), label="", metric=material.metric)}
            continue
        yield from ({**head, **mean_row(one)} for one in figures if not repeats(one.label, material.suite.labels))


def mean_row(one: statistics.MethodFigure) -> Row:
    """Turn a method's mean into the fields of a row."""
    names = ("label", "metric", "value", "low", "high", "unit", "level", "error", "df", "over", "reason", "caution")
    counts = {"n_trainings": one.n_trainings, "n_settings": one.n_settings, "n_figures": one.n_cells}
    return {**{name: getattr(one, name) for name in names}, **counts, "interval": "t"}


def domains_of(cell: RunCell) -> tuple[str, ...]:
    """Name the training domains of a cell.

    >>> def cell(test, protocol, configuration=""):
    ...     about = {"method": "m", "model": "n", "train": "nih+chexpert", "cell": "c"}
    ...     return RunCell(**about, test=test, protocol=protocol, configuration=configuration)
    >>> domains_of(cell("mimic", "external")), domains_of(cell("nih", "internal"))
    (('nih', 'chexpert'), ('nih',))
    >>> domains_of(cell("nih+chexpert", "internal", "both"))
    ('both',)
    """
    if cell.configuration:
        return (cell.configuration,)
    return (cell.test,) if cell.protocol == "internal" else tuple(cell.train.split("+"))
