"""Does a medical-image classifier hold up on another hospital's images, and is that difference real?

The public interface is small and imports nothing heavy until it is used: ``suite``, ``plan``, ``run``, ``score``, ``analyse``,
``table``, and the modules ``metrics`` and ``statistics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xrbench.version import __version__

if TYPE_CHECKING:
    from xrbench import metrics, statistics
    from xrbench.api import analyse, plan, run, score, suite, table
    from xrbench.errors import XrbenchError

__all__ = [
    "XrbenchError",
    "__version__",
    "analyse",
    "metrics",
    "plan",
    "run",
    "score",
    "statistics",
    "suite",
    "table",
]

_PUBLIC = dict.fromkeys(("analyse", "plan", "run", "score", "suite", "table"), "xrbench.api")
_PUBLIC["XrbenchError"] = "xrbench.errors"


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("metrics", "statistics"):
        return importlib.import_module(f"xrbench.{name}")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'xrbench' has no attribute {name!r}")
