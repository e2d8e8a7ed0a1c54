"""The order in which fits and cells are done: each after what it starts from, and never one whose parent failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xrbench.runs.tasks import CellTask, FitTask, Outcome


@dataclass(frozen=True)
class Node:
    """One piece of work.

    Attributes:
        name: Name of the fit or cell.
        make: Makes its task; called when it is about to be done, since a task holds the truth of all its images.
        after: Names of the nodes that must be done before it.
        uses: Name of the network that it loads, so that cells of one fit go to one process; empty for a fit.
    """

    name: str
    make: Callable[[], FitTask | CellTask]
    after: tuple[str, ...] = ()
    uses: str = ""


class Schedule:
    """Which node comes next, as nodes end; executors share it.

    Args:
        nodes: Nodes, each after those that it names in ``after``; among nodes that can be done, the first comes first.
        ended: Called with every node that ends, in order; also with those that are skipped since what they start from failed.
    """

    def __init__(self, nodes: Sequence[Node], ended: Callable[[Node, Outcome], None]) -> None:
        self._waiting = {node.name: node for node in nodes}
        self._busy: dict[str, Node] = {}
        self._running: dict[str, Node] = {}
        self._ended = ended

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not (self._waiting or self._busy or self._running)

    @property
    def only_busy(self) -> bool:
        """Whether all that is left is being done by other commands."""
        return bool(self._busy) and not (self._waiting or self._running)

    def next(self, last: str = "") -> Node | None:
        """Take the next node; None when each waits for another one.

        Args:
            last: Network that the process has loaded; a node that uses it comes first among the cells.
        """
        open_names = {*self._waiting, *self._busy, *self._running}
        ready = [node for node in self._waiting.values() if not open_names & set(node.after)]
        if not ready:
            return None
        in_use = {node.uses for node in self._running.values()}
        # fits come first in the list; a cell whose network is loaded here saves a process from loading another one
        chosen = min(ready, key=lambda node: (bool(node.uses), node.uses != last, node.uses in in_use))
        self._running[chosen.name] = self._waiting.pop(chosen.name)
        return chosen

    def end(self, node: Node, outcome: Outcome) -> None:
        """Note how a node ended; a busy one waits for ``retry``, and what starts from a failed one is skipped."""
        del self._running[node.name]
        if outcome.status == "busy":
            self._busy[node.name] = node
            return
        self._ended(node, outcome)
        if outcome.status in ("failed", "skipped"):
            for other in [other for other in self._waiting.values() if node.name in other.after]:
                self._running[other.name] = self._waiting.pop(other.name)
                self.end(other, Outcome("skipped", f"it starts from {node.name}, which failed: {outcome.reason}"))

    def retry(self) -> None:
        """Let busy nodes be tried again."""
        self._waiting.update(self._busy)
        self._busy.clear()

    @property
    def busy(self) -> tuple[str, ...]:
        """Names of the nodes that other commands are at."""
        return tuple(self._busy)
