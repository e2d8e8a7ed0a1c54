"""The numbers of the two papers on fixed training sets, against their printed lines and against what the numbers must add up to."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from xrbench import cards
from xrbench.catalogue import shipped
from xrbench.errors import CardError
from xrbench.report.reported_values import Reported, reported

PATHOLOGIES = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
DENSENET, INCEPTION = "densenet121-imagenet-rgb", "inception-resnet-v2-imagenet-rgb"

TABLE1 = """
0.853 0.852 0.714 0.711 0.864
0.735 0.808 0.706 0.704 0.854
0.905 0.88 0.797 0.803 0.873
0.674 0.732 0.614 0.679 0.792
0.878 0.900 0.747 0.775 0.893
0.744 0.817 0.694 0.729 0.859
0.854 0.857 0.719 0.716 0.866
0.729 0.815 0.694 0.716 0.856
0.910 0.871 0.796 0.805 0.870
0.651 0.702 0.626 0.682 0.773
0.881 0.902 0.752 0.781 0.894
0.734 0.808 0.706 0.724 0.862
"""
"""The figures of the first paper's Table 1, line by line as printed."""

FLOWCHARTS = {
    ("nih", "train"): ("80,657", "22,179", "1,944", "1,622", "3,357", "8,321", "9,739"),
    ("nih", "test"): ("22,294", "6,161", "618", "454", "951", "2,207", "2,553"),
    ("nih", "valid"): ("9,169", "2,465", "214", "227", "359", "1,031", "1,025"),
    ("chexpert", "train"): ("161,035", "46,468", "19,371", "47,292", "10,706", "48,363", "70,653"),
    ("chexpert", "test"): ("44,282", "12,908", "5,407", "12,746", "2,817", "13,207", "19,127"),
    ("chexpert", "valid"): ("18,097", "5,164", "2,222", "5,192", "1,260", "5,545", "8,035"),
    ("mimic-test", "test"): ("5,159", "293", "1,258", "1,395", "326", "1,319", "1,714"),
}
"""Images, patients and positives of Figures 4 to 6, as printed."""


def paper_of(name: str) -> Reported:
    folder = shipped() / "baselines" / name
    card = cards.convert(cards.read_toml(folder / "paper.toml"), cards.PaperCard, where="paper.toml", name=name)
    return reported(card, folder)


@pytest.fixture(scope="module")
def dcnn() -> Reported:
    return paper_of("internal-external-cxr")


@pytest.fixture(scope="module")
def zhou() -> Reported:
    return paper_of("vindr-to-chexpert")


def test_the_first_papers_table_1_is_there_line_by_line(dcnn: Reported) -> None:
    lines = [line.split() for line in TABLE1.split("\n") if line]
    at = [
        (model, number, protocol)
        for model in (DENSENET, INCEPTION)
        for number in (1, 2, 3)
        for protocol in ("internal", "external")
    ]
    for (model, number, protocol), line in zip(at, lines, strict=True):
        where = {"model": model, "configuration": f"configuration-{number}", "protocol": protocol}
        assert [dcnn.printed(label=label, **where) for label in PATHOLOGIES] == line
    assert len(dcnn.scores) == 60
    assert set(dcnn.scores["method"]) == {"adam-accumulate"}


def test_the_blocks_of_table_1_are_told_apart_by_the_exceptions_in_the_text(dcnn: Reported) -> None:
    """DenseNet121 outside: Consolidation 0.706 in configuration 1, 0.694 in 3; InceptionResNetV2: Edema 0.815 and 0.808."""

    def outside(model: str, label: str, number: int) -> str:
        return dcnn.printed(model=model, label=label, protocol="external", configuration=f"configuration-{number}")

    assert [outside(DENSENET, "Consolidation", number) for number in (1, 3)] == ["0.706", "0.694"]
    assert [outside(INCEPTION, "Edema", number) for number in (1, 3)] == ["0.815", "0.808"]
    worse = [
        (model, label)
        for model in (DENSENET, INCEPTION)
        for label in PATHOLOGIES
        if float(outside(model, label, 3)) < float(outside(model, label, 1))
    ]
    assert worse == [(DENSENET, "Consolidation"), (INCEPTION, "Edema")]


def test_one_figure_is_a_tie_although_the_text_says_internal_is_always_better(dcnn: Reported) -> None:
    wide = dcnn.scores.pivot(index=["model", "configuration", "label"], columns="protocol", values="value")
    assert list(wide.index[wide["internal"] <= wide["external"]]) == [(INCEPTION, "configuration-1", "Atelectasis")]


