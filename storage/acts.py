"""What couriers did on their devices, each act with its outcome, so that none counts twice.

A device numbers its acts. The outcome of a number is written once and never changes, whichever node
the device says it to. Here stands too in which shard a courier lives, as his shard committed it,
because that is where his acts go.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from dispatch.courier_state import Stage
from dispatch.ids import CourierId, DeviceId, Instant, ShardId
from dispatch.step import Code
from storage.database import Database
from storage.queries import queries

SQL = queries("acts")
KEPT_S = 30 * 86_400.0
"""Time for which outcomes are kept; the last one of a device is kept for ever."""
_AWAY = frozenset({Stage.OFF, Stage.GONE})


class Home(Struct, frozen=True, gc=False):
    """The shard in which a courier lives, and whether he is on shift there."""

    shard: ShardId
    is_on_shift: bool


class Outcome(Struct, frozen=True):
    """What came of an act: it counted, or `code` says why it changed nothing."""

    code: Code | None = None
    detail: str = ""


class Kept(Struct, frozen=True, kw_only=True):
    """An act that is done with. `acted_at` is what the device's clock said."""

    courier_id: CourierId
    device_id: DeviceId
    counter: int
    acted_at: Instant
    action: str
    outcome: Outcome


class Found(Struct, frozen=True):
    """The outcome of an act if it has one, and the highest number of its device that has."""

    outcome: Outcome | None
    latest: int


class Standing(Struct, frozen=True):
    """Where a courier is at home, None before his first shift; which act of a device was last."""

    home: Home | None
    counter: int


class Acts:
    """The acts of all devices. All calls raise what `Database.call` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def greet(self, courier_id: CourierId, device_id: DeviceId) -> Standing:
        """Return how a courier stands whose device says hello."""
        (row,) = await self._database.call(
            lambda there: there.fetch(SQL["greet"], courier_id, device_id)
        )
        home = None if row["shard"] is None else _home(row["shard"], row["stage"])
        return Standing(home, row["counter"] or 0)

    async def homes(self, courier_ids: Sequence[CourierId]) -> Mapping[CourierId, Home]:
        """Return where these couriers live; who has never begun a shift lives nowhere."""
        rows = await self._database.call(lambda there: there.fetch(SQL["fetch_homes"], courier_ids))
        return {CourierId(row["courier_id"]): _home(row["shard"], row["stage"]) for row in rows}

    async def find(self, courier_id: CourierId, device_id: DeviceId, counter: int) -> Found:
        """Return what came of an act, if anything has."""
        (row,) = await self._database.call(
            lambda there: there.fetch(SQL["find_outcome"], courier_id, device_id, counter)
        )
        outcome = None if row["counter"] is None else _outcome(row["code"], row["detail"])
        return Found(outcome, row["latest"] or 0)

    async def keep(self, done: Sequence[Kept]) -> None:
        """Write outcomes down; where there is one already, it stays."""
        columns = (
            [one.courier_id for one in done],
            [one.device_id for one in done],
            [one.counter for one in done],
            [one.acted_at for one in done],
            [one.action for one in done],
            [one.outcome.code or "" for one in done],
            [one.outcome.detail for one in done],
        )
        await self._database.call(lambda there: there.execute(SQL["keep"], *columns))

    async def forget_old(self, kept_s: float = KEPT_S) -> int:
        """Delete outcomes whose time is over and return how many there were."""
        done = await self._database.call(lambda there: there.execute(SQL["forget_old"], kept_s))
        return int(done.rpartition(" ")[2])


def _home(shard: int, stage: str) -> Home:
    return Home(ShardId(shard), stage not in _AWAY)


def _outcome(code: str, detail: str) -> Outcome:
    """Return what was written; a code of a later version is shown as a failure."""
    if not code:
        return Outcome(None, detail)
    return Outcome(Code(code) if code in Code else Code.FAILED, detail)
