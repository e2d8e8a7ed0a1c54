from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xrbench import blocks
from xrbench.catalogue import Catalogue, datasets_of, open_catalogue, shipped
from xrbench.errors import CardError, UnknownNameError, UsageError
from xrbench.runs import cache_keys


def put(root: Path, place: str, text: str) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_catalogue_is_found() -> None:
    assert (shipped() / "registry" / "suites" / "ood-cxr.toml").is_file()


def test_every_shipped_card_is_right() -> None:
    found = open_catalogue()
    for name in found.names("suite"):
        card = found.suite(name)
        for dataset in datasets_of(card.protocol):
            assert found.dataset(dataset).title
    for name in found.names("dataset"):
        card_ = found.dataset(name)
        if card_.base:
            assert card_.base in found.names("dataset")
        else:
            blocks.find("reader", card_.reader)
    assert {"nih", "chexpert", "mimic", "padchest", "vindr"} <= set(found.names("dataset"))


@pytest.mark.train
def test_every_shipped_model_and_method_names_blocks_and_options_that_exist() -> None:
    found = open_catalogue()
    for name in found.names("model"):
        cache_keys.check_blocks(found.model(name))
    for name in found.names("method"):
        cache_keys.check_blocks(found.method(name))


@pytest.mark.train
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in blocks.BLOCKS.items() for name in table])
def test_every_block_of_the_table_is_there(kind: str, name: str) -> None:
    assert callable(blocks.find(kind, name))


def test_unknown_names_come_with_the_nearest_one() -> None:
    found = open_catalogue()
    with pytest.raises(UnknownNameError, match=r"unknown suite 'ood-cxrr'; did you mean 'ood-cxr'\?"):
        found.suite("ood-cxrr")
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'chexprt'; did you mean 'chexpert'\?"):
        found.dataset("chexprt")


def test_a_later_catalogue_adds_and_never_replaces(tmp_path: Path) -> None:
    put(tmp_path / "lab", "registry/methods/focal.toml", 'title = "Focal"')
    found = Catalogue([shipped(), tmp_path / "lab"])
    assert found.method("focal").title == "Focal"
    put(tmp_path / "lab", "registry/suites/ood-cxr.toml", 'title = "Mine"')
    with pytest.raises(CardError, match="already has this name"):
        Catalogue([shipped(), tmp_path / "lab"])


def test_a_vocabulary_can_be_added_to(tmp_path: Path) -> None:
    put(tmp_path / "lab", "registry/pathologies.toml", '[pathologies."Bullet fragment"]\nsynonyms = ["shrapnel"]')
    found = Catalogue([shipped(), tmp_path / "lab"])
    assert "Bullet fragment" in found.vocabulary.pathologies
    assert "Edema" in found.vocabulary.pathologies
    put(tmp_path / "lab", "registry/pathologies.toml", "[pathologies.Edema]")
    with pytest.raises(CardError, match=r"pathologies\.Edema is already there"):
        _ = Catalogue([shipped(), tmp_path / "lab"]).vocabulary


def test_extending_takes_over_what_is_silent(tmp_path: Path) -> None:
    put(tmp_path / "lab", "registry/suites/mine.toml", 'title = "Mine"\nextends = "ood-cxr"\nlabels = ["Edema"]')
    found = Catalogue([shipped(), tmp_path / "lab"])
    mine, parent = found.suite("mine"), found.suite("ood-cxr")
    assert mine.labels == ("Edema",)
    assert mine.protocol == parent.protocol
    assert mine.title == "Mine"


def test_extending_in_a_circle_or_nothing_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "lab", "registry/suites/one.toml", 'title = "1"\nextends = "two"')
    put(tmp_path / "lab", "registry/suites/two.toml", 'title = "2"\nextends = "one"')
    put(tmp_path / "lab", "registry/suites/three.toml", 'title = "3"\nextends = "ood-cx"')
    found = Catalogue([shipped(), tmp_path / "lab"])
    with pytest.raises(CardError, match="a circle: one -> two -> one"):
        found.suite("one")
    with pytest.raises(UnknownNameError, match=r"three\.toml: unknown suite 'ood-cx'; did you mean 'ood-cxr'"):
        found.suite("three")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ('methods = ["balanced-batchin"]', "unknown method 'balanced-batchin'; did you mean 'balanced-batching'"),
        ('models = ["densenet121-imagnet"]', "did you mean 'densenet121-imagenet'"),
        (
            'labels = ["Edema"]\ninterval = { kind = "jacknife" }',
            "interval: kind: unknown kind of interval 'jacknife'; did you mean 'jackknife'",
        ),
        ('labels = ["Edoema"]', "unknown pathology 'Edoema'; did you mean 'Edema'"),
        ('preprocessing = ["centre-crp"]', "did you mean 'centre-crop'"),
        ('preprocessing = [{ block = "resize", filtr = "x" }]', "no option 'filtr'"),
        ('protocol = { datasets = ["nihh", "mimic", "vindr"] }', "unknown dataset 'nihh'; did you mean 'nih'"),
        ('mappings = ["nope"]', "unknown mapping 'nope'"),
        ('comparisons = [{ challenger = "xrv-al", baseline = "xrv-all" }]', "did you mean 'xrv-all'"),
    ],
)
def test_a_suite_that_names_what_is_not_there_is_one_line(tmp_path: Path, field: str, words: str) -> None:
    path = put(tmp_path / "lab", "registry/suites/mine.toml", f'title = "Mine"\n{field}')
    with pytest.raises((CardError, UnknownNameError)) as caught:
        Catalogue([shipped(), tmp_path / "lab"]).suite("mine")
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_given_folders_must_be_catalogues(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        open_catalogue([tmp_path / "absent"])
    with pytest.raises(UsageError, match="has none of registry/"):
        open_catalogue([tmp_path])


def test_blocks_beside_a_given_catalogue_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    put(
        tmp_path / "catalab",
        "registry/methods/shouting.toml",
        'title = "Shouting"\nobjective = { block = "catalab.methods:loud", volume = 3 }',
    )
    source = put(tmp_path / "catalab", "methods.py", "def loud(scores, truth, *, volume=1):\n    return volume\n")
    card = open_catalogue([tmp_path / "catalab"]).method("shouting")
    assert blocks.find("objective", "catalab.methods:loud")(0, 0, volume=3) == 3
    before = cache_keys.foreign_source(card)
    source.write_text(source.read_text() + "# edited\n")
    assert cache_keys.foreign_source(card) != before


def test_the_path_variable_adds_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    put(tmp_path / "lab2", "registry/methods/other.toml", 'title = "Other"')
    monkeypatch.setenv("XRBENCH_PATH", str(tmp_path / "lab2"))
    assert "other" in open_catalogue().names("method")
