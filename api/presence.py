"""Who may see where a courier is, and whether somebody is here; and who is here of those watched.

The rules are two functions of who asks and of what he has to do with the courier now. A customer
sees the courier who has his order, for as long as he has it: that he is here, and, from pickup to
the door, where. A restaurant sees that the courier is here who comes for its order. Neither learns
anything of him before or afterwards, and couriers learn nothing of each other. Those who act for
the whole tenant see all of it.

`PresenceBoard` keeps what is known of the watched: it is told of changes as they happen, and asks
now and then, because a session that merely runs out is not told of.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import trio
from msgspec import Struct

from api.channels import HERE, presence_channel
from api.ports import Live
from dispatch.delivery import BEFORE_PICKUP, WITH_COURIER, DeliveryStatus
from dispatch.ids import CourierId, OrderId
from dispatch.lease import NodeId
from services.accounts.principal import Principal, Role
from storage.redis import RedisUnreachable

TRACKED = frozenset(
    {
        DeliveryStatus.PICKED_UP,
        DeliveryStatus.ENROUTE_TO_DROPOFF,
        DeliveryStatus.ARRIVED_AT_DROPOFF,
    }
)
"""From pickup until drop-off: where a courier is may be seen by who waits for him."""
LOOK_S = 4.0
"""Time between two looks at who is here."""
PERSONS_MAX = 50_000
"""Persons who are watched on one node."""

type Tell = Callable[[bool], None]


class Presences(Protocol):
    """Who is here."""

    async def present(self, persons: Sequence[str]) -> Mapping[str, frozenset[NodeId]]:
        """Return who of these persons is here, and at which nodes; raises `RedisUnreachable`."""
        ...


class Standing(Struct, frozen=True, gc=False):
    """An order of somebody's own, as far as it decides what he may see."""

    order_id: OrderId
    delivery_status: DeliveryStatus
    courier_id: CourierId | None


def acts_for_tenant(principal: Principal) -> bool:
    """Tell whether he acts for the whole tenant."""
    return principal.is_staff or principal.role is Role.INTEGRATOR


def may_see_position(principal: Principal, own: Standing) -> bool:
    """Tell whether he may see where the courier of an order of his own is, as it stands now."""
    sees_way = principal.role is Role.CUSTOMER or acts_for_tenant(principal)
    return sees_way and own.delivery_status in TRACKED


def may_see_presence(principal: Principal, courier_id: CourierId, own: Sequence[Standing]) -> bool:
    """Tell whether he may see that a courier of his tenant is here, by his own orders of now."""
    his = {one.delivery_status for one in own if one.courier_id == courier_id}
    match principal.role:
        case Role.SUPPORT | Role.ADMIN | Role.INTEGRATOR:
            return True
        case Role.CUSTOMER:
            return bool(his & WITH_COURIER)
        case Role.RESTAURANT:
            return bool(his & BEFORE_PICKUP)
        case Role.COURIER:
            return principal.courier_id == courier_id
        case Role.ANONYMOUS:
            return False


class _Watched:
    """A person whom somebody watches."""

    __slots__ = ("is_online", "silence", "tells")

    def __init__(self) -> None:
        self.is_online: bool | None = None
        self.tells: tuple[Tell, ...] = ()
        self.silence: Callable[[], None] = lambda: None


class PresenceBoard:
    """Who of the watched persons is here, as far as this node knows."""

    def __init__(self, presence: Presences, live: Live) -> None:
        self._presence = presence
        self._live = live
        self._watched: dict[str, _Watched] = {}
        self._is_asked = trio.Event()

    def watch(self, person: str, tell: Tell) -> Callable[[], None]:
        """Tell whether a person is here, soon and at each change; return what ends it.

        With too many watched on this node, nothing is told of him.
        """
        watched = self._watched.get(person)
        if watched is None:
            if len(self._watched) >= PERSONS_MAX:
                return lambda: None
            watched = self._begin(person)
        watched.tells = (*watched.tells, tell)
        if watched.is_online is not None:
            tell(watched.is_online)
        return lambda: self._end(person, tell)

    def count(self) -> int:
        """Return how many persons are watched."""
        return len(self._watched)

    async def run(self) -> None:
        """Look who is here, at once for whoever is new, until cancelled."""
        while True:
            with suppress(RedisUnreachable):
                await self._look(tuple(self._watched))
            with trio.move_on_after(LOOK_S):
                await self._ask_for_new()

    def _begin(self, person: str) -> _Watched:
        watched = self._watched[person] = _Watched()
        watched.silence = self._live.subscribe(
            presence_channel(person), lambda told: self._tell(person, is_online=told == HERE)
        )
        self._is_asked.set()
        return watched

    def _end(self, person: str, tell: Tell) -> None:
        watched = self._watched.get(person)
        if watched is None:
            return
        watched.tells = tuple([one for one in watched.tells if one is not tell])
        if not watched.tells:
            watched.silence()
            del self._watched[person]

    async def _ask_for_new(self) -> None:
        while True:
            await self._is_asked.wait()
            self._is_asked = trio.Event()
            new = [person for person, one in self._watched.items() if one.is_online is None]
            with suppress(RedisUnreachable):
                await self._look(new)

    async def _look(self, persons: Sequence[str]) -> None:
        present = await self._presence.present(persons)
        for person in persons:
            self._tell(person, is_online=person in present)

    def _tell(self, person: str, *, is_online: bool) -> None:
        watched = self._watched.get(person)
        if watched is not None and watched.is_online is not is_online:
            watched.is_online = is_online
            for tell in watched.tells:
                tell(is_online)
