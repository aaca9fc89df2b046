"""Queries stand in files by noun, and each has one name."""

from pathlib import Path

import pytest

from storage import queries as module
from storage.queries import parsed, queries

FOLDER = Path(module.__file__).parent / "sql"


def test_a_file_of_queries_is_a_row_of_named_blocks() -> None:
    text = "-- What is asked.\n\n-- name: fetch_a\nselect 1\n\n-- name: find_b\nselect\n    2\n"

    blocks = parsed(text)

    assert blocks == {"fetch_a": "select 1", "find_b": "select\n    2"}


@pytest.mark.parametrize(
    "text", ["-- name: a\nselect 1\n-- name: a\nselect 2\n", "-- name: a\n-- name: b\nselect 1\n"]
)
def test_a_query_named_twice_or_left_empty_is_a_fault_of_ours(text: str) -> None:
    with pytest.raises(AssertionError, match="a query is"):
        parsed(text)


def test_every_file_of_queries_can_be_read_and_asks_for_named_columns() -> None:
    files = sorted(FOLDER.glob("*.sql"))
    blocks = {f"{file.stem}.{name}": text for file in files for name, text in _blocks(file)}

    assert len(files) > 1
    assert [name for name, text in blocks.items() if "select *" in text.lower()] == []


def _blocks(file: Path) -> list[tuple[str, str]]:
    return list(queries(file.stem).items())
