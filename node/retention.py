"""How long a cluster remembers: old feed messages and facts are cleared away in the background.

Every node looks now and then whether it is time; the first to claim the work does it, little by
little and with long pauses, and the others see that it was done. A node that dies at it leaves the
rest to the next claim. A month of facts whose lock is not to be had at once is tried again a little
later, so that commits never wait for this long.
"""

from contextlib import suppress

import trio

from storage import retention
from storage.database import Database, DatabaseRefused, DatabaseUnreachable
from storage.retention import Past

LOOK_S = 600.0
"""Time between two looks whether it is time."""
CLAIM_S = 6 * 3_600.0
"""Time between two claims of the same work; one takes no longer."""
REST_SHARE = 4.0
"""Rests after each step, in times of what that took."""
STEPS_MAX = 100_000
"""Steps of one claim; what is left then is for the next."""
TRIES_MAX = 20
RETRY_S = 5.0
"""Time to the next try to drop a month whose lock was not to be had."""


class Retention:
    """Clears away what is older than its days; 0 days keep everything for ever."""

    def __init__(self, database: Database, *, feed_days: int, fact_days: int) -> None:
        self._database = database
        self._feed_days = feed_days
        self._fact_days = fact_days

    async def run(self) -> None:
        """Look again and again, until cancelled; a database that is away is asked later."""
        while True:
            with suppress(DatabaseUnreachable, DatabaseRefused):
                await self.clear()
            await trio.sleep(LOOK_S)

    async def clear(self) -> None:
        """Clear away whatever is due and nobody else is at."""
        with trio.move_on_after(CLAIM_S / 2):
            if self._feed_days:
                await self._clear_feeds()
            if self._fact_days:
                await self._clear_facts()

    async def _clear_feeds(self) -> None:
        position = await retention.claim(self._database, Past.FEEDS, CLAIM_S)
        if position is None:
            return
        for _ in range(STEPS_MAX):
            began_s = trio.current_time()
            done = await retention.clear_feeds(self._database, position, self._feed_days)
            position = done.position
            if done.is_over:
                return
            await _rest(began_s)

    async def _clear_facts(self) -> None:
        if await retention.claim(self._database, Past.FACTS, CLAIM_S) is None:
            return
        for _ in range(STEPS_MAX):
            began_s = trio.current_time()
            month = await self._drop_month()
            strays = await retention.clear_stray_facts(self._database, self._fact_days)
            if month is None and not strays:
                return
            await _rest(began_s)

    async def _drop_month(self) -> str | None:
        """Drop a month of facts, as soon as the journal can be locked for it."""
        for _ in range(TRIES_MAX):
            with suppress(DatabaseUnreachable):
                return await retention.drop_month(self._database, self._fact_days)
            await trio.sleep(RETRY_S)
        return None


async def _rest(began_s: float) -> None:
    await trio.sleep(REST_SHARE * (trio.current_time() - began_s))
