"""The cards: what a dataset, model, method or suite is, as frozen typed values read from TOML.

A card is checked when it is read: an unknown field, a wrong type or a value outside its range is one line that names the
file and the field. What a card means (building a network, reading a folder) lies elsewhere; this room only holds values.

Fields of type ``BlockSpec`` name a building block and its options: ``"constant"`` or ``{ block = "step", every = 3 }``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from xrbench.errors import CardError, suggestion

BlockSpec = str | dict[str, Any]
Uncertain = Literal["ones", "zeros", "ignore"]
Blank = Literal["negative", "ignore", "negative-when-no-finding"]
Name = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all cards share: the name is the file's stem and does not stand in the file."""

    title: str
    name: str = ""
    notes: str = ""


class DatasetCard(Card, frozen=True):
    """One published dataset, or a slice of one.

    Attributes:
        cite: How to cite the data.
        licence: Terms in a few words.
        access: Where to ask for the data, and how they are laid out when they arrive.
        region: Where the images were made, in words.
        reader: Name of the reader block; empty for a slice.
        options: Keyword options of the reader.
        folders: Names tried, in order, for the dataset's folder under a data root; its own name is always tried first.
        labels: The dataset's own label names -> names of the vocabulary, where they differ and no synonym says so.
        counts: Numbers that the published data have (``images``, ``patients``, ``view:PA``, ``positive:Edema`` ...), to check against.
        base: Name of the dataset that this card is a slice of; patients are the base's.
        where: Column -> value, list of values, or ``{ min = .., max = .. }`` that a slice keeps.
        synthetic: True when the images are drawn, not taken: every figure from them is stamped FIXTURE.
        shareable: True when the terms allow predictions with image and patient ids to be published.
    """

    cite: str = ""
    licence: str = ""
    access: str = ""
    region: str = ""
    reader: str = ""
    options: dict[str, Any] = {}
    folders: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    counts: dict[str, int] = {}
    base: str = ""
    where: dict[str, Any] = {}
    synthetic: bool = False
    shareable: bool = False


class ModelCard(Card, frozen=True):
    """A network and the weights it starts from.

    Attributes:
        network: Network block with options, such as ``{ block = "timm", name = "resnet18" }``.
        weights: ``"imagenet"``, ``"none"``, a torchxrayvision weights name, or the path of a local file.
        channels: Channels the network is fed: 1 or 3 (grey is repeated for 3).
        stem: How the first layer takes one channel when the weights have three: a new random layer, or their sum or mean.
        image_size: Side in pixels; 0 takes the profile's.
        scale: What pixel values 0 and 255 become before mean and std, such as ``[0, 1]`` or ``[-1024, 1024]``.
        mean, std: Per-channel normalisation after ``scale``; empty for none.
        outputs: Label of each output when the network is used as it comes (inference only); empty otherwise.
        seen: Datasets whose images the weights were made from: a test on them is not external.
    """

    network: BlockSpec
    weights: str = "none"
    channels: Literal[1, 3] = 1
    stem: Literal["new", "sum", "mean"] = "new"
    image_size: int = 0
    scale: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    outputs: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


