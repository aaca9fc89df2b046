"""Who may see a courier, as a table; and how the watched are told of."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import Callable, Mapping, Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from api.channels import AWAY, HERE, presence_channel
from api.presence import (
    LOOK_S,
    TRACKED,
    PresenceBoard,
    Standing,
    may_see_position,
    may_see_presence,
)
from dispatch.delivery import AFTER_PICKUP, BEFORE_PICKUP, WITH_COURIER, DeliveryStatus
from dispatch.ids import CourierId, OrderId, TenantId
from dispatch.lease import NodeId
from services.accounts.principal import Principal, Role
from storage.redis import RedisUnreachable
from tests.api.lines import OneNodeLive

HIM, OTHER = CourierId("crr_1"), CourierId("crr_2")
EVERYBODY = frozenset(DeliveryStatus)
NOBODY = frozenset[DeliveryStatus]()
PRESENCE: Mapping[Role, frozenset[DeliveryStatus]] = {
    Role.CUSTOMER: WITH_COURIER,
    Role.RESTAURANT: BEFORE_PICKUP,
    Role.SUPPORT: EVERYBODY,
    Role.ADMIN: EVERYBODY,
    Role.INTEGRATOR: EVERYBODY,
    Role.COURIER: NOBODY,
    Role.ANONYMOUS: NOBODY,
}
"""While an order is in which states each sees that its courier is here."""
POSITION: Mapping[Role, frozenset[DeliveryStatus]] = {
    **dict.fromkeys(Role, NOBODY),
    Role.CUSTOMER: TRACKED,
    Role.SUPPORT: TRACKED,
    Role.ADMIN: TRACKED,
    Role.INTEGRATOR: TRACKED,
}
"""While an order is in which states each sees where its courier is."""


def somebody(role: Role, courier_id: CourierId | None = None) -> Principal:
    """Somebody of that role, who has to do with an order of courier `HIM`."""
    return Principal(subject="usr_1", role=role, tenant_id=TenantId("tnt_1"), courier_id=courier_id)


@pytest.mark.parametrize("status", DeliveryStatus)
@pytest.mark.parametrize("role", Role)
def test_each_sees_of_a_courier_what_the_tables_say(role: Role, status: DeliveryStatus) -> None:
    own = Standing(OrderId("ord_1"), status, HIM)

    sees_presence = may_see_presence(somebody(role), HIM, [own])
    sees_position = may_see_position(somebody(role), own)

    assert sees_presence == (status in PRESENCE[role])
    assert sees_position == (status in POSITION[role])


def test_between_pickup_and_the_door_is_neither_before_nor_on_the_way_back() -> None:
    assert AFTER_PICKUP - {DeliveryStatus.RETURNING} == TRACKED


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.RESTAURANT])
def test_the_order_of_one_courier_shows_nothing_of_another(role: Role) -> None:
    own = [
        Standing(OrderId("ord_1"), DeliveryStatus.ASSIGNED, OTHER),
        Standing(OrderId("ord_2"), DeliveryStatus.DELIVERED, HIM),
        Standing(OrderId("ord_3"), DeliveryStatus.OFFERED, HIM),
    ]

    assert not may_see_presence(somebody(role), HIM, own)
    assert not may_see_presence(somebody(role), HIM, [])


def test_a_courier_sees_himself_and_no_other() -> None:
    own = [Standing(OrderId("ord_1"), DeliveryStatus.ASSIGNED, OTHER)]

    assert may_see_presence(somebody(Role.COURIER, HIM), HIM, own)
    assert not may_see_presence(somebody(Role.COURIER, HIM), OTHER, own)


class Here:
    """Who is here, as a store tells it; one that is away tells nothing."""

    def __init__(self, *persons: str) -> None:
        self.persons = set(persons)
        self.is_away = False
        self.looks = 0

    async def present(self, persons: Sequence[str]) -> Mapping[str, frozenset[NodeId]]:
        self.looks += 1
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise RedisUnreachable("the test said so")
        at = frozenset({NodeId("node")})
        return {one: at for one in persons if one in self.persons}


def board_over(here: Here) -> tuple[PresenceBoard, OneNodeLive]:
    live = OneNodeLive()
    return PresenceBoard(here, live), live


async def test_the_watched_are_told_of_soon_and_at_each_change(autojump_clock: MockClock) -> None:
    here, told = Here(HIM), list[tuple[str, bool]]()
    board, live = board_over(here)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        await wait_all_tasks_blocked()
        board.watch(HIM, lambda is_online: told.append((HIM, is_online)))
        board.watch(OTHER, lambda is_online: told.append((OTHER, is_online)))
        await wait_all_tasks_blocked()
        soon = list(told)
        for message in (AWAY, AWAY, HERE):
            live.publish(presence_channel(HIM), message)
        nursery.cancel_scope.cancel()

    assert soon == [(HIM, True), (OTHER, False)]
    assert told[2:] == [(HIM, False), (HIM, True)]


async def test_who_merely_ran_out_is_found_away_by_looking(autojump_clock: MockClock) -> None:
    here, told = Here(HIM), list[bool]()
    board, _ = board_over(here)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        board.watch(HIM, told.append)
        await trio.sleep(LOOK_S / 2)
        here.persons.clear()
        here.is_away = True
        await trio.sleep(LOOK_S)
        while_away = list(told)
        here.is_away = False
        await trio.sleep(LOOK_S)
        nursery.cancel_scope.cancel()

    assert while_away == [True], "a store that is away says nothing of anybody"
    assert told == [True, False]


async def test_a_person_is_watched_once_for_all_and_no_longer_than_anybody_watches(
    autojump_clock: MockClock,
) -> None:
    first, second = list[bool](), list[bool]()
    board, live = board_over(Here(HIM))
    ends: list[Callable[[], None]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        ends.append(board.watch(HIM, first.append))
        await wait_all_tasks_blocked()
        ends.append(board.watch(HIM, second.append))
        listeners = len(live.hears[presence_channel(HIM)])
        ends[0]()
        live.publish(presence_channel(HIM), AWAY)
        ends[1]()
        ends[1]()
        nursery.cancel_scope.cancel()

    assert (first, second, listeners) == ([True], [True, False], 1)
    assert board.count() == 0
    assert not live.hears[presence_channel(HIM)]
