"""Fits (what is trained once), cells (what is measured) and plans (both, in order)."""

from __future__ import annotations

from typing import Literal

import msgspec

from xrbench import cards
from xrbench.planning.protocol_settings import HELD_OUT, NONE, mentioned, settings_of

Kind = Literal["internal", "external", "validation", "resubstitution"]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained once.

    Attributes:
        name: ``method/model/train/valid-.../seed-...``; a named training set stands before its datasets.
        method, model: Card names.
        train: Training datasets.
        valid: Validation dataset, ``held-out`` or ``none``.
        test: The external test dataset, which takes no part in training or selection.
        seed: Seed of the setting.
        guarded: True when the test dataset shares patients with training or validation, so that the fit depends on it.
        configuration: Name of the training set, where the protocol names them.
        split: Its split rule, where that is not the profile's.
        parents: Names of the fits whose weights it starts from; they stand before it in a plan.
        stage: What it does, for people: ``training``, ``pre-training``, ``fine-tuning`` ...
        role: Which datasets of the setting it is trained on: those of ``train``, or those of ``pretrain``.
        reserved: Setting whose held-out patients it leaves out, because a fit that starts from it is validated and tested on them;
            None where they are left out of its own split anyway.
        given: The parent that all seeds share, its own or an ancestor's; empty where every seed has ancestors of its own.
    """

    name: str
    method: str
    model: str
    train: tuple[str, ...]
    valid: str
    test: str
    seed: int
    guarded: bool
    configuration: str = ""
    split: cards.SplitRule | None = None
    parents: tuple[str, ...] = ()
    stage: str = "training"
    role: Literal["train", "pretrain"] = "train"
    reserved: cards.Setting | None = None
    given: str = ""

    @property
    def trained_on(self) -> str:
        """The training datasets, behind the name of the training set if it has one, or behind ``pretrain``."""
        prefix = "pretrain" if self.role == "pretrain" else self.configuration
        return f"{prefix}{':' if prefix else ''}{'+'.join(self.train)}"

    @property
    def validated(self) -> bool:
        """Whether it has a validation set."""
        return self.valid != NONE


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: a fit, an ensemble of several, or a pretrained model without a fit, on one test set.

    Attributes:
        name: The fit's name and the test set.
        fits: Names of the fits; several for an ensemble, none for a pretrained model.
        method, model: Card names.
        train: Training datasets.
        valid: Validation dataset, ``held-out`` or ``none``.
        test: The test dataset; for an internal test of a named training set all its datasets together, such as ``chexpert+nih``.
        protocol: ``external``, ``internal``, ``validation``, or ``resubstitution`` (an internal test on the training images).
        seed: Seed of the setting; the smallest one of an ensemble.
        setting: Name of the setting.
        seen: Whether the model's initial weights were made from images of the test dataset.
        configuration: Name of the training set, where the protocol names them.
        given: The parent that the fits of all seeds share; empty where there is none.
        ancestors: Names of the fits that its fits start from, directly or not, as far as each seed has its own.
    """

    name: str
    fits: tuple[str, ...]
    method: str
    model: str
    train: tuple[str, ...]
    valid: str
    test: str
    protocol: Kind
    seed: int
    setting: str
    seen: bool = False
    configuration: str = ""
    given: str = ""
    ancestors: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The datasets of its test set."""
        return tuple(self.test.split("+"))

    @property
    def is_ensemble(self) -> bool:
        """Whether its scores are the mean of the stored scores of several fits."""
        return len(self.fits) > 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A suite under a profile: its fits and cells, in order.

    Attributes:
        suite, profile_name, profile: What was expanded.
        fits, cells: What is trained once, and what is measured.
        settings: The settings that are measured.
        recipes: Name of a fit, or of a cell without one, -> what decides it besides images.
        bases: Dataset -> the dataset whose patients it holds.
    """

    suite: cards.SuiteCard
    profile_name: str
    profile: cards.Profile
    fits: tuple[Fit, ...]
    cells: tuple[Cell, ...]
    settings: tuple[cards.Setting, ...]
    recipes: dict[str, cards.Recipe]
    bases: dict[str, str]

    def fit(self, name: str) -> Fit:
        """Return the fit of that name."""
        return next(fit for fit in self.fits if fit.name == name)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets that the plan's fits and cells need, in order."""
        named = [name for fit in self.fits for name in (*fit.train, fit.valid, fit.test)]
        named += [name for cell in self.cells for name in cell.tests]
        return tuple(dict.fromkeys(name for name in named if name not in (HELD_OUT, NONE, "")))

    @property
    def datasets_of_suite(self) -> tuple[str, ...]:
        """All datasets that the suite names, also those of settings left out of the plan."""
        named = (name for setting in settings_of(self.suite.protocol) for name in mentioned(setting))
        return tuple(dict.fromkeys((*named, *self.datasets)))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of the plan's cells, in order."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))
