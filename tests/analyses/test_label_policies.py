"""Other readings of labels: truth recoded by hand, figures by scikit-learn, agreement of ranks by SciPy."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from xrbench import cards
from xrbench.analyses import Material, analyse
from xrbench.analyses.label_policies import families
from xrbench.analyses.relabelling import truth_under
from xrbench.compare.scores_io import Results
from xrbench.data.labels import policies as labelling
from xrbench.errors import MeasureError

TEST = "plain/net/b+c/valid-held-out/seed-0/a"


@pytest.fixture(scope="module")
def table(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return found["policies"]


def test_figures_are_of_the_truth_that_the_policy_makes(table: pd.DataFrame, results: Results) -> None:
    frame = results.predictions(TEST)
    assert frame is not None
    raw = frame["raw:Edema"]
    truths = {
        "own policy": raw.where(raw != -1),
        "ones": raw.replace(-1, 1),
        "negative": raw.replace(-1, 0).fillna(0),
    }
    mine = table[(table["cell"] == TEST) & (table["label"] == "Edema")].set_index("policy")
    assert list(mine.index) == list(truths)
    for policy, truth in truths.items():
        known = truth.notna()
        assert mine.loc[policy, "value"] == pytest.approx(roc_auc_score(truth[known], frame.loc[known, "score:Edema"]))
        assert mine.loc[policy, "n_positive"] == (truth == 1).sum()
        assert mine.loc[policy, "n_masked"] == truth.isna().sum()


def test_ranks_and_their_agreement(table: pd.DataFrame) -> None:
    family = table[(table["test"] == "a") & (table["seed"] == 0) & (table["protocol"] == "external")]
    mine = family[(family["label"] == "mean") & (family["setting"].isin(["b+c>held-out>a", ""]))]
    values = mine.pivot_table(index="policy", columns="method", values="value")
    assert list(values.columns) == ["fancy", "plain", "ready"], "the ready-made model competes in every setting"
    ranks = values.rank(axis=1, ascending=False)
    for row in mine.to_dict("records"):
        assert row["rank"] == ranks.loc[row["policy"], row["method"]]
        expected = stats.kendalltau(values.loc["own policy"], values.loc[row["policy"]]).statistic
        if row["policy"] != "own policy":
            assert row["tau"] == pytest.approx(expected)
    assert set(mine["n_methods"]) == {3}


def test_images_that_the_weights_have_seen_do_not_compete(table: pd.DataFrame, material: Material) -> None:
    assert not table[(table["method"] == "ready") & (table["test"] == "c")].size
    for family in families(material):
        assert not any(cell.seen for cell in family)
        assert len({cell.test for cell in family}) == 1
        assert len({cell.method for cell in family}) == len(family)


def reading(blank: object, own: object, frame: pd.DataFrame) -> list[float]:
    suite = cards.SuiteCard(title="", labels=("Edema",), blank=own)  # type: ignore[arg-type]
    rule = cards.PolicyRule(name="p", uncertain="ones", blank=blank)  # type: ignore[arg-type]
    return [float(value) for value in truth_under(frame, suite, rule)[:, 0]]


def test_blanks_of_healthy_images_follow_from_the_suites_own_policy() -> None:
    """The same images through the policy code with the published column, and from stored truth without it."""
    published = pd.DataFrame({"Edema": [1.0, -1.0, np.nan, np.nan, 0.0], "No Finding": [0.0, 0.0, 1.0, np.nan, 0.0]})
    policy = {"uncertain": "ones", "blank": "negative-when-no-finding"}
    expected = labelling.truth(published, ["Edema"], **policy)[:, 0]  # type: ignore[arg-type]
    own = labelling.truth(published, ["Edema"], uncertain="ignore", blank="negative-when-no-finding")[:, 0]
    stored = pd.DataFrame({"raw:Edema": published["Edema"], "truth:Edema": own, "dataset": "x"})
    found = reading("negative-when-no-finding", "negative-when-no-finding", stored)
    np.testing.assert_array_equal(found, expected)
    with_column = stored.assign(**{"raw:No Finding": published["No Finding"]}).drop(columns="truth:Edema")
    np.testing.assert_array_equal(reading("negative-when-no-finding", "ignore", with_column), expected)


def test_who_is_healthy_is_never_guessed() -> None:
    frame = pd.DataFrame({"raw:Edema": [1.0, np.nan], "truth:Edema": [1.0, np.nan], "dataset": "x"})
    with pytest.raises(MeasureError, match="which images are read as 'No Finding' is not in the predictions") as raised:
        reading("negative-when-no-finding", "ignore", frame)
    assert "\n" not in str(raised.value)
    with pytest.raises(MeasureError, match="no column 'raw:Edema'"):
        reading("negative", "ignore", frame.drop(columns="raw:Edema"))


def test_a_label_that_a_dataset_does_not_have_stays_unknown_there() -> None:
    frame = pd.DataFrame({"raw:Edema": [1.0, np.nan, np.nan, np.nan], "truth:Edema": np.nan, "dataset": list("xxyy")})
    assert str(reading("negative", "ignore", frame)) == "[1.0, 0.0, nan, nan]"


def test_exclusive_classes_have_no_policies(results: Results, suite: cards.SuiteCard) -> None:
    only = cards.Analyses(policies=suite.analyses.policies)
    classes = msgspec.structs.replace(suite, task="multiclass", analyses=only, tables=())
    table = analyse(results, classes)["policies"]
    assert table["reason"].str.contains("follow from its class rule").all()
