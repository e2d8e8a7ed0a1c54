"""Measure the source tree: lines and files by folder, length of functions, comments, shapes in docstrings, helpers, value types.

Run by hand: ``python tests/packaging/measure_code.py [SOURCE_ROOT]``. It needs only the standard library, so that any
revision can be measured with it.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

VALUE_BASES = ("Struct", "NamedTuple", "TypedDict")
ARRAY = re.compile(r"\b(NDArray|ArrayLike|FloatArray|IntArray|BoolArray|Tensor)\b")
SHAPE = re.compile(r"shape|scalar|\(n\b|one value|a column a", re.IGNORECASE)


def main() -> None:
    """Print all measures of a source root."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "benchmark"
    files = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in files.items()}
    print_folders(root, files)
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = sorted(body_length(node) for node in functions)
    public_arrays = [node for node in functions if not node.name.startswith("_") and takes_arrays(node)]
    shaped = [node for node in public_arrays if SHAPE.search(ast.get_docstring(node) or "")]
    docstrings = [doc for node in functions if (doc := ast.get_docstring(node))]
    lines = sum(len(text.splitlines()) for text in files.values())
    comments = sum(comment_lines(text) for text in files.values())
    print(
        f"functions: {len(functions):,}; lines of code and docstring: mean {sum(lengths) / len(lengths):.1f}, ", end=""
    )
    print(
        f"median {lengths[len(lengths) // 2]}, 95th percentile {lengths[int(len(lengths) * 0.95)]}, longest {lengths[-1]}"
    )
    print(f"comment lines: {comments:,} of {lines:,} ({comments / lines:.1%})")
    print(f"public functions on arrays with a shape in the docstring: {len(shaped)} of {len(public_arrays)} ", end="")
    print(f"({len(shaped) / max(len(public_arrays), 1):.0%})")
    print(f"docstrings of one line: {sum(chr(10) not in doc for doc in docstrings):,} of {len(docstrings):,}")
    print(f"private helpers used once: {used_once(trees):,}")
    print(f"value types: {sum(is_value_type(node) for tree in trees.values() for node in ast.walk(tree)):,}")
    print(f"assignments to a name 'found': {assignments(trees, 'found'):,}")
    print(f"modules above 250 lines: {sum(len(text.splitlines()) > 250 for text in files.values())}; longest ", end="")
    print(max(len(text.splitlines()) for text in files.values()))


def print_folders(root: Path, files: dict[Path, str]) -> None:
    """Print files and lines of each first-level folder of the package."""
    count, lines = Counter[str](), Counter[str]()
    for path, text in files.items():
        parts = path.relative_to(root).parts
        folder = parts[1] + "/" if len(parts) > 2 else "(top level)"
        count[folder] += 1
        lines[folder] += len(text.splitlines())
    for folder in sorted(count):
        print(f"{folder:<20}{count[folder]:>5} files{lines[folder]:>8,} lines")
    print(f"{'all':<20}{sum(count.values()):>5} files{sum(lines.values()):>8,} lines")


def body_length(node: ast.FunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    doc = node.body[0] if ast.get_docstring(node) else None
    return (node.end_lineno or 0) - node.lineno + 1 - ((doc.end_lineno or 0) - doc.lineno + 1 if doc else 0)


def takes_arrays(node: ast.FunctionDef) -> bool:
    """Say whether an argument or the result is an array."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    hints = [argument.annotation for argument in arguments if argument.annotation] + [node.returns]
    return any(ARRAY.search(ast.unparse(hint)) for hint in hints if hint)


def comment_lines(text: str) -> int:
    """Count lines with a comment, without pragmas for tools."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    pragma = re.compile(r"#\s*(noqa|type:|pragma|fmt:|!)")
    return sum(token.type == tokenize.COMMENT and not pragma.match(token.string) for token in tokens)


def used_once(trees: dict[Path, ast.Module]) -> int:
    """Count private functions and methods whose name is read once in the tree (their own body included)."""
    private = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_") and not node.name.startswith("__")
    )
    read = Counter(name for tree in trees.values() for name in names_read(tree))
    return sum(number for name, number in private.items() if read[name] == number)


def names_read(tree: ast.Module) -> Iterator[str]:
    """List the names and attributes that are read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def is_value_type(node: ast.AST) -> bool:
    """Say whether a class is a dataclass, a struct or a named tuple."""
    if not isinstance(node, ast.ClassDef):
        return False
    decorated = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    return decorated or any(ast.unparse(base).rpartition(".")[2] in (*VALUE_BASES, "Card") for base in node.bases)


def assignments(trees: dict[Path, ast.Module], name: str) -> int:
    """Count where a name is bound."""
    return sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for tree in trees.values()
        for node in ast.walk(tree)
    )


if __name__ == "__main__":
    main()