class MethodCard(Card, frozen=True):
    """How a model is trained, or that it is used as it comes.

    Attributes:
        inference: Name of the model card that is used without training; the other fields then mean nothing.
        sampler: Which images make a batch.
        objective: The loss: ``objective(scores, truth, **options)`` on logits and 0/1/NaN truth.
        task_weights: ``rarity`` weighs each label by how rare its positives are in its batch's domain (balanced-batching paper).
        l2_in_loss: Factor of the summed squared parameters, added to the loss.
        optimiser, schedule: Blocks with options.
        augmentation: Blocks applied to training images only, in order.
        selection: Which epoch's weights are kept: the best mean validation AUC, or the last.
        patience: Epochs without a better validation AUC before stopping; 0 never stops early.
        accumulate: Batches whose gradients are summed before a step.
        validation: ``fixed`` images without augmentation, or ``as-released``: re-drawn each epoch and augmented.
        epochs: Overrides the profile's number of epochs when above 0.
        parent: Method whose fit this one starts from.
    """

    inference: str = ""
    sampler: BlockSpec = "random-batches"
    objective: BlockSpec = "masked-bce"
    task_weights: Literal["none", "rarity"] = "none"
    l2_in_loss: float = 0.0
    optimiser: BlockSpec = "adam"
    schedule: BlockSpec = "constant"
    augmentation: tuple[BlockSpec, ...] = ()
    selection: Literal["best-mean-auc", "last"] = "best-mean-auc"
    patience: int = 0
    accumulate: int = 1
    validation: Literal["fixed", "as-released"] = "fixed"
    epochs: int = 0
    parent: str = ""


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a protocol: which datasets train, validate and test, under which seed."""

    train: tuple[str, ...]
    valid: str = "held-out"
    test: str
    seed: int | None = None


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which datasets train, validate and test.

    Attributes:
        kind: ``leave-datasets-out``: the external test dataset takes no part in training or selection.
        settings: Settings written out; or, when empty, all that ``datasets`` and ``train_size`` allow.
        datasets: Datasets to enumerate over.
        train_size: How many datasets train in an enumerated setting.
        valid: ``dataset``: a further dataset validates; ``held-out``: held-out patients of the training datasets do.
        seeds: Every setting without a seed of its own is run under each of these.
        internal: Whether each fit is also tested on held-out patients of its training datasets.
    """

    kind: Literal["leave-datasets-out"] = "leave-datasets-out"
    settings: tuple[Setting, ...] = ()
    datasets: tuple[str, ...] = ()
    train_size: int = 2
    valid: Literal["dataset", "held-out"] = "held-out"
    seeds: tuple[int, ...] = (0,)
    internal: bool = True


class SplitRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the patients of one dataset are divided.

    Attributes:
        kind: ``patients``: a seeded share of the patients is held out. ``sequential``: the first images in published
            order train, and patients without any image among them are held out (the balanced-batching paper).
        test_fraction: Share of the patients held out for the internal test (``patients`` only).
        valid_fraction: Share of the remaining patients held out for validation (``patients`` only).
        seed: A split seed of its own; None takes the setting's seed.
    """

    kind: Literal["patients", "sequential"] = "patients"
    test_fraction: float = 0.2
    valid_fraction: float = 0.1
    seed: int | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At most so many images a dataset in each part, in published order; 0 is no limit."""

    train: int = 0
    valid: int = 0
    test: int = 0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How large a run of the suite is.

    Attributes:
        image_size: Side in pixels of cached images, unless the model card names its own.
        epochs, batch_size: Training length; the batch is per domain (balanced) or per half of the step (random).
        steps_per_epoch: Steps in an epoch; 0 is one pass over the larger of the training domains.
        precision: Arithmetic of the forward pass, part of every key since figures depend on it.
        channels_last: Memory layout of images; faster for convolutions on most machines.
        threads: Processor threads of a fit on the CPU, 0 for one a processor; sums in another order end in other last digits,
            so the number is part of every key. One thread is fastest for small networks.
        models, methods: Replace the suite's lists when not empty.
        limits, split: See there.
    """

    image_size: int = 224
    epochs: int = 10
    batch_size: int = 32
    steps_per_epoch: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    threads: int = 0
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    limits: Limits = Limits()
    split: SplitRule = SplitRule()


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How uncertain a figure is said to be.

    Attributes:
        kind: ``default`` takes the kind that holds its level for each metric (``jackknife``, or ``wilson`` for proportions); or
            ``bootstrap`` percentile, ``bca``, ``stratified``, ``delong``, ``delong-plain``. One that does not apply to a metric
            gives way to the default.
        unit: What is resampled: ``patient`` or ``image``.
        replicates: Bootstrap replicates.
        level: Confidence level, between 0 and 1.
    """

    kind: Literal["default", "jackknife", "bootstrap", "bca", "stratified", "delong", "delong-plain", "wilson"] = (
        "bootstrap"
    )
    unit: Literal["patient", "image"] = "patient"
    replicates: int = 1000
    level: float = 0.95


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A test that is decided before the run: is the challenger better than the baseline?"""

    challenger: str
    baseline: str
    metric: str = "auc"
    margin: float = 0.0


class TableLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The form of one table.

    Attributes:
        name: File name and name on the command line.
        kind: ``datasets`` (what was used of each dataset), ``settings`` (methods in blocks, settings as columns), or
            ``internal-external`` (methods in rows, internal and external figures and their gap).
        caption: A sentence above it.
        metric: Metric of its cells.
        digits: Decimals.
    """

    name: str
    kind: Literal["datasets", "settings", "internal-external"]
    caption: str = ""
    metric: str = "auc"
    digits: int = 2


