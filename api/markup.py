"""HTML as a value: `element("p", "a < b")` is `<p>a &lt; b</p>`.

Whatever is not markup already is escaped, so nothing that a document says can become a tag.
`prose` is for the little Markdown that docstrings use: paragraphs, lists, code and strong words.
"""

import re
from collections.abc import Iterator
from html import escape

VOID = frozenset({"br", "hr", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


type Content = str | Markup | None


def element(name: str, /, *inside: Content, **attributes: str | bool) -> Markup:
    """Return an element; `class_` and `for_` are spelled so, and True is an attribute alone."""
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(*inside)}</{name}>")


def joined(*parts: Content) -> Markup:
    """Return parts one after the other."""
    return Markup("".join(_escaped(part) for part in parts if part is not None))


def page(title: str, style: str, *body: Content) -> Markup:
    """Return a whole page, with its style beside it."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="stylesheet", href=style),
    )
    html = element("html", head, element("body", *body), lang="en")
    return Markup(f"<!doctype html>{html}")


def prose(text: str) -> Markup:
    """Return paragraphs and lists, with `code` and **strong** words."""
    return joined(*_blocks(text))


def words(text: str) -> Markup:
    """Return one line, with `code` and **strong** words."""
    told = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", told))


def _blocks(text: str) -> Iterator[Markup]:
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("- "):
            items = re.split(r"\n(?=- )", block)
            yield element("ul", *(element("li", words(item[2:])) for item in items))
        elif block:
            yield element("p", words(block))


def _attribute(key: str, value: str | bool) -> str:  # noqa: FBT001 - an attribute's value.
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(value)}"'


def _escaped(part: str) -> str:
    return part if isinstance(part, Markup) else escape(part, quote=False)
