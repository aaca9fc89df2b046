"""What follows when an order hears a message that its tables allow.

`followed` moves the order by `ORDER_LEGAL` and `DELIVERY_LEGAL` and hands the change to the one
function that knows what this message brings with it: times noted, facts recorded, couriers, offers
and kitchens told. Whether a message is to be followed at all is decided in `dispatch.order`.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from dispatch.delivery import (
    BEFORE_PICKUP,
    DECLINED_MAX,
    DELIVERY_LEGAL,
    WITH_COURIER,
    ArriveAtDropOff,
    ArriveAtPickup,
    Assign,
    ByCourier,
    Cancel,
    Claim,
    CloseOffer,
    DeliveryStatus,
    Depart,
    DepartToDropOff,
    Discard,
    Due,
    GiveUp,
    HandOver,
    HandToCustomer,
    Lapse,
    LoseCourier,
    Party,
    PickUp,
    Reject,
    Release,
    Return,
    StartReturn,
)
from dispatch.ids import CourierId, Instant, OfferId, after
from dispatch.invitation import Claimed, Unclaimed, Withdraw
from dispatch.kitchen import (
    ORDER_LEGAL,
    Accept,
    Delay,
    Leave,
    MarkReady,
    OrderStatus,
    StartPreparing,
)
from dispatch.order_state import (
    DeliveryTroubled,
    Order,
    OrderCanceled,
    OrderDelayed,
    OrderMoved,
)
from dispatch.policy import Policy
from dispatch.step import Accepted, Effect, Record, Reply, Step, Tell

_ORDER_CAUSES = frozenset(cause for row in ORDER_LEGAL.values() for cause in row)
_DELIVERY_CAUSES = frozenset(cause for row in DELIVERY_LEGAL.values() for cause in row)


def reached(order: Order, cause: type[Struct]) -> tuple[OrderStatus, DeliveryStatus] | None:
    """Return the statuses that the tables allow after `cause`, or None when one forbids it."""
    status: OrderStatus | None = order.status
    delivery_status: DeliveryStatus | None = order.delivery.status
    if cause in _ORDER_CAUSES:
        status = ORDER_LEGAL[order.status].get(cause)
    if cause in _DELIVERY_CAUSES:
        delivery_status = DELIVERY_LEGAL[order.delivery.status].get(cause)
    is_known = cause in _ORDER_CAUSES or cause in _DELIVERY_CAUSES
    if not is_known or status is None or delivery_status is None:
        return None
    return status, delivery_status


def followed(order: Order, cause: Struct, now: Instant, policy: Policy) -> Step[Order | None]:
    """Return the order moved by a legal message, and everything that it brings with it."""
    statuses = reached(order, type(cause))
    assert statuses is not None, (order, cause)
    status, delivery_status = statuses
    moved = structs.replace(order, status=status)
    if delivery_status is not order.delivery.status:
        delivery = structs.replace(order.delivery, status=delivery_status, attention="")
        moved = structs.replace(moved, delivery=delivery, version=order.version + 1)
    change = _Change(before=order, order=moved, cause=cause, now=now, policy=policy)
    return _CONSEQUENCES[type(cause)](change)


class _Change(Struct, frozen=True, kw_only=True):
    """A message being followed: `order` has its new statuses and nothing else yet."""

    before: Order
    order: Order
    cause: Struct
    now: Instant
    policy: Policy


def _told(change: _Change, order: Order, *effects: Effect) -> Step[Order | None]:
    """Return the step to `order` with its fact, told to the customer and the restaurant."""
    if order == change.before:
        return Step(order, (Reply(Accepted()),))
    fact = _fact(order, change.now)
    return Step(
        order,
        (
            Record(fact),
            Reply(Accepted()),
            Tell("feed", order.customer_id, fact),
            Tell("feed", order.restaurant_id, fact),
            *effects,
        ),
    )


def _fact(order: Order, now: Instant) -> OrderMoved:
    return OrderMoved(
        order_id=order.order_id,
        status=order.status,
        delivery_status=order.delivery.status,
        courier_id=order.delivery.courier_id,
        ready_at=order.ready_at,
        reason=order.reason,
        at=now,
    )


def _noted(order: Order, **changes: object) -> Order:
    """Return the order with something noted of its delivery."""
    return structs.replace(order, delivery=structs.replace(order.delivery, **changes))


def _moved(change: _Change) -> Step[Order | None]:
    return _told(change, change.order)


def _accepted(change: _Change) -> Step[Order | None]:
    """Schedule the search for a courier, or begin it in the same step."""
    assert isinstance(change.cause, Accept)
    now, policy, wanted_at = change.now, change.policy, change.order.wanted_at
    ready_at, release_at = after(now, policy.prep_default_s), now
    if wanted_at is not None:
        ready_at = max(ready_at, wanted_at)
        release_at = max(now, after(wanted_at, -policy.release_lead_s))
    if change.cause.ready_at is not None:
        ready_at = change.cause.ready_at
    accepted = structs.replace(
        change.order, ready_at=ready_at, said_at=ready_at, release_at=release_at
    )
    told = _told(change, accepted)
    if release_at > now:
        return told
    due = followed(accepted, Due(), now, policy)
    return Step(due.state, (*told.effects, *_without_reply(due)))


def _without_reply(inner: Step[Order | None]) -> tuple[Effect, ...]:
    return tuple(effect for effect in inner.effects if not isinstance(effect, Reply))


def _rejected(change: _Change) -> Step[Order | None]:
    reason = change.cause.reason if isinstance(change.cause, Reject) else "no-answer"
    ended = _noted(structs.replace(change.order, reason=reason), ended_at=change.now)
    return _told(change, ended, _leave(ended))


def _leave(order: Order) -> Tell:
    return Tell("restaurant", order.restaurant_id, Leave(order.order_id))


def _delayed(change: _Change) -> Step[Order | None]:
    assert isinstance(change.cause, Delay)
    return _told(
        change,
        structs.replace(
            change.order, ready_at=change.cause.ready_at, said_at=change.cause.ready_at
        ),
    )


def _readied(change: _Change) -> Step[Order | None]:
    """Tell the courier who is on his way, too."""
    ready = structs.replace(change.order, ready_at=change.now)
    courier_id = ready.delivery.courier_id
    if courier_id is None or ready.delivery.status not in BEFORE_PICKUP:
        return _told(change, ready)
    return _told(change, ready, Tell("feed", courier_id, _fact(ready, change.now)))


def _canceled(change: _Change) -> Step[Order | None]:
    """Call the order off, and let everybody go who was busy with it."""
    by, reason = Party.SYSTEM, "no-courier"
    if isinstance(change.cause, Cancel):
        by, reason = change.cause.by, change.cause.reason
    was_bound = change.before.delivery.status in WITH_COURIER
    fact = OrderCanceled(
        order_id=change.order.order_id,
        by=by,
        reason=reason,
        is_free=by is not Party.CUSTOMER or not was_bound,
        at=change.now,
    )
    ended = structs.replace(change.order, reason=reason or f"by-{by}")
    ended = _noted(ended, ended_at=change.now)
    freed = (*_offer_freed(change.before), *_courier_freed(change.before, str(by)))
    return _told(change, ended, Record(fact), _leave(ended), *freed)


def _offer_freed(before: Order) -> tuple[Effect, ...]:
    """Tell the offer that held the order that it is gone."""
    held = before.delivery
    if held.status is not DeliveryStatus.OFFERED or held.offer_id is None:
        return ()
    return (Tell("offer", held.offer_id, Unclaimed(before.order_id)),)


def _courier_freed(before: Order, reason: str) -> tuple[Effect, ...]:
    """Tell the courier who held the order that it is gone."""
    held = before.delivery
    if held.status not in WITH_COURIER or held.courier_id is None:
        return ()
    withdraw = Withdraw(before.order_id, reason, held.offer_id)
    return (Tell("courier", held.courier_id, withdraw),)


def _searched(change: _Change) -> Step[Order | None]:
    """Put the order (back) among those that a round has to find a courier for."""
    delivery = structs.replace(
        change.order.delivery,
        offer_id=None,
        courier_id=None,
        assigned_at=None,
        pending_at=change.order.delivery.pending_at or change.now,
        declined_by=_declined_by(change),
        released=_released(change),
    )
    searched = structs.replace(
        change.order,
        delivery=delivery,
        give_up_at=change.order.give_up_at or _give_up_at(change),
    )
    reason = str(type(change.cause).__struct_config__.tag)
    return _told(change, searched, *_courier_freed(change.before, reason))


def _released(change: _Change) -> tuple[CourierId, OfferId] | None:
    """Return whom it was taken back from last, while he may have collected it unheard."""
    held = change.before.delivery
    match change.cause:
        case CloseOffer():
            return held.released
        case Release() if held.courier_id is not None and held.offer_id is not None:
            return (held.courier_id, held.offer_id)
        case _:
            return None


def _give_up_at(change: _Change) -> Instant:
    """Return a deadline that is never due at once, so that a search always begins."""
    return max(after(change.now, change.policy.give_up_s), Instant(change.now + 1))


def _declined_by(change: _Change) -> tuple[CourierId, ...]:
    """Return who is not to be asked again, the latest of them when there are too many."""
    before = change.order.delivery.declined_by
    if not isinstance(change.cause, CloseOffer) or change.cause.declined_by is None:
        return before
    keeps = min(change.policy.declines_max, DECLINED_MAX)
    return (*before, change.cause.declined_by)[-keeps:] if keeps else ()


def _handed_over(change: _Change) -> Step[Order | None]:
    """Search anew, for the food where it is now, and have operations watch over it."""
    assert isinstance(change.cause, HandOver)
    order = structs.replace(change.order, give_up_at=_give_up_at(change))
    kitchen = order.delivery.kitchen or order.delivery.pickup
    order = _noted(order, pickup=change.cause.point, kitchen=kitchen, attention="hand-over")
    return _searched(structs.replace(change, order=order))


def _claimed(change: _Change) -> Step[Order | None]:
    """Stand in this offer and in no other; the customer is not told before somebody took it."""
    claim = change.cause
    assert isinstance(claim, Claim)
    offered = _noted(change.order, offer_id=claim.offer_id, courier_id=claim.courier_id)
    return Step(offered, (Tell("offer", claim.offer_id, Claimed(offered.order_id)),))


def _assigned(change: _Change) -> Step[Order | None]:
    """Note when the order became a courier's, whether by the offer's word or by his own."""
    assigned_at = change.order.delivery.assigned_at or change.now
    return _told(change, _noted(change.order, assigned_at=assigned_at))


def _picked_up(change: _Change) -> Step[Order | None]:
    assigned_at = change.order.delivery.assigned_at or change.now
    picked_up = _noted(
        change.order, assigned_at=assigned_at, picked_up_at=change.now, released=None
    )
    return _told(change, picked_up, _leave(picked_up))


def kept(order: Order, pick_up: PickUp, now: Instant, policy: Policy) -> Step[Order | None]:
    """Give the order back to the courier it was taken from, who had collected it before he heard.

    Whoever was to have it in his place is let go first, so that it has one courier at a time.
    """
    freed: tuple[Effect, ...] = _offer_freed(order)
    held = order.delivery
    if held.status is not DeliveryStatus.PENDING:
        assert held.offer_id is not None
        is_offered = held.status is DeliveryStatus.OFFERED
        cause = CloseOffer(held.offer_id) if is_offered else Release(order.version)
        search = followed(order, cause, now, policy)
        assert search.state is not None
        order, freed = search.state, (*freed, *_without_reply(search))
    his = _noted(order, courier_id=pick_up.courier_id, offer_id=pick_up.offer_id)
    picked_up = followed(his, pick_up, now, policy)
    return Step(picked_up.state, (*freed, *picked_up.effects))


def is_later_than_told(order: Order, expected_at: Instant, policy: Policy) -> bool:
    """Tell whether an order that comes is so much later than its customer knows as to tell him."""
    if order.promised_at is None or order.delivery.status not in _COMING:
        return False
    if order.warned_for is not None:
        return expected_at > after(order.warned_for, policy.late_again_s)
    return expected_at > after(order.promised_at, policy.late_s)


def warned(order: Order, expected_at: Instant, now: Instant, policy: Policy) -> Step[Order | None]:
    """Warn the customer, and whoever reads the journal, of an order that will be late.

    He is told once; then only of what is later than that by as much as Policy says, so that an
    estimate that wavers around the promise does not.
    """
    if order.promised_at is None or not is_later_than_told(order, expected_at, policy):
        return Step(order, (Reply(Accepted()),))
    fact = OrderDelayed(
        order_id=order.order_id,
        restaurant_id=order.restaurant_id,
        promised_at=order.promised_at,
        expected_at=expected_at,
        at=now,
    )
    told = Tell("feed", order.customer_id, fact)
    warned_of = structs.replace(order, warned_for=expected_at)
    return Step(warned_of, (Record(fact), Reply(Accepted()), told))


_COMING = WITH_COURIER - {DeliveryStatus.RETURNING} | {
    DeliveryStatus.SCHEDULED,
    DeliveryStatus.PENDING,
    DeliveryStatus.OFFERED,
}


def _delivered(change: _Change) -> Step[Order | None]:
    assert isinstance(change.cause, HandToCustomer)
    reason = "left-at-door" if change.cause.left_at_door else ""
    return _ended(change, structs.replace(change.order, reason=reason))


def _turned_back(change: _Change) -> Step[Order | None]:
    assert isinstance(change.cause, StartReturn)
    return _told(change, structs.replace(change.order, reason=change.cause.reason))


def _discarded(change: _Change) -> Step[Order | None]:
    cause = change.cause
    assert isinstance(cause, Discard)
    was_returning = change.before.delivery.status is DeliveryStatus.RETURNING
    order = structs.replace(change.order, reason=cause.reason)
    return _undelivered(change, order, is_free=not (cause.has_waited or was_returning))


def _returned(change: _Change) -> Step[Order | None]:
    return _undelivered(change, change.order, is_free=False)


def _undelivered(change: _Change, order: Order, *, is_free: bool) -> Step[Order | None]:
    """End an order that was picked up and has not reached anybody, and say who bears it."""
    assert isinstance(change.cause, ByCourier)
    fact = OrderCanceled(
        order_id=order.order_id,
        by=Party.SUPPORT if change.cause.offer_id is None else Party.COURIER,
        reason=order.reason,
        is_free=is_free,
        at=change.now,
    )
    return _ended(change, order, Record(fact))


def _ended(change: _Change, order: Order, *facts: Record) -> Step[Order | None]:
    """End an order that was picked up; a courier who did not say so himself is told."""
    assert isinstance(change.cause, ByCourier)
    freed = _courier_freed(change.before, "ended") if change.cause.offer_id is None else ()
    return _told(change, _noted(order, ended_at=change.now), *facts, *freed)


def _lost(change: _Change) -> Step[Order | None]:
    """Free the order when it has not been picked up; else ask operations to look."""
    cause, order = change.cause, change.order
    assert isinstance(cause, LoseCourier)
    if order.delivery.status is DeliveryStatus.PENDING:
        return _searched(change)
    troubled = DeliveryTroubled(
        order_id=order.order_id, courier_id=cause.courier_id, reason=cause.reason, at=change.now
    )
    return _told(change, _noted(order, attention=cause.reason), Record(troubled))


_CONSEQUENCES: Mapping[type[Struct], Callable[[_Change], Step[Order | None]]] = {
    Accept: _accepted,
    Reject: _rejected,
    Lapse: _rejected,
    StartPreparing: _moved,
    Delay: _delayed,
    MarkReady: _readied,
    Cancel: _canceled,
    GiveUp: _canceled,
    Due: _searched,
    Claim: _claimed,
    CloseOffer: _searched,
    Assign: _assigned,
    Release: _searched,
    LoseCourier: _lost,
    HandOver: _handed_over,
    Depart: _assigned,
    ArriveAtPickup: _assigned,
    PickUp: _picked_up,
    DepartToDropOff: _moved,
    ArriveAtDropOff: _moved,
    HandToCustomer: _delivered,
    StartReturn: _turned_back,
    Discard: _discarded,
    Return: _returned,
}