class SuiteCard(Card, frozen=True):
    """A benchmark: datasets under a protocol, models, methods, and how they are judged.

    Attributes:
        extends: Name of a suite whose fields this card takes over where it is silent.
        paper: Folder under ``baselines/`` with the reported numbers; empty when there is none.
        task: ``multilabel`` (a sigmoid a label).
        labels: Vocabulary names, in the order of columns.
        uncertain: What -1 becomes, for all labels or label -> policy (``"*"`` for the others).
        blank: What a label that is not mentioned becomes, likewise.
        where: Rows of every dataset that take part, such as ``{ view = "PA" }``.
        mappings: Names of declared label mappings of the vocabulary that this suite opts into.
        preprocessing: Blocks from grey image to cached pixels; the size comes from the profile.
        models, methods: Card names.
        metrics: Such as ``"auc"``, ``"average-precision"``, ``"recall@specificity=0.9"`` (threshold from validation).
        protocol, interval, comparisons, tables: See there.
        profiles: Name -> profile; the first is the default on real data, ``quick`` on the fixture.
    """

    extends: str = ""
    paper: str = ""
    task: Literal["multilabel"] = "multilabel"
    labels: tuple[str, ...] = ()
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    blank: Blank | dict[str, Blank] = "ignore"
    where: dict[str, Any] = {}
    mappings: tuple[str, ...] = ()
    preprocessing: tuple[BlockSpec, ...] = ("centre-crop", "resize")
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("auc",)
    protocol: Protocol = Protocol()
    interval: Interval = Interval()
    comparisons: tuple[Comparison, ...] = ()
    tables: tuple[TableLayout, ...] = ()
    profiles: dict[str, Profile] = {}


class PaperCard(Card, frozen=True):
    """A published table that we measure ourselves against.

    Attributes:
        cite: How to cite the paper.
        suite: The suite that reproduces it.
        tolerance: A measured figure this near to the reported one counts as reproduced.
        datasets: The paper's names of datasets -> ours.
        methods: The paper's names of methods -> ours.
        labels: The paper's names of labels -> ours, where they differ.
        tables: Table name -> CSV file with the reported numbers in long form.
    """

    cite: str
    suite: str
    tolerance: float = 0.01
    datasets: dict[str, str] = {}
    methods: dict[str, str] = {}
    labels: dict[str, str] = {}
    tables: dict[str, str] = {}


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Labels that may stand for another one, when a suite opts in: any of ``sources`` positive makes ``target`` positive."""

    target: str
    sources: tuple[str, ...]
    reason: str


class Pathology(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One finding of the vocabulary and the other names it goes by."""

    synonyms: tuple[str, ...] = ()
    abbreviation: str = ""
    definition: str = ""


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shared names of findings (``registry/pathologies.toml``)."""

    pathologies: dict[str, Pathology]
    mappings: dict[str, Mapping] = {}


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a fit besides its images: what training is given, and half of a fit's key."""

    method: MethodCard
    model: ModelCard
    labels: tuple[str, ...]
    image_size: int
    epochs: int
    batch_size: int
    steps_per_epoch: int
    precision: Literal["float32", "bfloat16"]
    channels_last: bool
    seed: int
    threads: int = 0


