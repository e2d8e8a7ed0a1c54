"""Compare remade leaderboards with those of before, byte for byte, after a table of renamed words is applied to the old ones.

    python tests/leaderboards/compare.py BEFORE AFTER                    # folders that remake.py wrote, or a .tar.xz of one
    python tests/leaderboards/compare.py --pack before.tar.xz BEFORE     # write such an archive

For each file that differs, the first line that does is printed, with rows of the table that would explain it. Rows that match
nothing are named too: a table that says more than what happened is no evidence.
"""

from __future__ import annotations

import argparse
import difflib
import io
import re
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
RENAMES = HERE / "renames.toml"
TEXT = (".csv", ".json", ".md", ".tex")
"""Endings of the files that are compared; ``predictions.csv`` stands for ``predictions.parquet``."""
ESCAPED = (".md", ".tex")
"""Files where ``_`` is written with a backslash."""

Files = dict[str, str]


@dataclass
class Renames:
    """A table of words, and how often each row was found.

    Attributes:
        words: Old -> new.
        kept: Phrases in which nothing is renamed, such as a paper's own words.
        found: Old -> how often it was replaced so far.

    Raises:
        ValueError: A row has a digit, an empty side, or a character that would change how a file is written, or renames nothing.

    >>> Renames({"film": "image", "each film": "every image"}).apply("Each film, each film; films of 1 film-maker.")
    'Each image, every image; films of 1 image-maker.'
    >>> Renames({"film": "image 2"})
    Traceback (most recent call last):
    ValueError: 'film' -> 'image 2': no digit may stand in a row
    """

    words: Mapping[str, str]
    kept: Sequence[str] = ()
    found: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for old, new in self.words.items():
            if any(character.isnumeric() for character in old + new):
                raise ValueError(f"{old!r} -> {new!r}: no digit may stand in a row")
            for side in (old, new):
                if not re.fullmatch(r"\w(?:[\w /:'.-]*\w)?", side):
                    raise ValueError(f"{old!r} -> {new!r}: {side!r} is not made of whole words")
            if old == new:
                raise ValueError(f"{old!r}: renamed to itself")

    def apply(self, text: str, *, escaped: bool = False) -> str:
        r"""Rename words in a text.

        Args:
            text: Any text.
            escaped: Whether ``_`` is written ``\_`` in it.

        >>> Renames({"n_films": "n_images"}).apply(r"n\_films, n_films_left, n_films", escaped=True)
        'n\\_images, n_films_left, n_images'
        """
        rows = {phrase: (phrase, phrase) for phrase in self.kept}
        rows |= {old: (old, new) for old, new in self.words.items()}
        if escaped:
            rows |= {_escape(old): (old, _escape(new)) for old, new in self.words.items() if "_" in old}
        if not rows:
            return text

        def replace(match: re.Match[str]) -> str:
            old, new = rows[match.group()]
            self.found[old] += 1
            return new

        longest_first = sorted(rows, key=lambda old: (-len(old), old))
        # A word may begin where an escaped underscore does not end: in n\_films, "films" is no word.
        return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w|\\_)", replace, text)

    def apply_all(self, files: Files) -> Files:
        """Rename words in files and in their names.

        Raises:
            ValueError: Two files get one name.
        """
        renamed: Files = {}
        for name, text in files.items():
            target = self.apply(name)
            if target in renamed:
                raise ValueError(f"{name}: another file is called {target!r} after the renames")
            renamed[target] = self.apply(text, escaped=name.endswith(ESCAPED))
        return renamed

    def unused(self) -> list[str]:
        """List the rows that were never found."""
        return [old for old in (*self.words, *self.kept) if not self.found[old]]


def _escape(word: str) -> str:
    return word.replace("_", r"\_")


def read_renames(path: Path = RENAMES) -> Renames:
    """Read the table."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Renames(table["words"], table.get("keep", {}).get("phrases", ()))


def read_files(path: Path) -> Files:
    """Read the text files of remade leaderboards: name below the folder, with slashes -> content."""
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.suffix in TEXT)
        return {one.relative_to(path).as_posix(): one.read_bytes().decode() for one in found}
    with tarfile.open(path) as archive:
        return {one.name: archive.extractfile(one).read().decode() for one in archive}  # type: ignore[union-attr]


def pack(files: Files, path: Path) -> None:
    """Write files into an archive whose bytes depend on nothing else."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def differences(old: Files, new: Files) -> Iterator[str]:
    """Describe each file that differs: its first differing line of both sides, and rows that would explain it."""
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"{name}: not written any more{_nearest(name, new, old)}"
        elif name not in old:
            yield f"{name}: not there before{_nearest(name, old, new)}"
        elif old[name] != new[name]:
            yield _difference(name, old[name], new[name])


def _nearest(name: str, others: Files, own: Files) -> str:
    close = difflib.get_close_matches(name, [one for one in others if one not in own], n=1)
    return f"; perhaps renamed: {close[0]}" if close else ""


def _difference(name: str, old: str, new: str) -> str:
    before, after = old.splitlines(), new.splitlines()
    changed = [number for number, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]]
    counts = f"{len(changed)} of {len(before)} lines differ"
    if len(before) != len(after):
        counts += f", and {len(after)} lines instead of {len(before)}"
    if not changed:
        return f"{name}: {counts}"
    at = changed[0]
    rows = suggestions(before[at], after[at])
    lines = [f"{name}, line {at + 1} ({counts}):", f"  old  {before[at]}", f"  new  {after[at]}"]
    return "\n".join([*lines, *(f"  perhaps  {row}" for row in rows)])


def suggestions(old: str, new: str) -> list[str]:
    """Write rows of the table that would turn one line into the other; none where numbers changed.

    >>> suggestions("| films of site 2 | 0.5 |", "| images of site 2 | 0.5 |")
    ['"films" = "images"']
    >>> suggestions("| AUC | 0.5 |", "| AUC | 0.6 |")
    ['no row: "5" became "6"']
    """
    before, after = (re.findall(r"\w+|[^\w]", line) for line in (old, new))
    rows = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            left, right = "".join(before[i:j]), "".join(after[k:m])
            is_row = bool(left and right) and not re.search(r"\d", left + right)
            rows.append(f'"{left}" = "{right}"' if is_row else f'no row: "{left}" became "{right}"')
    return list(dict.fromkeys(rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or pack, and return the exit status: 0 when all is the same and each row of the table was found."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, metavar="BEFORE")
    parser.add_argument("after", type=Path, metavar="AFTER", nargs="?")
    parser.add_argument("--renames", type=Path, default=RENAMES, metavar="FILE")
    parser.add_argument("--pack", type=Path, metavar="FILE", help="write BEFORE into this archive")
    given = parser.parse_args(arguments)
    if given.pack:
        pack(read_files(given.before), given.pack)
        return 0
    if given.after is None:
        parser.error("AFTER is missing")
    renames = read_renames(given.renames)
    old = renames.apply_all(read_files(given.before))
    found = list(differences(old, read_files(given.after)))
    found += [f"{given.renames.name}: {word!r} is found nowhere" for word in renames.unused()]
    print("\n".join(found) or f"the same: {len(old)} files, {sum(map(len, old.values())):,} characters")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
