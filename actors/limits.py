"""Every limit of a shard, in one frozen value: how much may wait, how long, and how often it fails.

The numbers are for a node in production. A simulation differs in none but `idle_s`.
"""

from typing import Annotated

from msgspec import Meta, Struct

type Seconds = Annotated[float, Meta(gt=0, le=86_400)]
type Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class Intensity(Struct, frozen=True, kw_only=True):
    """How many failures within how long are bad luck; one more is a fault and climbs a step."""

    failures_max: Annotated[int, Meta(ge=0, le=10_000)]
    within_s: Seconds


class Limits(Struct, frozen=True, kw_only=True):
    """What bounds one shard."""

    transitions_max: Count = 500
    """Messages handled for one batch; at the ceiling the drain waits for the committer."""
    slice_max: Count = 64
    """Messages handled between two looks at the clock."""
    drain_s: Seconds = 0.002
    """Time the drain may hold the thread before other tasks have a turn."""
    runnable_max: Count = 100_000
    """Actors with waiting mail, from which on the edge is refused."""
    asks_max: Count = 20_000
    """Asks that may be open at once; one more is refused."""
    wanted_max: Count = 10_000
    """Actors waiting to be read from the journal, from which on the edge is refused."""
    load_max: Count = 500
    """Actors read from the journal by one call."""
    outbox_max: Count = 100_000
    """Unsettled rows for other shards and services, from which on the edge is refused."""
    resend_s: Seconds = 2.0
    """Time after which a tell to another shard that was not settled is sent again."""
    resend_max: Count = 1_000
    """Tells to one shard that are sent again at a time, the oldest ones."""
    idle_s: Seconds | None = 600.0
    """An actor nobody visited for so long leaves memory; None keeps all that are not finished."""
    sweep_s: Seconds = 5.0
    """Time between two looks at a slice of the actors for idle ones."""
    commit_s: Seconds = 5.0
    """Time the journal has for one call before it counts as unreachable."""
    tries_max: Annotated[int, Meta(ge=1, le=100)] = 6
    """Calls of the journal for one batch before the shard fails."""
    backoff_s: Seconds = 0.05
    """Wait before the second call; each further wait is twice the one before."""
    backoff_s_max: Seconds = 2.0
    """Longest wait between two calls."""
    stop_s: Seconds = 5.0
    """Time an ordered stop has to work off waiting mail; what is left stays in the outbox."""
    dead_letters_max: Count = 1_000
    """Newest dead letters kept in memory for inspection; the journal keeps all."""
    error_chars_max: Count = 4_000
    """Length of the traceback kept with a dead letter, its end."""
    failing_max: Count = 10_000
    """Actors whose failures are counted; past it the longest counted is forgotten."""
    freeze_rows_min: Count = 10_000
    """Actors recovered, from which on the collector is told never to look at them again."""
    actor: Intensity = Intensity(failures_max=5, within_s=60)
    """Failures of one actor before it is parked."""
    shard: Intensity = Intensity(failures_max=100, within_s=60)
    """Failures of all actors of a shard before it is dropped and recovered."""
