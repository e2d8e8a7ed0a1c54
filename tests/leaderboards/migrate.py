"""Bring committed leaderboards to the present names: the table of renamed words is applied to their files and to the files' names.

    python -m tests.leaderboards.migrate [LEADERBOARDS]

Predictions hold no word that was renamed and stay as they are. What comes out must be what the present code writes; the tests
remake every board and compare.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.leaderboards.compare import ESCAPED, TEXT, read_renames

BOARDS = Path(__file__).parents[2] / "leaderboards"


def migrate(board: Path) -> None:
    """Rename words in the text files of one leaderboard, and the files and folders themselves."""
    renames = read_renames()
    for path in sorted(path for path in board.rglob("*") if path.suffix in TEXT):
        target = board / renames.apply(path.relative_to(board).as_posix())
        text = renames.apply(path.read_text(encoding="utf-8"), escaped=path.suffix in ESCAPED)
        path.unlink()
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    for folder in board.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    for name in sorted((Path(sys.argv[1]) if len(sys.argv) > 1 else BOARDS).iterdir()):
        migrate(name)
