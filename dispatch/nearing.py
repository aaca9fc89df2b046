"""Coming to where one was going, as pings tell it: the courier's side of a fence.

The position feed says that a courier has come to the restaurant or the door he was on his way to,
and stays there. It is noted, with the stop it is about, and told to him, so that his app can ask
whether he has arrived; how his orders stand does not change by it, since a phone can be wrong or
can lie. Only where Policy says so does it count as his own word.
"""

from msgspec import Struct, structs

from dispatch.courier_state import Arrive, Courier, CourierNeared, Near, Neared
from dispatch.heading import is_driving, next_stop
from dispatch.ids import Instant, OrderId, RestaurantId
from dispatch.policy import Policy
from dispatch.progress import reported
from dispatch.route import DropOff
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, refuse
from geo.point import Point


class Target(Struct, frozen=True, kw_only=True):
    """Where he is on his way to: a restaurant, or the door of an order."""

    point: Point
    restaurant_id: RestaurantId | None = None
    order_id: OrderId | None = None
    departed_at: Instant | None = None


def target_of(courier: Courier) -> Target | None:
    """Return the restaurant or the door that he is on his way to, None for one who is on none."""
    heading = courier.heading
    if heading is not None and is_driving(courier):
        return Target(
            point=heading.point,
            restaurant_id=heading.restaurant_id,
            departed_at=heading.departed_at,
        )
    stop = next_stop(courier) if heading is None else None
    if not isinstance(stop, DropOff) or stop.order_id in courier.returning:
        return None
    is_his = stop.order_id in courier.carried
    return Target(point=stop.point, order_id=stop.order_id) if is_his else None


def neared(courier: Courier, message: Near, now: Instant, policy: Policy) -> Step[Courier | None]:
    """Note that he has come to where he was going."""
    target = target_of(courier)
    if target is None or (message.restaurant_id, message.order_id) != _names(target):
        return refuse(courier, Code.NOT_AT_STOP, "he is not on his way there")
    if is_noted(courier, target):
        return Step(courier, (Reply(Accepted()),))
    noted = structs.replace(
        courier,
        neared=Neared(
            restaurant_id=target.restaurant_id,
            order_id=target.order_id,
            departed_at=target.departed_at,
            at=now,
        ),
    )
    fact = CourierNeared(
        courier_id=courier.courier_id,
        restaurant_id=target.restaurant_id,
        order_id=target.order_id,
        at=now,
    )
    told = (Record(fact), Tell("feed", courier.courier_id, fact))
    if not policy.arrives_by_fence:
        return Step(noted, (*told, Reply(Accepted())))
    arrival = reported(noted, Arrive(target.order_id, target.restaurant_id), now, policy)
    return Step(arrival.state, (*told, *arrival.effects))


def is_noted(courier: Courier, target: Target) -> bool:
    """Tell whether it was noted already that he has come there on this way."""
    before = courier.neared
    return before is not None and (
        (before.restaurant_id, before.order_id, before.departed_at)
        == (target.restaurant_id, target.order_id, target.departed_at)
    )


def _names(target: Target) -> tuple[RestaurantId | None, OrderId | None]:
    return target.restaurant_id, target.order_id
