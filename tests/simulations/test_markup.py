"""Markup that cannot be broken from inside."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from simulations.markup import joined, tag, text


class Reader(HTMLParser):
    """Reads an element back into its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


# What HTML itself changes on reading, or forbids, is not the writer's doing.
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@given(words, words)
def test_whatever_is_said_is_read_as_it_was_said(inside: str, attribute: str) -> None:
    reader = Reader()

    reader.feed(tag("p", text(inside), title=attribute))
    reader.close()

    assert reader.tags == [("p", {"title": attribute})]
    assert reader.said == inside


def test_attributes_are_written_as_html_names_them() -> None:
    assert tag("rect", x=1.26, y=2.0, class_="bar", aria_label="a", view_box="0 0 1 1") == (
        '<rect x="1.3" y="2" class="bar" aria-label="a" viewBox="0 0 1 1"></rect>'
    )


def test_void_elements_have_no_end() -> None:
    assert joined((tag("meta", charset="utf-8"), tag("br"))) == '<meta charset="utf-8"><br>'