def test_settings_name_the_training_set(dcnn: Reported) -> None:
    third = dcnn.scores[(dcnn.scores["configuration"] == "configuration-3") & (dcnn.scores["protocol"] == "external")]
    assert set(third["setting"]) == {"configuration-3:chexpert+nih>held-out>mimic-test"}
    assert set(third["members"]) == {1}


def test_flowcharts_are_there_as_printed(dcnn: Reported) -> None:
    for (dataset, split), numbers in FLOWCHARTS.items():
        counted = [dcnn.stated(about=dataset, split=split, quantity=quantity) for quantity in ("images", "patients")]
        positive = [dcnn.stated(about=dataset, split=split, quantity="positive", label=label) for label in PATHOLOGIES]
        assert (*counted, *positive) == numbers
    assert dcnn.stated(about="chexpert", split="valid", quantity="male") == "57%"
    assert dcnn.stated(about="mimic", split="all", quantity="images") == "377,110"
    assert dcnn.stated(about="mimic-test", split="all", quantity="images") == ""


@pytest.mark.parametrize(
    ("dataset", "images", "patients", "positive"),
    [
        ("nih", 112120, 30805, (2776, 2303, 4667, 11559, 13317)),
        # Uncertain counts as positive for Edema, Atelectasis and Effusion: 52,246 + 12,984 and so on.
        ("chexpert", 223414, 64540, (27000, 52246 + 12984, 14783, 33376 + 33739, 86187 + 11628)),
    ],
)
def test_the_parts_of_a_flowchart_add_up_to_the_published_dataset(
    dcnn: Reported, dataset: str, images: int, patients: int, positive: tuple[int, ...]
) -> None:
    mine = dcnn.quantities[(dcnn.quantities["about"] == dataset) & dcnn.quantities["split"].ne("all")]
    assert mine.loc[mine["quantity"] == "images", "value"].sum() == images
    assert mine.loc[mine["quantity"] == "patients", "value"].sum() == patients
    sums = mine[mine["quantity"] == "positive"].groupby("label")["value"].sum()
    assert tuple(sums[list(PATHOLOGIES)]) == positive


@pytest.mark.parametrize("dataset", ["nih", "chexpert"])
def test_printed_patients_are_a_fifth_and_a_tenth_of_the_rest(dcnn: Reported, dataset: str) -> None:
    count = {
        split: int(dcnn.stated(about=dataset, split=split, quantity="patients").replace(",", ""))
        for split in ("all", "train", "valid", "test")
    }
    test = math.ceil(0.2 * count["all"])
    valid = math.ceil(0.1 * (count["all"] - test))
    assert (count["test"], count["valid"], count["train"]) == (test, valid, count["all"] - test - valid)


def test_ages_and_networks_are_there(dcnn: Reported) -> None:
    assert dcnn.stated(about="nih", quantity="mean age") == "46.13"
    assert dcnn.stated(about="chexpert", quantity="standard deviation of age") == "18.56"
    assert dcnn.stated(about=INCEPTION, quantity="trainable parameters") == "54,283,877"
    assert dcnn.stated(about=DENSENET, quantity="trainable parameters") == "6,958,981"
    assert dcnn.stated(about=DENSENET, quantity="layers") == "429"


def test_shown_images_are_wrong_for_exactly_one_network(dcnn: Reported) -> None:
    wide = dcnn.cases.pivot(index="image", columns="model", values="score")
    # As printed in Table 2, images 1 to 4.
    assert list(wide[INCEPTION]) == [0.496, 0.605, 0.472, 0.565]
    assert list(wide[DENSENET]) == [0.696, 0.477, 0.553, 0.419]
    truth = dcnn.cases.drop_duplicates("image").set_index("image")["truth"] == "Cardiomegaly"
    wrong = (wide >= 0.5).ne(truth, axis=0)
    assert (wrong.sum(axis=1) == 1).all()
    assert set(dcnn.cases["assessment"]) == {"Borderline Cardiomegaly"}


