"""Which datasets train, validate and test, how patients are split, and how large a run is."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from xrbench.cards.base import BlockSpec, Name, NonNegative, Positive, Share, refuse_duplicates
from xrbench.errors import CardError


class SplitRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the patients of one dataset are split.

    Attributes:
        kind: ``patients``: a seeded share of the patients is held out. ``sequential``: the first images in published
            order train, and patients without any image among them are held out (the balanced-batching paper). ``everything``:
            no patient is held out; the internal test is on the training images and called resubstitution.
        test_fraction: Share of the patients, from 0 to below 1, held out for the internal test (``patients`` only).
        valid_fraction: Share of the remaining patients, from 0 to below 1, held out for validation (``patients`` only).
        stratify: Whether every class keeps its share of the patients in each split (``patients`` and multi-class suites only).
        seed: A split seed of its own; None takes the setting's seed.
    """

    kind: Literal["patients", "sequential", "everything"] = "patients"
    test_fraction: Share = 0.2
    valid_fraction: Share = 0.1
    stratify: bool = False
    seed: int | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Largest number of images of a dataset in each split, in published order; 0 is no limit."""

    train: int = 0
    valid: int = 0
    test: int = 0


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a protocol: which datasets train, validate and test, under which seed.

    Attributes:
        train: Training datasets.
        valid: A dataset; ``held-out`` patients of the training datasets; or ``none``.
        test: The external test dataset.
        seed: None takes the protocol's seeds.
        configuration: Name of the training set, where the protocol names them.
        split: A split rule of its own; None takes the profile's.
        pretrain: Datasets that parents of the setting's fits are trained on, where their card says ``parent_train = "pretrain"``.
    """

    train: tuple[str, ...]
    valid: str = "held-out"
    test: str
    seed: int | None = None
    configuration: str = ""
    split: SplitRule | None = None
    pretrain: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Refuse a setting without training data, or that uses a dataset twice.

        Raises:
            CardError: It is one; the message names the field.
        """
        if not self.train:
            raise CardError(f"{where}.train: at least one dataset is expected")
        refuse_duplicates(f"{where}.train", self.train)
        refuse_duplicates(where, (*self.train, self.valid, self.test))


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training set by name, in the protocol ``internal-external``.

    Attributes:
        name: Such as ``full-data``; it stands in the names of fits and cells.
        train: Training datasets.
        valid: ``held-out`` patients of the training datasets, or ``none`` when no epoch is selected.
        split: How its patients are divided; None takes the profile's rule.
        pretrain: As in ``Setting``; empty takes the protocol's.
    """

    name: str
    train: tuple[str, ...]
    valid: Literal["held-out", "none"] = "held-out"
    split: SplitRule | None = None
    pretrain: tuple[str, ...] = ()


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which datasets train, validate and test.

    Attributes:
        kind: ``leave-datasets-out``: the external test dataset takes no part in training or selection, and each training dataset has
            its internal test. ``internal-external``: named training sets, each tested on the held-out patients of all its datasets
            together and on every dataset of ``external``. Any other block of kind ``protocol`` makes of the fields what it says.
        options: Options of the kind's block; the two above have none.
        settings: Settings written out; or, when empty, all that ``datasets`` and ``train_size`` allow.
        datasets: Datasets to enumerate over.
        train_size: How many datasets train in an enumerated setting.
        valid: ``dataset``: a further dataset validates; ``held-out``: held-out patients of the training datasets do.
        seeds: Every setting without a seed of its own is run under each of these.
        configurations: The training sets (``internal-external``).
        external: Datasets that every configuration is tested on (``internal-external``).
        internal: Whether each fit is also tested on held-out patients of its training datasets.
        pretrain: Datasets of ``Setting.pretrain`` for every setting that names none.
    """

    kind: str = "leave-datasets-out"
    options: dict[str, Any] = {}
    settings: tuple[Setting, ...] = ()
    datasets: tuple[str, ...] = ()
    train_size: int = 2
    valid: Literal["dataset", "held-out"] = "held-out"
    seeds: tuple[int, ...] = (0,)
    configurations: tuple[Configuration, ...] = ()
    external: tuple[str, ...] = ()
    internal: bool = True
    pretrain: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Refuse fields of the other kind of protocol, training sets without data, and tests on what was trained on.

        Raises:
            CardError: One of them; the message names the field.
        """
        refuse_duplicates(f"{where}.pretrain", self.pretrain)
        if self.kind == "internal-external":
            self._check_configurations(where)
        elif self.kind == "leave-datasets-out":
            self._check_settings(where)

    def _check_configurations(self, where: str) -> None:
        for field in ("settings", "datasets"):
            if getattr(self, field):
                raise CardError(
                    f'{where}.{field}: means nothing in kind "internal-external"; expected configurations and external'
                )
        for field in ("configurations", "external"):
            if not getattr(self, field):
                raise CardError(f'{where}.{field}: kind "internal-external" wants at least one')
        refuse_duplicates(f"{where}.external", self.external)
        refuse_duplicates(f"{where}.configurations", [configuration.name for configuration in self.configurations])
        for number, configuration in enumerate(self.configurations):
            place = f"{where}.configurations[{number}]"
            if not Name.fullmatch(configuration.name):
                raise CardError(
                    f"{place}.name: expected lower-case letters, digits, '.', '_' and '-', got {configuration.name!r}"
                )
            if not configuration.train:
                raise CardError(f"{place}.train: at least one dataset is expected")
            refuse_duplicates(place, (*configuration.train, *self.external))

    def _check_settings(self, where: str) -> None:
        for field in ("configurations", "external"):
            if getattr(self, field):
                raise CardError(
                    f'{where}.{field}: means nothing in kind "{self.kind}"; expected kind = "internal-external"'
                )
        refuse_duplicates(f"{where}.datasets", self.datasets)
        # a setting also needs a test dataset, and one to validate on unless patients are held out for that
        largest = len(self.datasets) - (2 if self.valid == "dataset" else 1)
        if self.datasets and not 0 < self.train_size <= largest:
            raise CardError(
                f"{where}.train_size: expected 1 to {largest} of {len(self.datasets)} datasets, got {self.train_size}"
            )
        for number, setting in enumerate(self.settings):
            setting.check(f"{where}.settings[{number}]")


class ClassRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one class is chosen for an image that may have several findings.

    Attributes:
        rule: ``exactly-one``: an image takes part when exactly one of the suite's labels is positive. ``first``: the first positive
            label in the suite's order is the class. ``most-frequent``: the positive label that most images of the dataset have.
        caps: Dataset (``"*"`` for the others) -> at most so many images a class, drawn by ``seed``; none when it is not named.
        seed: Which images a cap keeps.
    """

    rule: Literal["exactly-one", "first", "most-frequent"] = "exactly-one"
    caps: dict[str, int] = {}
    seed: int = 0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Size of a run of the suite.

    Attributes:
        image_size: Side in pixels of cached images, unless the model card names its own.
        epochs: Epochs of training.
        batch_size: Images a domain (balanced batches), or half of the images of a step (random batches).
        steps_per_epoch: Steps in an epoch; 0 is one pass over the larger of the training domains.
        precision: Number format of the forward pass; it changes scores and is part of every key.
        channels_last: Memory layout of images; faster for convolutions on most machines.
        threads: CPU threads of a fit, 0 for one a processor. The order of sums changes their last digits, so the number is part of
            every key. One thread is fastest for small networks.
        models, methods: Replace the suite's lists when not empty.
        seeds: Replace the seeds of all settings when not empty; ``--seed`` replaces both.
        schedule, averaging: Replace those of every method when given. A rate that falls to zero and averaged weights make short
            trainings of one method differ less from one another.
        limits: Largest numbers of images.
        split: How patients are split, unless a setting has its own rule.
    """

    image_size: Positive = 224
    epochs: Positive = 10
    batch_size: Positive = 32
    steps_per_epoch: NonNegative = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    threads: NonNegative = 0
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    schedule: BlockSpec = ""
    averaging: Share = 0.0
    limits: Limits = Limits()
    split: SplitRule = SplitRule()
