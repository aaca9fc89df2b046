"""An order that will be late says so: once, and again only when it gets much worse."""

from msgspec import structs

from dispatch import order
from dispatch.delivery import Cancel, HandToCustomer, Party, PickUp
from dispatch.ids import Instant, after
from dispatch.order import Accept, Expect, MarkReady, Order, OrderDelayed, OrderPlaced
from dispatch.step import Accepted, Record, Reply, Step, Tell
from tests.dispatch.builders import (
    CUSTOMER,
    NOW,
    ORDER,
    POLICY,
    RESTAURANT,
    a_place,
    an_assigned_order,
    later,
    said,
    sure,
)

PROMISED = later(2_400)
LATE = after(PROMISED, POLICY.late_s + 1)


def promised(state: Order) -> Order:
    return structs.replace(state, promised_at=PROMISED)


def expecting(state: Order | None, at: Instant) -> Step[Order | None]:
    return order.step(state, Expect(at), later(60), POLICY)


def placed() -> Order:
    asked = structs.replace(a_place(), promised_at=PROMISED)
    return sure(order.step(None, asked, NOW, POLICY).state)


def test_a_promise_made_at_placing_is_kept_in_mind_and_recorded() -> None:
    asked = structs.replace(a_place(), promised_at=PROMISED)

    state, effects = (
        order.step(None, asked, NOW, POLICY).state,
        order.step(None, asked, NOW, POLICY).effects,
    )

    facts = [effect.fact for effect in effects if isinstance(effect, Record)]
    assert sure(state).promised_at == PROMISED
    assert [fact.promised_at for fact in facts if isinstance(fact, OrderPlaced)] == [PROMISED]


def test_an_order_expected_after_its_promise_warns_its_customer() -> None:
    step = expecting(placed(), LATE)

    fact = OrderDelayed(
        order_id=ORDER,
        restaurant_id=RESTAURANT,
        promised_at=PROMISED,
        expected_at=LATE,
        at=later(60),
    )
    assert step.effects == (Record(fact), Reply(Accepted()), Tell("feed", CUSTOMER, fact))
    assert sure(step.state).warned_for == LATE


def test_an_order_a_little_late_is_no_news() -> None:
    state = placed()

    step = expecting(state, after(PROMISED, POLICY.late_s))

    assert step == Step(state, (Reply(Accepted()),))


def test_an_estimate_that_wavers_around_the_promise_warns_once() -> None:
    state: Order | None = placed()

    warnings = 0
    for wavering_s in (200, -60, 250, 100, -300, 400, 600):
        step = expecting(state, after(PROMISED, POLICY.late_s + wavering_s))
        warnings += any(isinstance(effect, Record) for effect in step.effects)
        state = step.state

    assert warnings == 1


def test_an_order_much_later_than_was_told_is_told_again() -> None:
    warned = sure(expecting(placed(), LATE).state)

    again = expecting(warned, after(LATE, POLICY.late_again_s + 1))

    assert any(isinstance(effect, Record) for effect in again.effects)


def test_an_order_in_the_bag_warns_too() -> None:
    carried = promised(an_assigned_order(MarkReady(), said(PickUp)))

    step = expecting(carried, LATE)

    assert any(isinstance(effect, Record) for effect in step.effects)


def test_nobody_is_warned_of_what_was_not_promised_or_is_over() -> None:
    picked_up = an_assigned_order(MarkReady(), said(PickUp))
    over = an_assigned_order(MarkReady(), said(PickUp), said(HandToCustomer))
    canceled = sure(order.step(placed(), Cancel(Party.CUSTOMER), NOW, POLICY).state)

    for state in (picked_up, promised(over), canceled):
        assert expecting(state, LATE) == Step(state, (Reply(Accepted()),))


def test_a_kitchen_that_accepts_does_not_move_the_promise() -> None:
    accepted = sure(order.step(placed(), Accept(later(7_200)), NOW, POLICY).state)

    assert accepted.promised_at == PROMISED