C = TypeVar("C", bound=msgspec.Struct)


def read(path: Path, kind: type[C]) -> C:
    """Read a TOML file as a card of the given kind; the card's ``name`` is the file's stem.

    Raises:
        CardError: The file is not TOML, or a field is unknown, missing or of the wrong type.
    """
    return convert(read_toml(path), kind, where=str(path), name=path.stem)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into plain values.

    Raises:
        CardError: The file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not TOML: {error}") from error


def convert(values: dict[str, Any], kind: type[C], *, where: str, name: str = "") -> C:
    """Check plain values against a kind of card.

    Args:
        values: What stands in the file.
        kind: The card's type.
        where: The file, for messages.
        name: The card's name, if it has one.

    Raises:
        CardError: As for ``read``; an unknown field comes with the nearest known one.
    """
    if name and issubclass(kind, Card):
        if "name" in values:
            raise CardError(f"{where}: a card's name is its file's name; remove the field 'name'")
        if not Name.fullmatch(name):
            raise CardError(f"{where}: a card's file name has lower-case letters, digits, '.', '_' and '-' only")
        values = {**values, "name": name}
    try:
        card = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise CardError(f"{where}: {error}{_nearest_field(str(error), kind)}") from error
    _check_ranges(card, where)
    return card


def plain(card: msgspec.Struct) -> dict[str, Any]:
    """Turn a card into plain dicts, lists, numbers and strings, as they are hashed and stored."""
    built: dict[str, Any] = msgspec.to_builtins(card)
    return built


def _nearest_field(message: str, kind: type[msgspec.Struct]) -> str:
    match = re.search(r"unknown field `([^`]+)`(?: - at `\$([^`]*)`)?", message)
    if not match:
        return ""
    fields = _fields_at(kind, match.group(2) or "")
    return suggestion(match.group(1), fields) if fields else ""


def _fields_at(kind: Any, path: str) -> list[str]:
    """Follow a path such as ``.protocol.settings[0]`` through the types and list the fields there."""
    current = msgspec.inspect.type_info(kind)
    for step in re.findall(r"\.([^.\[]+)|(\[[^\]]*\])", path):
        current = _step(current, step[0])
        if current is None:
            return []
    if isinstance(current, msgspec.inspect.StructType):
        return [field.encode_name for field in current.fields if field.encode_name != "name"]
    return []


def _step(current: Any, field: str) -> Any:
    if isinstance(current, msgspec.inspect.StructType):
        return next((f.type for f in current.fields if f.encode_name == field), None)
    if isinstance(current, msgspec.inspect.VarTupleType):
        return current.item_type
    if isinstance(current, msgspec.inspect.DictType):
        return current.value_type
    return None


def _check_ranges(card: msgspec.Struct, where: str) -> None:
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
        for field in ("test_fraction", "valid_fraction"):
            if not 0 <= getattr(profile.split, field) < 1:
                raise CardError(f"{at}.split.{field}: wanted 0 <= share < 1, got {getattr(profile.split, field)}")
    if not 0 < card.interval.level < 1:
        raise CardError(f"{where}: interval.level: wanted 0 < level < 1, got {card.interval.level}")
    _positive(f"{where}: interval", replicates=card.interval.replicates)
    for field in ("labels", "models", "methods", "metrics"):
        _no_twins(f"{where}: {field}", getattr(card, field))
    _check_protocol(card.protocol, f"{where}: protocol")


def _check_protocol(protocol: Protocol, where: str) -> None:
    """Refuse settings that test on what they learn from, and choices of datasets that leave none to test on."""
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
