"""What must be true of machines in conversation: always, when all is said, and at the end.

The states of all actors are held against each other. In flight, two actors may tell different
stories of the same order; what may never happen even then is in `check_always`. When no message is
under way everybody must tell the same story: `check_settled`. And when all deadlines have passed,
every order has ended, or operations have been told to look at it: `check_ended`.
"""

from collections.abc import Iterator, Mapping

from dispatch import courier, offer, order, route
from dispatch.courier import Courier
from dispatch.delivery import (
    AFTER_PICKUP,
    BEFORE_PICKUP,
    DELIVERY_LEGAL,
    WITH_COURIER,
    DeliveryStatus,
)
from dispatch.ids import OrderId
from dispatch.kitchen import FINISHED, ORDER_LEGAL, OrderStatus
from dispatch.offer import Offer
from dispatch.order import Order
from dispatch.restaurant import Restaurant
from dispatch.round import Round

type State = Order | Courier | Offer | Restaurant | Round
type Address = tuple[str, str]
type States = Mapping[Address, State]


def every[S: State](states: States, kind: type[S]) -> Iterator[S]:
    """Return the states of one kind."""
    return (state for state in states.values() if isinstance(state, kind))


def check_move(before: State | None, after_it: State | None) -> None:
    """An order moves only along its tables, and never out of an end."""
    if not isinstance(before, Order) or not isinstance(after_it, Order):
        return
    if after_it.status is not before.status:
        assert after_it.status in ORDER_LEGAL[before.status].values()
    if after_it.delivery.status is not before.delivery.status:
        assert after_it.delivery.status in DELIVERY_LEGAL[before.delivery.status].values()
    if before.status in FINISHED:
        assert after_it == before


def check_always(states: States) -> None:
    """What holds at any moment, whatever is under way."""
    for one in every(states, Courier):
        _check_route(one)
    _check_offers(states)
    for one in every(states, Order):
        is_held = one.delivery.status in WITH_COURIER | {DeliveryStatus.OFFERED}
        assert not is_held or (one.delivery.courier_id and one.delivery.offer_id)
        if one.delivery.status is DeliveryStatus.PENDING:
            assert one.delivery.courier_id is None
        _check_courier_did_it(states, one)


def _check_route(one: Courier) -> None:
    """His route can be driven, never overloads him, and holds all that he carries."""
    sizes = {task.order_id: task.size for task in one.tasks}
    assert route.is_sound(one.route, one.carried), one
    assert sorted(sizes) == sorted(route.order_ids(one.route)), one
    assert route.load_peak(one.route, sizes) <= one.load_max, one
    assert set(one.returning) <= set(one.carried), one
    assert all(task.offer_id is not None for task in one.tasks), one


def _check_offers(states: States) -> None:
    """No order is asked for twice at a time, and a courier holds only what he took."""
    asked = [
        task.order_id
        for one in every(states, Offer)
        if one.stage is offer.Stage.OPEN
        for task in one.tasks
        if not order.is_finished(_order(states, task.order_id))
    ]
    assert len(asked) == len(set(asked)), asked
    for one in every(states, Courier):
        for task in one.tasks:
            taken = states["offer", task.offer_id or ""]
            assert isinstance(taken, Offer)
            assert (taken.stage, taken.courier_id) == (offer.Stage.TAKEN, one.courier_id)


def _check_courier_did_it(states: States, one: Order) -> None:
    """A delivered order was delivered by the courier whose order it was."""
    if one.delivery.status is DeliveryStatus.DELIVERED:
        state = states["courier", one.delivery.courier_id or ""]
        assert isinstance(state, Courier)
        assert one.order_id in state.recent


def _order(states: States, order_id: OrderId) -> Order:
    state = states["order", order_id]
    assert isinstance(state, Order)
    return state


def check_settled(states: States) -> None:
    """What holds whenever no message is under way: everybody tells the same story."""
    check_always(states)
    for one in every(states, Courier):
        _check_agrees(states, one)
    for one in every(states, Order):
        _check_held(states, one)
    for one in every(states, Offer):
        _check_asked(states, one)
    for one in every(states, Restaurant):
        _check_kitchen(states, one)


def _check_agrees(states: States, one: Courier) -> None:
    """Each order in his route is his by that very assignment, and in the bag if both say so."""
    for task in one.tasks:
        held = _order(states, task.order_id).delivery
        assert (held.courier_id, held.offer_id) == (one.courier_id, task.offer_id), (one, held)
        carried = AFTER_PICKUP if task.order_id in one.carried else BEFORE_PICKUP
        assert held.status in carried, (one, held)
        is_returning = held.status is DeliveryStatus.RETURNING
        assert is_returning == (task.order_id in one.returning), (one, held)


def _check_held(states: States, one: Order) -> None:
    """An order that has a courier is in his route, one that is offered in a live offer."""
    held = one.delivery
    if held.status in WITH_COURIER:
        state = states["courier", held.courier_id or ""]
        assert isinstance(state, Courier)
        assert one.order_id in {task.order_id for task in state.tasks}, (one, state)
    if held.status is DeliveryStatus.OFFERED:
        state = states["offer", held.offer_id or ""]
        assert isinstance(state, Offer)
        assert not offer.is_finished(state), (one, state)


def _check_asked(states: States, one: Offer) -> None:
    """An open offer has its courier and its orders; a closed one has nobody waiting for it."""
    state = states["courier", one.courier_id]
    assert isinstance(state, Courier)
    if offer.is_finished(one):
        assert state.offer_id != one.offer_id, (one, state)
        return
    assert state.offer_id == one.offer_id, (one, state)
    for task in one.tasks:
        held = _order(states, task.order_id).delivery
        assert (held.status, held.offer_id) == (DeliveryStatus.OFFERED, one.offer_id), (one, held)


def _check_kitchen(states: States, one: Restaurant) -> None:
    """What occupies the kitchen is waited for."""
    waited_for = frozenset(OrderStatus) - FINISHED - {OrderStatus.HANDED_OVER}
    for order_id in one.cooking:
        assert _order(states, order_id).status in waited_for


def check_ended(states: States) -> None:
    """What holds when all deadlines have passed: every order has ended, or somebody looks at it."""
    for one in every(states, Order):
        assert one.status in FINISHED or one.delivery.attention, one
    for one in every(states, Courier):
        assert one.stage in {courier.Stage.OFF, courier.Stage.ENDING}, one
        assert not route.to_collect(one.route), one
