"""The words that stand in front of every figure from synthetic images."""

from __future__ import annotations

from typing import Final

FIXTURE: Final = "FIXTURE"
"""What the column ``data`` of scores says of synthetic images."""

STAMP: Final = "FIXTURE: synthetic phantoms, not clinical results"
