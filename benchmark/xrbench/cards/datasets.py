"""Dataset cards: a published dataset, or a slice of one."""

from __future__ import annotations

from typing import Any, Literal

from xrbench.cards.base import Card
from xrbench.errors import CardError


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
        channels: Colour of its images as they are cached: 1 for grey (a file in colour is read as its luminance), 3 for red, green
            and blue. A slice has that of its base.
        labels: The dataset's own label names -> names of the vocabulary, where they differ and no synonym says so.
        counts: Numbers that the published data have (``images``, ``patients``, ``view:PA``, ``positive:Edema`` ...), to check against.
        base: Name of the dataset that this card is a slice of; patients are the base's.
        where: Column -> value, list of values, or ``{ min = .., max = .. }`` that a slice keeps.
        synthetic: True when the images are synthetic: everything computed from them is marked FIXTURE.
        shareable: True when the terms allow predictions with image and patient ids to be published.
    """

    cite: str = ""
    licence: str = ""
    access: str = ""
    region: str = ""
    reader: str = ""
    options: dict[str, Any] = {}
    folders: tuple[str, ...] = ()
    channels: Literal[1, 3] = 1
    labels: dict[str, str] = {}
    counts: dict[str, int] = {}
    base: str = ""
    where: dict[str, Any] = {}
    synthetic: bool = False
    shareable: bool = False

    def check(self, where: str) -> None:
        """Refuse a dataset that is neither read from files nor a slice of another one, or both.

        Raises:
            CardError: It has both fields ``reader`` and ``base``, or neither; or a slice has a colour of its own.
        """
        if bool(self.reader) == bool(self.base):
            raise CardError(f"{where}: a dataset has either a field 'reader' or, as a slice, a field 'base'")
        if self.base and self.channels != 1:
            raise CardError(f"{where}: channels: a slice has the colour of its base; set it on dataset {self.base!r}")
