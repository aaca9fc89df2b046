"""What a courier has done in his shift, and how long he may go on.

Two things are counted: work (he has something to fetch or to bring, or is sent somewhere) and rest
(he has nothing to do, wherever he is). The counts serve fairness (`dispatch.fairness`) and safety:
nobody gets a new pickup after so long on shift, or after so long without a rest. These are limits
that a round plans within, and no prices that it could pay. What is in his bag he still brings, at
his own pace: nothing here, or in any price, depends on how fast he goes.

A shift that begins before he has rested from the one before goes on with its counts.
"""

from msgspec import Struct, structs

from dispatch.ids import Instant, after
from dispatch.policy import Safety

_MS_PER_S = 1_000


class Work(Struct, frozen=True, kw_only=True):
    """The counts of a shift. He has been at work, or has rested, since `turned_at`.

    `worked_ms` is his work before that, `stretch_at` when he began to work after his last rest.
    """

    since: Instant
    turned_at: Instant
    stretch_at: Instant
    is_working: bool = False
    worked_ms: int = 0
    delivered: int = 0


class Stint(Struct, frozen=True):
    """When he may begin with something new, and until when he may pick something up."""

    from_at: Instant
    off_at: Instant


def begun(before: Work | None, now: Instant, safety: Safety) -> Work:
    """Return the counts of a shift that begins now."""
    if before is not None and not has_rested(before, now, safety):
        return before
    return Work(since=now, turned_at=now, stretch_at=now)


def counted(
    work: Work, now: Instant, safety: Safety, *, is_working: bool, delivered: int = 0
) -> Work:
    """Return the counts when he has delivered so many more, and works or rests from now on."""
    if delivered:
        work = structs.replace(work, delivered=work.delivered + delivered)
    if is_working == work.is_working:
        return work
    if not is_working:
        worked_ms = work.worked_ms + now - work.turned_at
        return structs.replace(work, is_working=False, turned_at=now, worked_ms=worked_ms)
    stretch_at = now if has_rested(work, now, safety) else work.stretch_at
    return structs.replace(work, is_working=True, turned_at=now, stretch_at=stretch_at)


def has_rested(work: Work, now: Instant, safety: Safety) -> bool:
    """Tell whether he has had nothing to do for long enough."""
    return not work.is_working and now >= after(work.turned_at, safety.rest_s)


def worked_s(work: Work, now: Instant) -> float:
    """Return how long he has been at work in this shift."""
    under_way_ms = now - work.turned_at if work.is_working else 0
    return (work.worked_ms + under_way_ms) / _MS_PER_S


def stint(work: Work, ends_at: Instant, now: Instant, safety: Safety) -> Stint:
    """Return within what time he may be given something to fetch, his shift ending at `ends_at`.

    Who is past his stretch gets nothing until he has rested; who is within it, nothing for after.
    """
    off_at = min(ends_at, after(work.since, safety.shift_s_max))
    stretch_off_at = after(work.stretch_at, safety.stretch_s_max)
    if not has_rested(work, now, safety) and (work.is_working or now < stretch_off_at):
        return Stint(now, min(off_at, stretch_off_at))
    from_at = max(now, after(work.turned_at, safety.rest_s))
    return Stint(from_at, min(off_at, after(from_at, safety.stretch_s_max)))
