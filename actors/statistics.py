"""What a shard tells about itself: how things stand, and what it has done since it was made."""

from msgspec import Struct


class Totals(Struct, kw_only=True):
    """Counts that only rise, kept over the recoveries of a shard."""

    messages: int = 0
    batches: int = 0
    commits: int = 0
    retries: int = 0
    refused: int = 0
    dead_letters: int = 0
    wakes: int = 0
    loads: int = 0
    passivated: int = 0
    finished: int = 0
    recoveries: int = 0


class Statistics(Struct, frozen=True, kw_only=True):
    """One look at a shard; one that is not open has nothing in memory."""

    is_open: bool = False
    actors: int = 0
    runnable: int = 0
    inbox_longest: int = 0
    wanted: int = 0
    parked: tuple[tuple[str, str], ...] = ()
    asks: int = 0
    unsettled: int = 0
    timers: int = 0
    totals: Totals
