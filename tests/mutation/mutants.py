"""Small changes to Python source, each a mistake that a programmer makes, for tests to find.

A mutant is one change of one place in one function. It is known by its file, function, operator, the change as text and the
text of the line it stands on, never by a line number, so it is found again after edits elsewhere in the file.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutation.operators import OPERATORS, Function

SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "type_params", "type_comment"}
BODIES = {"loop": "only its first pass", "statement": "without its return"}
"""Words for a change of a statement's body, which its first line does not show."""
LONGEST = 90


@dataclass(frozen=True)
class Mutant:
    """One change; ``nth`` counts the mutants of a function that are alike in all other fields."""

    file: str
    function: str
    operator: str
    change: str
    anchor: str
    nth: int

    @property
    def id(self) -> str:
        """Return eight hexadecimal digits that name the mutant."""
        text = "\x1f".join([self.file, self.function, self.operator, self.change, self.anchor, str(self.nth)])
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class _Place:
    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    function: Function

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(file: str, source: str) -> list[Mutant]:
    """List every mutant of a module's source in the order of its text."""
    return [mutant for mutant, _, _ in _changes(file, ast.parse(source), source.splitlines())]


def mutated(source: str, mutant: Mutant) -> str | None:
    """Make the source with one change, or None if the place is not there any more."""
    tree = ast.parse(source)
    for candidate, place, node in _changes(mutant.file, tree, source.splitlines()):
        if candidate == mutant:
            place.put(node)
            return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return None


def _changes(file: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[Mutant, _Place, ast.AST]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for place in _places(tree, None):
        for name, operator in OPERATORS.items():
            for node in operator(place.node, place.function):
                change = _described(name, place.node, node)
                anchor = lines[getattr(place.node, "lineno", 1) - 1].strip()
                alike = (place.function.name, name, change, anchor)
                yield Mutant(file, *alike, nth=counts[alike]), place, node
                counts[alike] += 1


def _places(node: ast.AST, function: Function | None, prefix: str = "") -> Iterator[_Place]:
    """Walk over the code of functions: no annotations, decorators, docstrings, texts or arguments of exceptions."""
    for field, value in ast.iter_fields(node):
        if field in SKIPPED_FIELDS or isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        listed = isinstance(value, list)
        for number, child in enumerate(value if listed else [value]):
            if not isinstance(child, ast.AST) or _is_text(child):
                continue
            if function is not None and not isinstance(child, ast.FunctionDef):
                yield _Place(node, field, number if listed else None, child, function)
            inner, inner_prefix = function, prefix
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner_prefix = f"{prefix}{child.name}."
            if isinstance(child, ast.FunctionDef):
                inner = Function(f"{prefix}{child.name}", _siblings(child))
            yield from _places(child, inner, inner_prefix)


def _siblings(function: ast.FunctionDef) -> dict[str, str]:
    """Map each parameter to the next one with the same annotation, the last to the first."""
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    by_type: dict[str, list[str]] = {}
    for parameter in parameters:
        if parameter.annotation is not None:
            by_type.setdefault(ast.unparse(parameter.annotation), []).append(parameter.arg)
    groups = [names for names in by_type.values() if len(names) > 1]
    return {name: names[(i + 1) % len(names)] for names in groups for i, name in enumerate(names)}


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _described(operator: str, before: ast.AST, after: ast.AST) -> str:
    """Write the change on one line, cut to the neighbourhood of the first difference."""
    old, new = _head(before), _head(after)
    if old == new:
        return f"{old[:LONGEST]} -> {BODIES[operator]}"
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    start = max(0, same - LONGEST // 3)
    return " -> ".join(text[start : start + LONGEST] for text in (old, new))


def _head(node: ast.AST) -> str:
    """Return the text of an expression on one line, or of a statement with a body its first line."""
    text = ast.unparse(ast.fix_missing_locations(node))
    return text.splitlines()[0] if isinstance(node, ast.stmt) else " ".join(text.split())