def test_the_second_papers_table_1_is_there(zhou: Reported) -> None:
    """Full-data single 92.26 % and ensembled 95.04 % / 26.58 %; val-split single 60.69 % and ensembled 63.34 % / 25.30 %."""
    found = {
        (row["configuration"], row["members"], row["protocol"]): row["printed"]
        for row in zhou.scores[zhou.scores["table"] == "table1"].to_dict("records")
    }
    assert found == {
        ("full-data", 1, "resubstitution"): "92.26%",
        ("full-data", 3, "resubstitution"): "95.04%",
        ("full-data", 1, "external"): "",
        ("full-data", 3, "external"): "26.58%",
        ("val-split", 1, "internal"): "60.69%",
        ("val-split", 3, "internal"): "63.34%",
        ("val-split", 1, "external"): "",
        ("val-split", 3, "external"): "25.30%",
    }


@pytest.mark.parametrize(
    ("configuration", "members", "right", "images"),
    [
        ("full-data", 1, 2956, 3204),
        ("full-data", 3, 3045, 3204),
        ("val-split", 1, 389, 641),
        ("val-split", 3, 406, 641),
    ],
)
def test_printed_accuracies_are_whole_images_right(
    zhou: Reported, configuration: str, members: int, right: int, images: int
) -> None:
    rows = zhou.scores[(zhou.scores["table"] == "table1") & zhou.scores["protocol"].ne("external")]
    row = rows[(rows["configuration"] == configuration) & (rows["members"] == members)].iloc[0]
    assert round(right / images, 4) == row["value"]
    assert images in (3204, math.ceil(0.2 * 3204))


def test_the_second_papers_table_2_is_there(zhou: Reported) -> None:
    """Overall and classes 0 to 5: 27 % 90 % 40 % 2 % 10 % 22 % 0 % and 25 % 91 % 48 % 1 % 3 % 10 % 0 %."""
    rows = zhou.scores[zhou.scores["table"] == "table2"]
    order = ["all classes", "No Finding", "Cardiomegaly", "Nodule/Mass", "Lung Opacity", "Effusion", "Consolidation"]
    printed = {
        name: [part.set_index("label")["printed"][label] for label in order]
        for name, part in rows.groupby("configuration")
    }
    assert printed == {
        "full-data": ["27%", "90%", "40%", "2%", "10%", "22%", "0%"],
        "val-split": ["25%", "91%", "48%", "1%", "3%", "10%", "0%"],
    }
    assert rows["value"].max() == 0.91


def test_a_figure_that_is_printed_twice_is_taken_as_printed_first(zhou: Reported) -> None:
    """26.58 % in Table 1 and 27 % in Table 2 are one figure."""
    where = {"configuration": "full-data", "members": 3, "protocol": "external", "label": "all classes"}
    assert zhou.printed(metric="accuracy", **where) == "26.58%"


def test_naive_guesses_are_there(zhou: Reported) -> None:
    guessed = "accuracy of proportional guessing"
    assert [zhou.stated(about=name, quantity=guessed) for name in ("vindr", "chexpert-frontal")] == ["0.217", "0.231"]
    assert zhou.stated(about="vindr", quantity="accuracy of uniform guessing") == "0.167"
    assert zhou.stated(about="chexpert-frontal", quantity="images") == "29,842"


def test_nothing_is_printed_for_what_is_not_one_figure(dcnn: Reported) -> None:
    assert dcnn.printed(label="Edema") == ""
    assert dcnn.printed(label="Hernia") == ""
    assert dcnn.stated(about="nih") == ""


def test_older_tables_have_one_member_and_no_configuration(paper: Reported) -> None:
    assert set(paper.scores["members"]) == {1}
    assert set(paper.scores["model"]) == set(paper.scores["configuration"]) == {""}
    assert paper.cases.empty
    assert paper.stated(about="nih") == ""


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("about,split,label,quantity,value\nNIHH,all,,images,1\n", "'NIHH' is not among the datasets or models"),
        ("about,split,label,quantity,value\nNIH,all,,images,x\n", "row 2, column 'value': expected a number, got 'x'"),
        ("image,model,label,truth,score,assessment\n1,Nett,Edema,1,0.5,\n", "'Nett' is not among the models"),
    ],
)
def test_a_wrong_quantity_or_case_is_named(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    card = cards.PaperCard(
        title="t", cite="t", suite="t", datasets={"NIH": "nih"}, models={"Net": "net"}, tables={"t": "t.csv"}
    )
    with pytest.raises(CardError, match=message):
        reported(card, tmp_path)


def test_quantities_are_numbers(zhou: Reported) -> None:
    assert pd.api.types.is_float_dtype(zhou.quantities["value"])
    assert zhou.quantities["value"].tolist() == [3204, 29842, 0.167, 0.217, 0.231]
