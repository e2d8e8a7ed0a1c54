"""HTML: text without markup, in elements."""

from __future__ import annotations

import html

from xrbench.rendering.text import clean


def element(name: str, text: str, **attributes: object) -> str:
    """Write text on one line as the only content of an element; attributes are written as they are.

    >>> element("th", "a < b", scope="col")
    '<th scope="col">a &lt; b</th>'
    """
    written = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{written}>{html.escape(clean(text))}</{name}>"
