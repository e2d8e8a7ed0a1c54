"""The errors of xrbench, as one tree, so that a caller can catch as many or as few of them as needed.

    XrbenchError
    ├── UsageError            an option or argument is not usable
    │   └── UnknownNameError  no card or block of that name
    ├── CardError             a TOML card is wrong: file and field are named
    ├── DataError             metadata or images are not as their layout promises
    │   └── MissingDataError  they are not there at all
    ├── WeightsError          pretrained weights cannot be obtained
    ├── TrainingError         a fit cannot go on
    ├── StoreError            a stored file is broken or belongs to something else
    └── MeasureError          a score cannot be computed from what was given

Each message is one line that says what happened, where, what was expected and what came instead. ``exit_code`` is
what the command line returns: 1 for "the thing asked about is not so", 3 for "input or usage is wrong".
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class XrbenchError(Exception):
    """Base class of all errors that are raised on purpose; the message is one line."""

    exit_code = 3


class UsageError(XrbenchError):
    """An option or argument is not usable."""


class CardError(XrbenchError):
    """A card is malformed; the message names file and field."""


class DataError(XrbenchError):
    """Metadata or images are not as their layout promises."""


class MissingDataError(DataError):
    """Data that were asked for are not there."""

    exit_code = 1


class WeightsError(XrbenchError):
    """Pretrained weights cannot be obtained; the message says what to fetch and where to put it."""

    exit_code = 1


class TrainingError(XrbenchError):
    """A fit cannot go on, such as when its loss is no longer a number."""

    exit_code = 1


class StoreError(XrbenchError):
    """A stored file is broken, or belongs to another specification."""


class MeasureError(XrbenchError):
    """A score cannot be computed from what was given."""


class UnknownNameError(UsageError):
    """No card or block of that name; the nearest known one is offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        place = f"{where}: " if where else ""
        super().__init__(f"{place}unknown {kind} {name!r}{suggestion(name, self.known)}")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Phrase the nearest known name, or the short list of all of them.

    >>> suggestion("chexprt", ["nih", "chexpert"])
    "; did you mean 'chexpert'?"
    >>> suggestion("x", ["nih", "chexpert"])
    '; known: chexpert, nih'
    """
    names = sorted(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {folded[near[0]]!r}?"
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    return f"; known: {shown}" if names else "; none is known"


def disk_is_full(error: BaseException | None) -> bool:
    """Say whether an error, or one of its causes, is a disk that takes no more.

    >>> disk_is_full(OSError(28, "No space left on device")), disk_is_full(KeyError("x"))
    (True, False)
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return True
        error = error.__cause__
    return False
