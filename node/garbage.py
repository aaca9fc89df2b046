"""How a node collects garbage, so that nobody waits for it.

Nearly everything here is freed at once by its last reference; what the collector is for are a few
cycles. Left to itself it looks at all that lives, again and again as a node fills, and a third of a
second at a time. So what has outlived a full collection is set aside, where the next ones do not
look; and since something of that may have become garbage after all, everything is looked at once in
a long while.
"""

import gc

import trio

YOUNG_MAX = 5_000
"""Objects made since the last look at the young ones. Each look is at so many, each tenth one at
ten times as many: one and ten milliseconds, in which nobody is answered."""
THOROUGH_S = 3_600.0


def set_survivors_aside() -> None:
    """Have full collections look only at what is new since the one before."""
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    if _set_aside not in gc.callbacks:
        gc.callbacks.append(_set_aside)


async def collect_thoroughly() -> None:
    """Look at everything, once in a long while, until cancelled."""
    while True:
        await trio.sleep(THOROUGH_S)
        gc.unfreeze()
        gc.collect()


def _set_aside(phase: str, about: dict[str, int]) -> None:
    if phase == "stop" and about["generation"] == 2:  # noqa: PLR2004 - the oldest.
        gc.freeze()
