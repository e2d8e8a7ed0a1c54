"""The notice on everything that is computed from synthetic images."""

from __future__ import annotations

from typing import Final

FIXTURE: Final = "FIXTURE"
"""Value of the column ``data`` of scores from synthetic images."""

STAMP: Final = "FIXTURE: synthetic phantoms, not clinical results"
