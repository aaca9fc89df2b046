"""Every query the stores send, by noun and name, from the files `storage/sql/<noun>.sql`.

A file is a row of blocks. Each begins with a line `-- name: fetch_x` and goes on to the next such
line; what stands before the first one is a comment for the reader. Stores hold no SQL of their own,
so that all of it can be read, and explained by a database, in one place.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent / "sql"
_HEADING = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(noun: str) -> Mapping[str, str]:
    """Return the queries of a noun by their names."""
    return parsed((_FOLDER / f"{noun}.sql").read_text())


def parsed(text: str) -> Mapping[str, str]:
    """Return the blocks of a file by their names; a name may stand once."""
    _, *parts = _HEADING.split(text)
    names, blocks = parts[::2], [block.strip() for block in parts[1::2]]
    assert len(set(names)) == len(names), f"a query is named twice: {names}"
    assert all(blocks), f"a query is empty: {names}"
    return MappingProxyType(dict(zip(names, blocks, strict=True)))
