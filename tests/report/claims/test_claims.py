"""The claims of shipped papers, and how a family of verdicts is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from xrbench import blocks, cards
from xrbench.catalogue import open_catalogue
from xrbench.errors import CardError, UnknownNameError
from xrbench.report.claims import evaluate, tables
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.runs import store

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
LAYOUT = cards.TableLayout(name="claims", kind="claims", digits=3)
CATALOGUE = open_catalogue()
EVERY = [(name, claim) for name, (card, _) in CATALOGUE.papers.items() for claim in card.claims]
BY_CONFIGURATION = ("configuration", "challenger", "baseline", "other")


@pytest.mark.parametrize(("paper", "claim"), EVERY, ids=[f"{name}: {claim.text}" for name, claim in EVERY])
def test_every_shipped_claim_names_what_its_suite_has(paper: str, claim: cards.Claim) -> None:
    suite = CATALOGUE.suite(CATALOGUE.papers[paper][0].suite)
    blocks.check_options("claim", claim.kind, claim.options)
    trained = {one.name for one in suite.protocol.configurations}
    datasets = {*suite.protocol.external, *(name for one in suite.protocol.configurations for name in one.train)}
    options = claim.options
    named = [options[key] for key in BY_CONFIGURATION if key in options] + list(options.get("configurations", ()))
    assert set(named) <= trained
    labels = [*options.get("labels", ()), *options.get("commonest", ()), *options.get("after", ())]
    labels += [options[key] for key in ("label", "predicted", "recalled") if key in options]
    assert set(labels) <= {*suite.labels, "mean"}
    assert {options[key] for key in ("first", "second", "dataset") if key in options} <= datasets
    assert set(options.get("models", ())) <= set(suite.models)


def test_the_two_papers_have_their_claims() -> None:
    counts = {name: len(card.claims) for name, (card, _) in CATALOGUE.papers.items() if card.claims}
    assert counts["internal-external-cxr"] == 16
    assert counts["vindr-to-chexpert"] == 15


def with_claims(paper: Reported, *given: cards.Claim) -> Reported:
    import msgspec

    return Reported(msgspec.structs.replace(paper.card, claims=given), paper.scores, paper.datasets)


@pytest.fixture
def family(made_run: Make, findings: Frames, paper: Reported) -> Callable[..., Run]:
    """A run with a clear gap for Edema and none for Effusion, and claims about both."""
    truth = [1] * 60 + [0] * 60
    inside = findings(
        "a", Edema=(truth, [0.9] * 55 + [0.1] * 5 + [0.1] * 55 + [0.9] * 5), Effusion=(truth, [0.5] * 120)
    )
    outside = findings(
        "c", Edema=(truth, [0.9] * 30 + [0.1] * 30 + [0.1] * 30 + [0.9] * 30), Effusion=(truth, [0.5] * 120)
    )
    suite = cards.SuiteCard(title="Family", name="family", labels=("Edema", "Effusion"))
    cells = [{"test": "a", "protocol": "internal", "frame": inside}, {"frame": outside}]
    usual = (
        cards.Claim(text="Edema is lost", kind="gap", options={"labels": ["Edema"]}),
        cards.Claim(text="Effusion is lost", kind="gap", options={"labels": ["Effusion"]}),
        cards.Claim(text="Pacemakers", kind="device-raises-score", options={"label": "Edema"}),
    )

    def run(*given: cards.Claim, fixture: bool = False) -> Run:
        return made_run(suite, cells, paper=with_claims(paper, *(given or usual)), fixture=fixture)

    return run


def test_each_claim_is_answered_in_order(family: Callable[..., Run]) -> None:
    found = evaluate.judged(family())
    assert [(one.text, one.outcome) for one in found] == [
        ("Edema is lost", "holds"),
        ("Effusion is lost", "cannot tell"),
        ("Pacemakers", "cannot tell"),
    ]
    # Two claims were tested: the smaller p counts twice.
    assert found[0].support == pytest.approx(2 * found[0].parts[0].p)


def test_claims_are_judged_once_however_often_they_are_shown(family: Callable[..., Run]) -> None:
    run = family()
    first = evaluate.judged(run)
    assert tables.table(run, LAYOUT) is not None
    assert evaluate.judged(run) is first


def test_the_table_says_what_was_tested_and_counts_verdicts(family: Callable[..., Run]) -> None:
    table = tables.table(family(), LAYOUT)
    assert table is not None
    assert [[cell.text for cell in row[:3]] for row in table.blocks[0]] == [
        ["1", "Edema is lost", "holds"],
        ["2", "Effusion is lost", "cannot tell"],
        ["3", "Pacemakers", "cannot tell"],
    ]
    assert table.notes[0] == "3 claims: 1 holds, 0 does not hold, 2 cannot tell."
    assert "over the 2 claims that were tested" in table.notes[1]
    assert table.notes[2].startswith("1: internal minus external AUC above 0")
    parts = tables.parts_table(family(), LAYOUT)
    assert parts is not None
    assert [[cell.text for cell in row[:3]] for block in parts.blocks for row in block] == [
        ["1", "Edema is lost", "net one Edema"],
        ["2", "Effusion is lost", "net one Effusion"],
    ]


def test_on_synthetic_images_verdicts_carry_the_stamp(family: Callable[..., Run]) -> None:
    table = tables.table(family(fixture=True), LAYOUT)
    assert table is not None
    assert table.stamp.startswith("FIXTURE")
    assert "say nothing about the paper" in table.notes[-1]
    run = family(fixture=True)
    assert evaluate.lines(evaluate.judged(run), stamp=run.stamp)[0].startswith("FIXTURE")


def test_lines_for_a_terminal_and_values_for_machines(family: Callable[..., Run]) -> None:
    found = evaluate.judged(family())
    lines = evaluate.lines(found)
    assert lines[0] == "The paper's claims"
    assert lines[1] == "  1  holds          Edema is lost"
    assert len(lines) == 1 + 3 * 3
    values: dict[str, Any] = json.loads(json.dumps(store.without_nan(evaluate.to_dict(found[2]))))
    assert (values["outcome"], values["support"], values["parts"]) == ("cannot tell", None, [])


def test_a_run_of_a_part_of_its_suite_says_so(made_run: Make, findings: Frames) -> None:
    protocol = cards.Protocol(
        kind="internal-external",
        external=("c",),
        configurations=tuple(cards.Configuration(name=name, train=("a",)) for name in ("one", "two")),
    )
    suite = cards.SuiteCard(title="Part", name="part", labels=("Edema",), models=("net", "other"), protocol=protocol)
    cell = {"frame": findings("c", Edema=([1, 0], [0.9, 0.1]))}
    note = "Judged on a part of the suite only; not measured: networks other; training sets two."
    assert evaluate.partly(made_run(suite, [cell])) == [note]
    small = made_run(suite, [cell, {**cell, "configuration": "two"}], manifest={"profile": {"models": ["net"]}})
    assert evaluate.partly(small) == []


def test_a_run_without_a_paper_or_claims_has_no_table(family: Callable[..., Run], paper: Reported) -> None:
    run = family()
    bare = Run(run.folder, run.manifest, run.suite, run.results, None)
    assert evaluate.judged(bare) == []
    assert tables.table(bare, LAYOUT) is None
    silent = Run(run.folder, run.manifest, run.suite, run.results, paper)
    assert tables.table(silent, LAYOUT) is None
    assert tables.parts_table(silent, LAYOUT) is None


def test_a_claim_that_names_no_check_is_one_line(family: Callable[..., Run]) -> None:
    with pytest.raises(UnknownNameError, match="claim 'gapp'; did you mean 'gap'"):
        evaluate.judged(family(cards.Claim(text="x", kind="gapp")))
    with pytest.raises(CardError, match="has no option 'label'; did you mean 'labels'"):
        evaluate.judged(family(cards.Claim(text="x", kind="gap", options={"label": "Edema"})))
