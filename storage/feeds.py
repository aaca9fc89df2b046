"""The feed messages of a batch, sorted by person, so that the database numbers a person at a time.

The database counts: the number of a person's newest message. Which of his messages in the batch has
which number then follows from its place. Persons are in sorted order, because two shards that write
to the same persons lock them in this order and so never wait for each other.

`fetch_feed` reads one person's messages for whoever asks once; who follows is shown them by the
journal's `feeds`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dispatch.journal import FeedEntry, FeedRow
from storage.database import Database
from storage.queries import queries

SQL = queries("journal")


class Feeds:
    """The messages of one batch."""

    __slots__ = ("_behind", "_counts", "_messages", "_persons", "_places")

    def __init__(self, rows: Sequence[FeedRow]) -> None:
        left = Counter([row.person for row in rows])
        self._persons = sorted(left)
        self._counts = [left[person] for person in self._persons]
        place = {person: at for at, person in enumerate(self._persons)}
        self._places = [place[row.person] for row in rows]
        self._messages = [row.message for row in rows]
        self._behind: list[int] = []
        for row in rows:
            left[row.person] -= 1
            self._behind.append(left[row.person])

    def columns(self) -> list[list[Any]]:
        """Return them as `commit_batch` takes them; SQL counts places from one."""
        places = [place + 1 for place in self._places]
        return [self._persons, self._counts, places, self._behind, self._messages]

    def numbers(self, heads: Sequence[int]) -> tuple[int, ...]:
        """Return each message's number, from the newest number of each person."""
        return tuple(
            [
                heads[place] - behind
                for place, behind in zip(self._places, self._behind, strict=True)
            ]
        )


async def fetch_feed(
    database: Database, person: str, after: int, count_max: int
) -> Sequence[FeedEntry]:
    """Return a person's messages numbered higher than `after`, the oldest ones."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_entries"], person, after, count_max)
    )
    return [FeedEntry(row["number"], row["epoch"], row["message"]) for row in rows]
