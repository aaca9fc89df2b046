"""HTML and SVG that cannot be broken by what is put into it.

Everything becomes `Markup` through `text`, which escapes, or `tag`, which escapes its attributes
and takes only `Markup` inside; a plain string never gets in, and the type checker says so. A city
may therefore be called whatever it likes.
"""

from collections.abc import Iterable
from html import escape
from typing import Final, NewType

Markup = NewType("Markup", str)

NOTHING: Final = Markup("")
_VOID: Final = frozenset({"meta", "col", "br", "hr"})


def text(said: str) -> Markup:
    """Return the string as a reader is to see it."""
    return Markup(escape(said))


def tag(name: str, /, *inside: Markup, **attributes: str | float) -> Markup:
    """Return the element; `class_` is the attribute class, `view_box` is viewBox, `x_y` is x-y."""
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{''.join(inside)}</{name}>")


def joined(parts: Iterable[Markup]) -> Markup:
    """Return the parts one after the other."""
    return Markup("".join(parts))


def _name(key: str) -> str:
    return "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    return f"{value:.1f}".removesuffix(".0")
