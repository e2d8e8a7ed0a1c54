"""The changes: each operator takes a node of the code and yields nodes to stand in its place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SKIPPED_KEYWORDS = {"dtype", "strict", "stacklevel", "encoding"}
"""Keywords whose removal changes nothing on sound input: types that NumPy infers alike, checks of lengths."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITES = [
    ("min", "max"),
    ("nanmin", "nanmax"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("floor", "ceil"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("union", "intersection"),
    ("left", "right"),
    ("log", "log1p"),
    ("sum", "mean"),
]
SWAPPED = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}


@dataclass(frozen=True)
class Function:
    """The function that a node belongs to: its qualified name and, for each parameter, others of the same type."""

    name: str
    siblings: dict[str, str]


def _with(node: ast.AST, **changes: object) -> ast.AST:
    changed = copy.copy(node)
    for field, value in changes.items():
        setattr(changed, field, value)
    return changed


def _comparison(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                yield _with(node, ops=[*node.ops[:number], other(), *node.ops[number + 1 :]])


def _arithmetic(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and not any(_joins_text_or_lists(side) for side in (node.left, node.right)):
        if type(node.op) in ARITHMETIC:
            yield _with(node, op=ARITHMETIC[type(node.op)]())
        if isinstance(node.op, ast.Sub | ast.Div):
            yield _with(node, left=node.right, right=node.left)
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield _with(node, op=ARITHMETIC[type(node.op)]())


def _joins_text_or_lists(node: ast.AST) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp | ast.Dict | ast.DictComp)


def _constant(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 1.1 if value else 1.0)


def _boolean(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _sign(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.UnaryOp):
        yield node.operand


def _condition(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.UnaryOp | ast.Compare):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield _with(node, ifs=node.ifs[1:])


def _opposite(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in {"min", "max", "any", "all"}:
        yield _with(node, id=SWAPPED[node.id])
    if isinstance(node, ast.Attribute) and node.attr in SWAPPED:
        yield _with(node, attr=SWAPPED[node.attr])
    if isinstance(node, ast.Constant) and node.value in ("left", "right"):
        yield ast.Constant(SWAPPED[node.value])


def _keyword(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        for number, keyword in enumerate(node.keywords):
            if keyword.arg is not None and keyword.arg not in SKIPPED_KEYWORDS:
                yield _with(node, keywords=[*node.keywords[:number], *node.keywords[number + 1 :]])


def _arguments(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and len(node.args) > 1:
        first, second = node.args[:2]
        named = all(isinstance(a, ast.Name | ast.Attribute) for a in (first, second))
        if named and ast.dump(first) != ast.dump(second):
            yield _with(node, args=[second, first, *node.args[2:]])


def _parameter(node: ast.AST, function: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in function.siblings:
        yield _with(node, id=function.siblings[node.id])


def _bounds(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.Slice):
        for field in ("lower", "upper"):
            bound = getattr(node, field)
            if bound is not None:
                yield _with(node, **{field: None})
                yield _with(node, **{field: ast.BinOp(bound, ast.Add(), ast.Constant(1))})


def _statement(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if call or isinstance(node, ast.AugAssign | ast.Raise | ast.Continue):
        yield ast.Pass()
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return):
        yield _with(node, body=[*node.body[:-1], ast.Pass()])


def _loop(node: ast.AST, _: Function) -> Iterator[ast.AST]:
    if isinstance(node, ast.For) and not isinstance(node.body[-1], ast.Return | ast.Raise):
        yield _with(node, body=[*node.body, ast.Break()])


Operator = Callable[[ast.AST, Function], Iterator[ast.AST]]
OPERATORS: dict[str, Operator] = {
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "constant": _constant,
    "boolean": _boolean,
    "sign": _sign,
    "condition": _condition,
    "opposite": _opposite,
    "keyword": _keyword,
    "arguments": _arguments,
    "parameter": _parameter,
    "bounds": _bounds,
    "statement": _statement,
    "loop": _loop,
}
