"""Where couriers are told of: from pickup to drop-off, a few times a second, and no longer."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from typing import Any

import trio
from msgspec import msgpack, structs
from trio.testing import MockClock

from api.channels import position_channel
from dispatch.courier import Courier, Stage
from dispatch.ids import CourierId, Instant, MarketId, OrderId
from geo.ping import Ping, Track
from geo.point import LatLng, Point
from geo.positions import PositionTable
from geo.projection import Projection
from node.tracker import GAP_S, Tracker
from tests.api.lines import OneNodeLive
from wire.frames import Position

HIM = CourierId("crr_1")
FIRST, SECOND = OrderId("ord_1"), OrderId("ord_2")
CENTRE = LatLng(55.68, 12.57)
NOW = 1_700_000_000_000
AT_WORK = Courier(
    courier_id=HIM,
    market_id=MarketId("copenhagen"),
    stage=Stage.ON,
    ends_at=Instant(NOW + 3_600_000),
    load_max=4,
    point=Point(0.0, 0.0),
    leaves_at=Instant(NOW),
)


class Street:
    """One courier, what he carries, and what those hear who wait for it."""

    def __init__(self) -> None:
        self.courier: Courier | None = AT_WORK
        self.told: list[Position] = []
        self._live = OneNodeLive()
        self._table = PositionTable(Projection(CENTRE))
        self._table.join(HIM, NOW)
        self._tracker = Tracker(lambda _courier_id: self.courier, self._table, self._live)
        self._pings = 0
        for order_id in (FIRST, SECOND):
            self._live.subscribe(position_channel(order_id), self._hear)

    def carry(self, **changes: Any) -> None:  # noqa: ANN401
        """Have the courier be like this from now on."""
        assert self.courier is not None
        self.courier = structs.replace(self.courier, **changes)

    async def ping(self, wait_s: float = 1.0) -> list[OrderId]:
        """Have him report where he is; return whose customers are told, then wait."""
        self._pings += 1
        at = NOW + 1_000 * self._pings
        ping = Ping(CENTRE.lat + 1e-5 * self._pings, CENTRE.lng, 3.0, at)
        self._table.ping(HIM, ping, at)
        before = len(self.told)
        self._tracker.tell([Track(HIM, (ping,))])
        told = [position.order_id for position in self.told[before:]]
        await trio.sleep(wait_s)
        return told

    def _hear(self, message: bytes) -> None:
        self.told.append(msgpack.decode(message, type=Position))


async def test_a_courier_is_told_of_from_pickup_to_drop_off_and_no_longer(
    autojump_clock: MockClock,
) -> None:
    street = Street()
    before = await street.ping()
    street.carry(carried=(FIRST, SECOND))
    both = await street.ping()
    street.carry(carried=(SECOND,))
    one = await street.ping()
    street.carry(carried=())
    none = await street.ping()

    assert (before, both, one, none) == ([], [FIRST, SECOND], [SECOND], [])
    assert street.told[-1].lat == CENTRE.lat + 3e-5
    assert street.told[-1].seen_at == NOW + 3_000


async def test_nobody_sees_an_order_that_is_brought_back(autojump_clock: MockClock) -> None:
    street = Street()
    street.carry(carried=(FIRST, SECOND), returning=(FIRST,))

    assert await street.ping() == [SECOND]


async def test_a_courier_who_is_gone_is_not_told_of(autojump_clock: MockClock) -> None:
    street = Street()
    street.courier = None

    assert await street.ping() == []


async def test_pings_that_come_in_a_rush_are_told_of_a_few_times_a_second(
    autojump_clock: MockClock,
) -> None:
    street = Street()
    street.carry(carried=(FIRST,))

    for _ in range(100):
        await street.ping(wait_s=0.01)

    assert 4 <= len(street.told) <= 1 / GAP_S + 1
