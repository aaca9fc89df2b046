"""Fences around where couriers are going: who has come there is told once, and nobody else is."""

from collections.abc import Sequence

from msgspec import Struct, structs

from dispatch.courier import Courier, Near, Neared
from dispatch.ids import CourierId, Instant
from dispatch.nearing import target_of
from dispatch.step import Code, Refused
from geo.fence import Fencing
from geo.ping import Ping, Track
from geo.point import LatLng, Point
from geo.positions import PositionTable
from geo.projection import Projection
from node.fences import Fences
from tests.dispatch.builders import (
    COURIER,
    NOW,
    ORDER,
    RESTAURANT,
    a_courier,
    a_task,
    busy,
    loaded,
    sure,
)

PLANE = Projection(LatLng(55.68, 12.57))


class Street:
    """One courier, where he is, and what his actor is told."""

    def __init__(self, courier: Courier) -> None:
        self.courier: Courier | None = courier
        self.told: list[Struct] = []
        self.answer: Refused | None = None
        self.looked_up = 0
        self.second = 0
        self._table = PositionTable(PLANE)
        self._table.join(COURIER, NOW)
        self.fences = Fences(self._find, self._table, self._hear, Fencing())

    def ride(self, places_m: Sequence[float], every_s: int = 5) -> list[Struct]:
        """Have him report himself so far east of the kitchen; return what his actor is told."""
        before = len(self.told)
        for x_m in places_m:
            self.second += every_s
            at = NOW + 1_000 * self.second
            where = PLANE.to_lat_lng(Point(x_m, 0.0))
            track = Track(COURIER, (Ping(where.lat, where.lng, 1.0, at),))
            self._table.apply([track], at)
            self.fences.look([track], Instant(at))
        return self.told[before:]

    def _find(self, courier_id: CourierId) -> Courier | None:
        assert courier_id == COURIER
        self.looked_up += 1
        return self.courier

    def _hear(self, kind: str, key: str, message: Struct) -> Refused | None:
        assert (kind, key) == ("courier", COURIER)
        self.told.append(message)
        return self.answer


def test_a_courier_who_has_come_to_his_kitchen_is_told_so() -> None:
    street = Street(busy(a_task()))

    riding = street.ride([400, 360, 320, 280, 240, 200, 160, 120, 80])
    waiting = street.ride([5] * 6)

    assert riding == []
    assert set(waiting) == {Near(restaurant_id=RESTAURANT)}


def test_once_it_is_noted_he_is_not_told_again() -> None:
    street = Street(busy(a_task()))
    street.ride([5] * 5)
    courier = sure(street.courier)
    target = sure(target_of(courier))
    noted = Neared(restaurant_id=RESTAURANT, order_id=None, departed_at=target.departed_at, at=NOW)
    street.courier = structs.replace(courier, neared=noted)

    assert street.ride([5] * 20) == []


def test_what_his_actor_did_not_take_is_told_again_at_the_next_look() -> None:
    street = Street(busy(a_task()))
    street.answer = Refused(Code.OVERLOADED)

    told = street.ride([5] * 7)

    assert len(told) == 3


def test_a_fence_is_around_the_door_once_he_has_the_food() -> None:
    street = Street(loaded(a_task()))

    beside = street.ride([0] * 8)
    at_the_door = street.ride([1_000] * 40)

    assert beside == []
    assert set(at_the_door) == {Near(order_id=ORDER)}


def test_a_courier_with_nothing_to_do_and_one_who_is_gone_have_no_fence() -> None:
    street = Street(a_courier())
    idle = street.ride([0] * 8)
    street.courier = None

    assert idle == []
    assert street.ride([0] * 8) == []


def test_a_courier_is_looked_at_the_less_often_the_further_he_has_to_ride() -> None:
    far, close = Street(busy(a_task())), Street(busy(a_task()))

    far.ride([900] * 60, every_s=1)
    close.ride([90] * 60, every_s=1)

    assert far.looked_up == 4
    assert close.looked_up == 30


def test_a_ping_that_claims_to_be_from_the_future_keeps_nobody_from_being_looked_at() -> None:
    street = Street(busy(a_task()))
    ahead = Ping(55.68, 12.57, 0.0, NOW + 10**15)
    street.fences.look([Track(COURIER, (ahead,))], NOW)

    assert set(street.ride([5] * 8)) == {Near(restaurant_id=RESTAURANT)}


def test_who_went_off_shift_is_forgotten_with_what_was_seen_of_him() -> None:
    street = Street(busy(a_task()))
    street.ride([5] * 4)
    street.fences.forget(COURIER)

    assert street.ride([5] * 4) == []
