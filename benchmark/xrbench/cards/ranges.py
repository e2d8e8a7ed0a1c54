"""Values of the right type that cannot mean anything."""

from __future__ import annotations

import msgspec

from xrbench.cards.analyses_ranges import check_comparison, check_judgement
from xrbench.cards.base import Name
from xrbench.cards.datasets import DatasetCard
from xrbench.cards.methods import MethodCard
from xrbench.cards.models import ModelCard
from xrbench.cards.protocols import ClassRule, Protocol, SplitRule
from xrbench.cards.suites import SuiteCard
from xrbench.errors import CardError


def check_ranges(card: msgspec.Struct, where: str) -> None:
    """Refuse values of the right type that cannot mean anything."""
    if isinstance(card, SuiteCard):
        _check_suite(card, where)
    if isinstance(card, DatasetCard) and bool(card.reader) == bool(card.base):
        raise CardError(f"{where}: a dataset has either a field 'reader' or, as a slice, a field 'base'")
    if isinstance(card, ModelCard) and len(card.mean) != len(card.std):
        raise CardError(
            f"{where}: 'mean' and 'std' have {len(card.mean)} and {len(card.std)} values; one a channel is wanted"
        )
    if isinstance(card, MethodCard):
        _positive(where, accumulate=card.accumulate)
        _not_negative(where, l2_in_loss=card.l2_in_loss, patience=card.patience, epochs=card.epochs)


def _check_suite(card: SuiteCard, where: str) -> None:
    for name, profile in card.profiles.items():
        at = f"{where}: profiles.{name}"
        _positive(at, image_size=profile.image_size, epochs=profile.epochs, batch_size=profile.batch_size)
        _not_negative(at, steps_per_epoch=profile.steps_per_epoch, threads=profile.threads)
        _check_split(profile.split, f"{at}.split")
    if not 0 < card.interval.level < 1:
        raise CardError(f"{where}: interval.level: wanted 0 < level < 1, got {card.interval.level}")
    _positive(f"{where}: interval", replicates=card.interval.replicates)
    for field in ("labels", "models", "methods", "metrics"):
        _no_twins(f"{where}: {field}", getattr(card, field))
    if card.task == "multiclass" and 0 < len(card.labels) < 2:
        raise CardError(f"{where}: labels: exclusive classes are wanted, so at least two")
    if card.task != "multiclass" and card.classes != ClassRule():
        raise CardError(f'{where}: classes: a rule for exclusive classes wants task = "multiclass"')
    check_judgement(card.judgement, f"{where}: judgement")
    for number, comparison in enumerate(card.comparisons):
        check_comparison(comparison, f"{where}: comparisons[{number}]")
    if card.protocol.kind == "internal-external":
        _check_configurations(card.protocol, f"{where}: protocol")
    else:
        _check_protocol(card.protocol, f"{where}: protocol")


def _check_configurations(protocol: Protocol, where: str) -> None:
    """Refuse named training sets without a name, a dataset, or something other to be tested on."""
    for field in ("settings", "datasets"):
        if getattr(protocol, field):
            raise CardError(
                f'{where}.{field}: means nothing in kind "internal-external"; wanted configurations and external'
            )
    for field in ("configurations", "external"):
        if not getattr(protocol, field):
            raise CardError(f'{where}.{field}: kind "internal-external" wants at least one')
    _no_twins(f"{where}.external", protocol.external)
    _no_twins(f"{where}.configurations", tuple(one.name for one in protocol.configurations))
    for number, one in enumerate(protocol.configurations):
        at = f"{where}.configurations[{number}]"
        if not Name.fullmatch(one.name):
            raise CardError(f"{at}.name: wanted lower-case letters, digits, '.', '_' and '-', got {one.name!r}")
        if not one.train:
            raise CardError(f"{at}.train: at least one dataset is wanted")
        _no_twins(at, (*one.train, *protocol.external))
        if one.split is not None:
            _check_split(one.split, f"{at}.split")


def _check_split(split: SplitRule, where: str) -> None:
    for field in ("test_fraction", "valid_fraction"):
        if not 0 <= getattr(split, field) < 1:
            raise CardError(f"{where}.{field}: wanted 0 <= share < 1, got {getattr(split, field)}")


def _check_protocol(protocol: Protocol, where: str) -> None:
    """Refuse settings that test on what they learn from, and choices of datasets that leave none to test on."""
    for field in ("configurations", "external"):
        if getattr(protocol, field):
            raise CardError(
                f'{where}.{field}: means nothing in kind "{protocol.kind}"; wanted kind = "internal-external"'
            )
    _no_twins(f"{where}.datasets", protocol.datasets)
    others = 2 if protocol.valid == "dataset" else 1
    if protocol.datasets and not 0 < protocol.train_size <= len(protocol.datasets) - others:
        raise CardError(
            f"{where}.train_size: wanted 1 to {len(protocol.datasets) - others} of {len(protocol.datasets)} datasets, "
            f"got {protocol.train_size}"
        )
    for number, setting in enumerate(protocol.settings):
        at = f"{where}.settings[{number}]"
        if not setting.train:
            raise CardError(f"{at}.train: at least one dataset is wanted")
        _no_twins(f"{at}.train", setting.train)
        _no_twins(at, (*setting.train, setting.valid, setting.test))


def _no_twins(where: str, names: tuple[str, ...]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise CardError(f"{where}: {name!r} stands twice")


def _positive(where: str, **values: float) -> None:
    for field, value in values.items():
        if value <= 0:
            raise CardError(f"{where}.{field}: wanted a number above 0, got {value}")


def _not_negative(where: str, **values: float) -> None:
    for field, value in values.items():
        if value < 0:
            raise CardError(f"{where}.{field}: wanted 0 or more, got {value}")
