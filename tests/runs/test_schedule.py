"""The order of work: parents first, failures cost descendants, busy work is tried again, cells of one network stay together."""

from __future__ import annotations

from xrbench.runs.schedule import Node, Schedule
from xrbench.runs.tasks import FitTask, Outcome


def never() -> FitTask:
    raise AssertionError("a schedule makes no task")


def node(name: str, *after: str, uses: str = "") -> Node:
    return Node(name, never, after, uses)


def schedule(*nodes: Node) -> tuple[Schedule, list[tuple[str, str]]]:
    ended: list[tuple[str, str]] = []
    return Schedule(nodes, lambda node, outcome: ended.append((node.name, outcome.status))), ended


def take(of: Schedule, last: str = "") -> Node:
    node = of.next(last)
    assert node is not None
    return node


def test_children_wait_for_their_parent_and_then_run_together() -> None:
    of, ended = schedule(node("a"), node("b1", "a"), node("b2", "a"))
    first = take(of)
    assert (first.name, of.next()) == ("a", None)
    of.end(first, Outcome("done"))
    assert [take(of).name, take(of).name] == ["b1", "b2"]
    assert ended == [("a", "done")]
    assert not of.over


def test_a_failure_costs_the_descendants_and_nobody_else() -> None:
    of, ended = schedule(node("a"), node("b", "a"), node("c", "b"), node("x"), node("cell", "c", uses="c"))
    of.end(take(of), Outcome("failed", "no memory"))
    assert ended == [("a", "failed"), ("b", "skipped"), ("c", "skipped"), ("cell", "skipped")]
    of.end(take(of), Outcome("done"))
    assert of.over


def test_what_another_command_does_waits_and_is_tried_again() -> None:
    of, ended = schedule(node("a"), node("b", "a"), node("x"))
    of.end(take(of), Outcome("busy"))
    assert (of.busy, of.only_busy) == (("a",), False)
    of.end(take(of), Outcome("done"))
    assert of.next() is None, "b needs what the other command is at"
    of.retry()
    again = take(of)
    assert again.name == "a"
    of.end(again, Outcome("there"))
    of.end(take(of), Outcome("done"))
    assert of.over
    assert ended == [("x", "done"), ("a", "there"), ("b", "done")]


def test_only_busy_nodes_are_left() -> None:
    of, _ = schedule(node("a"))
    of.end(take(of), Outcome("busy"))
    assert of.only_busy
    assert not of.over


def test_cells_go_to_the_process_that_has_their_network() -> None:
    of, _ = schedule(node("a1", uses="a"), node("a2", uses="a"), node("b1", uses="b"), node("fit"))
    assert take(of, last="a").name == "fit", "fits first: others may wait for them"
    assert take(of, last="b").name == "b1"
    assert take(of, last="a").name == "a1"
    assert take(of).name == "a2"


def test_another_network_is_left_to_whoever_has_loaded_it() -> None:
    of, _ = schedule(node("a1", uses="a"), node("a2", uses="a"), node("b1", uses="b"))
    assert take(of).name == "a1"
    assert take(of).name == "b1"
