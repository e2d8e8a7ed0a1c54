from __future__ import annotations

import numpy as np
import pytest

from xrbench import statistics
from xrbench.errors import MeasureError


def table(
    seed: int, sds: tuple[float, float, float], levels: tuple[int, int] = (8, 9)
) -> tuple[list[float], dict[str, list[str]]]:
    rng = np.random.default_rng(seed)
    a, b = (sd * rng.normal(size=size) for sd, size in zip(sds[:2], levels, strict=True))
    rows = [(i, j, 0.8 + a[i] + b[j] + sds[2] * rng.normal()) for i in range(levels[0]) for j in range(levels[1])]
    return [r[2] for r in rows], {"method": [f"m{r[0]}" for r in rows], "test": [f"t{r[1]}" for r in rows]}


@pytest.mark.parametrize("seed", range(4))
def test_balanced_tables_give_the_analysis_of_variance(seed: int) -> None:
    """In a balanced table the restricted likelihood's variances are those of the mean squares."""
    values, sources = table(seed, (0.03, 0.02, 0.01))
    found = statistics.decompose(values, sources)
    grid = np.array(values).reshape(8, 9)
    rest = grid - grid.mean(1, keepdims=True) - grid.mean(0) + grid.mean()
    error = float((rest**2).sum() / (7 * 8))
    expected = {
        "method": float(grid.mean(1).var(ddof=1)) - error / 9,
        "test": float(grid.mean(0).var(ddof=1)) - error / 8,
        "rest": error,
    }
    for name, part in expected.items():
        assert found.parts[name] == pytest.approx(part, rel=2e-3)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.mean == pytest.approx(grid.mean())


def test_a_source_that_does_nothing_gets_nothing() -> None:
    values, sources = table(2, (0.05, 0.0, 0.005))
    found = statistics.decompose(values, sources)
    assert found.shares["method"] > 0.9
    assert found.shares["test"] < 0.02


def test_constant_scores_and_wrong_input() -> None:
    sources = {"method": ["a", "b"] * 4}
    assert statistics.decompose([0.5] * 8, sources).parts == {"method": 0.0, "rest": 0.0}
    with pytest.raises(MeasureError, match="method has a single value"):
        statistics.decompose([0.5] * 8, {"method": ["a"] * 8})
    with pytest.raises(MeasureError, match="too few"):
        statistics.decompose([0.5, 0.6], {"method": ["a", "b"]})
    with pytest.raises(MeasureError, match="method has 3 rows"):
        statistics.decompose([0.5, 0.6], {"method": ["a", "b", "c"]})


def test_as_many_scores_as_parts_and_one_more_are_too_few_and_one_more_is_not() -> None:
    """One source takes a mean, a variance and a rest: four scores at least."""
    with pytest.raises(MeasureError, match="3 scores are too few for 1 sources"):
        statistics.decompose([0.5, 0.6, 0.7], {"method": ["a", "b", "a"]})
    assert statistics.decompose([0.5, 0.9, 0.52, 0.88], {"method": ["a", "b", "a", "b"]}).n == 4


def test_a_search_that_breaks_down_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    values, sources = table(1, (0.03, 0.02, 0.01))
    sound, whole = MixedLM.fit, statistics.decompose(values, sources)
    calls: list[str] = []

    def fit(self: MixedLM, *arguments: object, **options: object) -> object:
        calls.append(str(options["method"]))
        if len(calls) == 1:
            raise np.linalg.LinAlgError("singular")
        return sound(self, *arguments, **options)

    monkeypatch.setattr(MixedLM, "fit", fit)
    found = statistics.decompose(values, sources)
    assert len(calls) > 1
    assert found.parts == pytest.approx(whole.parts, rel=0.01)
