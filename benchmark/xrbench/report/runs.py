"""Read what a run folder says about itself."""

from __future__ import annotations

from typing import Any

import msgspec

from xrbench import store
from xrbench.cards import Setting, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.errors import StoreError
from xrbench.report.papers import Reported, reported
from xrbench.store import read_manifest as read_manifest


def suite_of(manifest: dict[str, Any]) -> SuiteCard:
    """Return the suite as it was when the run was made, with the settings that were measured.

    Raises:
        StoreError: The manifest does not hold a suite.
    """
    try:
        card = msgspec.convert(manifest.get("suite"), SuiteCard)
        settings = msgspec.convert(manifest.get("settings", card.protocol.settings), tuple[Setting, ...])
    except msgspec.ValidationError as error:
        raise StoreError(f"{store.MANIFEST}: suite: {error}") from error
    return msgspec.structs.replace(card, protocol=msgspec.structs.replace(card.protocol, settings=settings))


def paper_of(suite: SuiteCard, catalogue: Catalogue) -> Reported | None:
    """Return the reported figures of the suite's paper, if it has one."""
    if not suite.paper or suite.paper not in catalogue.papers:
        return None
    return reported(*catalogue.papers[suite.paper])
