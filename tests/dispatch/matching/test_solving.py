"""A whole round as one function: what kitchens have taught goes into what couriers are told."""

import random

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.demand import Demand
from dispatch.matching.kitchens import Cooked, Kitchens
from dispatch.matching.snapshot import OpenOrder
from dispatch.matching.solving import Request, answer
from dispatch.matching.survey import Survey
from dispatch.route import Task
from geo.point import Point
from tests.dispatch.matching.markets import STREET, courier, matching

OVEN = RestaurantId("r100")


def asked(kitchens: Kitchens, *, cooked: tuple[Cooked, ...] = ()) -> Request:
    """A round with a courier 100 s away from food that is said to need 400 s more, 900 s in all."""
    order = OpenOrder(
        id=OrderId("o1"),
        restaurant_id=OVEN,
        dropoff=(300, 0),
        placed_s=-500,
        ready_s=400,
        said_s=400,
    )
    task = Task(order_id=order.id, restaurant_id=OVEN, pickup=Point(100, 0), dropoff=Point(300, 0))
    return Request(
        number=1,
        survey=Survey(
            at=Instant(0),
            restaurants={OVEN: (100, 0)},
            orders=(order,),
            couriers=(courier(1, at=0),),
            asked=(),
            cooked=cooked,
            tasks={order.id: task},
            order_versions={order.id: 1},
            courier_versions={CourierId("c1"): 1},
        ),
        kept=None,
        demand=Demand(),
        kitchens=kitchens,
        policy=matching(ready_lead=1.2),
        travel=STREET,
        solver="greedy",
    )


def erring(error_s: float) -> Kitchens:
    """Kitchens that take 900 s, give or take 300, and err by so much."""
    rng = random.Random(1)
    return Kitchens().after(
        Cooked(OVEN, max(0.0, rng.gauss(900, 300)), rng.gauss(0, error_s)) for _ in range(300)
    )


def test_where_kitchens_err_a_courier_sets_out_sooner() -> None:
    sent = {
        error_s: len(answer(asked(erring(error_s))).solved.dispatches) for error_s in (0.0, 500.0)
    }

    assert sent == {0.0: 0, 500.0: 1}


def test_what_became_ready_is_learned_from_for_the_next_round() -> None:
    before = erring(100)

    told = answer(asked(before, cooked=(Cooked(OVEN, 1_800, 900),)))

    assert told.kitchens == before.after([Cooked(OVEN, 1_800, 900)])
