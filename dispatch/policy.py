"""Every knob of a decision, in one frozen value.

A Policy is an argument: machines and rounds are handed one, each round records the one it used, and
so a decision can be replayed. Every field names its unit, its range, its default and, in one
sentence, what turning it does. The prices of a plan (`Matching`) are seconds of one customer's
waiting; a price of 0.15 on a second of courier's work means that saving a customer nine seconds is
worth a minute of driving.
"""

from typing import Annotated, Self

from msgspec import Meta, Struct, structs

type Seconds = Annotated[float, Meta(ge=0, le=7 * 86_400)]
type Share = Annotated[float, Meta(ge=0, le=100)]
type Count = Annotated[int, Meta(ge=0, le=10_000)]


class Matching(Struct, frozen=True, kw_only=True):
    """What a round's plan is worth, and how wide it looks."""

    bundle_max: Annotated[int, Meta(ge=1, le=6)] = 3
    """Orders of one restaurant that a courier may carry together."""
    trips_max: Annotated[int, Meta(ge=1, le=16)] = 8
    """Trips that a courier's plan may hold, the one being driven included."""
    candidates_now_max: Count = 24
    """Couriers looked at for an order because they could be at its restaurant first, as of now."""
    candidates_after_max: Count = 16
    """Couriers looked at because they could be there first once their present plan is done."""
    ejections_max: Count = 40
    """Orders that a round takes out of its plan once more, to see whether they fit better anew."""
    ejection_size: Annotated[int, Meta(ge=1, le=16)] = 5
    """Orders taken out together, the nearest in place and time; more find more and take longer."""
    work_price: Share = 0.15
    """Price of a second of courier's travel and service, in customer's seconds."""
    end_price: Share = 0.2
    """Price of a second of expected empty travel from where a plan ends to the next pickup."""
    nearness_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    """How far away a restaurant weighs a third of one at hand in that expectation."""
    demand_memory_s: Annotated[float, Meta(gt=0, le=864_000)] = 3_600.0
    """Time after which an order counts half in where the next ones are expected from."""
    switch_price_s: Seconds = 0.0
    """Price of moving an order from the courier who holds it to another."""
    ageing_s: Annotated[float, Meta(gt=0, le=1e9)] = 1_800.0
    """Delay at which a second more counts twice; without such ageing a far order could starve."""
    unplanned_price_s: Seconds = 12_000.0
    """Leaving an order out is priced as being so much later than at once; far above any delay."""


class Policy(Struct, frozen=True, kw_only=True):
    """How a market is run."""

    round_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    """Time from one round to the next; shorter reacts sooner and plans with less knowledge."""
    round_timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 5.0
    """A plan that has not come by then is given up, and the next round starts afresh."""
    offer_s: Seconds = 30.0
    """Time a courier has to take an offer; 0 assigns directly, without asking."""
    declines_max: Count = 16
    """Couriers remembered as having declined an order, who are not asked again."""
    accept_s: Seconds = 300.0
    """Time a restaurant has to accept an order before it is rejected for it."""
    prep_default_s: Seconds = 900.0
    """Preparation time assumed when a restaurant accepts without naming one."""
    release_lead_s: Seconds = 2_700.0
    """How long before its wanted time a scheduled order is given to dispatch."""
    give_up_s: Seconds = 5_400.0
    """An order nobody has picked up so long after it became pending is canceled with apologies."""
    pickup_s: Seconds = 120.0
    """Handover time at a restaurant: half before the food changes hands, half after."""
    dropoff_s: Seconds = 120.0
    """Handover time at a customer's door: half before the food changes hands, half after."""
    bag_s_max: Seconds = 2_400.0
    """Time food of a bundle may be in the bag; a single order may take as long as its way does."""
    load_max: Annotated[int, Meta(ge=1, le=100)] = 6
    """Units of load that a courier carries, unless his vehicle says otherwise."""
    diverts: bool = False
    """Whether a courier on his way to one restaurant may be sent to another."""
    quiet_s: Seconds = 90.0
    """A courier not heard from for so long is quiet: he gets no offers, and gives up pickups."""
    depart_slack_s: Seconds = 0.0
    """How much earlier than just in time a courier is sent to a restaurant."""
    matching: Matching = Matching()
    """The prices and the width of a round."""

    def evolve(self, **changes: object) -> Self:
        """Return a copy with `changes`; an unknown name raises TypeError."""
        return structs.replace(self, **changes)
