"""Choice of what does the work of a run, and of how much at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xrbench import blocks
from xrbench.config import processors
from xrbench.errors import UnknownNameError, UsageError
from xrbench.progress import Reporter
from xrbench.runs.executors import Executor

WHERE = "--executor"


def check_name(name: str) -> None:
    """Refuse a name that no executor has; ``module:Class`` names are only imported when they are used.

    Raises:
        UnknownNameError: There is no such executor; the nearest one is offered.
    """
    if name and ":" not in name and name not in blocks.known("executor"):
        raise UnknownNameError("executor", name, blocks.known("executor"), where=WHERE)


def find(name: str) -> Callable[..., Any] | None:
    """Import the executor of that name; None for an empty one.

    Raises:
        CardError: It cannot be imported.
    """
    return blocks.find("executor", name, where=WHERE) if name else None


def build(name: str, threads: Sequence[int], *, jobs: int | None, device: str, say: Reporter) -> Executor:
    """Build the executor of a run: by default for as many fits at once as the processors bear with the threads of their recipes.

    Args:
        name: Name of the executor; empty for ``processes`` where there are several fits at once, else ``serial``.
        threads: Threads of each fit; 0 for one a processor.
        jobs: Fits at once, where the user says how many.
        device: Where they are trained.
        say: Where it is said that more is asked for than the processors bear.

    Raises:
        UsageError: It is not constructed with a count and variables, or cannot run nodes.
    """
    most = max((number or processors() for number in threads), default=1)
    borne = at_once(most, device)
    count = 1 if name == "serial" else min(jobs or borne, len(threads))
    if jobs and count > borne and device == "cpu":
        say.line(
            f"--jobs {jobs} with {most} threads a fit wants {jobs * most} processors, {processors()} are there: "
            "the fits share them, and each is slower"
        )
    name = name or ("processes" if count > 1 else "serial")
    make = blocks.find("executor", name, where=WHERE)
    try:
        executor: Executor = make(count, wait_policy(count, most))
    except TypeError as error:
        raise UsageError(f"{WHERE} {name}: expected a class of (count, environment): {error}") from error
    if not callable(getattr(executor, "run", None)):
        raise UsageError(f"{WHERE} {name}: expected a class with a method run, got {type(executor).__name__}")
    return executor


def at_once(threads: int, device: str) -> int:
    """Return how many fits of so many threads this machine bears at once; one on a device other than the CPU."""
    return max(1, processors() // (threads or processors())) if device == "cpu" else 1


def wait_policy(count: int, threads: int) -> dict[str, str]:
    """Return the variable by which threads that wait give their processor away; for fits that share processors only.

    A waiting thread otherwise looks for work for a while before it sleeps, which is faster where it has a processor to itself.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} if threads > 1 and count * threads > processors() else {}
