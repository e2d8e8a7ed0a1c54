"""Net benefit against the formula on scikit-learn's confusion matrix."""

from __future__ import annotations

import msgspec
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from xrbench import cards
from xrbench.analyses import analyse
from xrbench.compare.scores_io import Results


def test_net_benefit_of_the_model_and_of_acting_on_everyone(found: dict[str, pd.DataFrame], results: Results) -> None:
    table = found["decision-curve"]
    row = table[(table["method"] == "ready") & (table["test"] == "b") & (table["label"] == "Effusion")]
    assert row["threshold"].tolist() == [0.3, 0.5]
    frame = results.predictions("ready/zoo/as-it-comes/b")
    assert frame is not None
    frame = frame[frame["truth:Effusion"].notna()]
    prevalence = (frame["truth:Effusion"] == 1).mean()
    for one in row.to_dict("records"):
        at = one["threshold"]
        _, false, _, true = confusion_matrix(frame["truth:Effusion"], frame["score:Effusion"] >= at).ravel()
        benefit = (true - false * at / (1 - at)) / len(frame)
        everyone = prevalence - (1 - prevalence) * at / (1 - at)
        assert one["value"] == pytest.approx(benefit)
        assert one["treat_all"] == pytest.approx(everyone)
        assert one["above"] == pytest.approx(benefit - max(everyone, 0.0))
        assert one["low"] < one["value"] < one["high"]
        assert one["n_images"] == 160


def test_scores_that_are_no_probabilities_give_a_reason(results: Results, suite: cards.SuiteCard) -> None:
    def logits(cell: str) -> pd.DataFrame | None:
        frame = results.predictions(cell)
        return None if frame is None else frame.assign(**{"score:Edema": 5 * frame["score:Edema"]})

    only = msgspec.structs.replace(suite, analyses=cards.Analyses(decision_thresholds=(0.5,)), tables=())
    table = analyse(Results(results.where, results.scores, logits, results.folder), only)["decision-curve"]
    assert table["value"].isna().all()
    assert table["reason"].str.contains("outside 0..1").all()
