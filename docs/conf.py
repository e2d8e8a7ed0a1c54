"""Sphinx settings: pages of the API are written from the package's tree, so a new module appears by itself."""

from __future__ import annotations

from pathlib import Path

import xrbench

HERE = Path(__file__).parent
SOURCE = Path(xrbench.__file__).parent
API = HERE / "api"

project = "xrbench"
author = "The xrbench developers"
project_copyright = author
version = release = xrbench.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]  # two classes of one name in different modules are two links to choose from
html_theme = "alabaster"
html_show_sourcelink = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_type_aliases = {"npt.NDArray": "numpy.typing.NDArray"}
napoleon_google_docstring = True
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_custom_sections = [("Options", "params_style")]  # what a card may say of a claim or a figure
napoleon_numpy_docstring = False


def modules(folder: Path) -> list[str]:
    """List the modules of one folder by their dotted names, the folder itself first, without the private ones."""
    names = [file.stem for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")]
    dotted = ".".join(("xrbench", *folder.relative_to(SOURCE).parts))
    return [dotted, *(f"{dotted}.{name}" for name in names)]


def page(folder: Path) -> str:
    """Write the page of one folder: a heading and the documentation of each module."""
    sections = [(name, "=" if number == 0 else "-") for number, name in enumerate(modules(folder))]
    return "\n".join(f"{name}\n{line * len(name)}\n\n.. automodule:: {name}\n" for name, line in sections)


def write(file: Path, text: str) -> None:
    """Write a page if it has changed: the others need not be read again."""
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def write_api() -> None:
    """Write one page for each folder with code, and a table of contents of them."""
    API.mkdir(exist_ok=True)
    folders = sorted({file.parent for file in SOURCE.rglob("*.py") if "_catalogue" not in file.parts})
    names = [".".join(("xrbench", *folder.relative_to(SOURCE).parts)) for folder in folders]
    for left_over in set(API.glob("*.rst")) - {API / f"{name}.rst" for name in (*names, "index")}:
        left_over.unlink()
    for folder, name in zip(folders, names, strict=True):
        write(API / f"{name}.rst", page(folder))
    contents = "".join(f"   {name}\n" for name in names)
    write(API / "index.rst", f"API\n===\n\n.. toctree::\n   :maxdepth: 2\n\n{contents}")


write_api()
