"""Every knob of a decision, in one frozen value.

A Policy is an argument: machines and rounds are handed one, each round records the one it used, and
so a decision can be replayed. Every field names its unit, its range, its default and, in one
sentence, what turning it does. The prices of a plan (`Matching`) are seconds of one customer's
waiting; a price of 0.15 on a second of courier's work means that saving a customer nine seconds is
worth a minute of driving.
"""

import hashlib
from typing import Annotated, Self

from msgspec import Meta, Struct, msgpack, structs

from geo.fence import Fencing

type Seconds = Annotated[float, Meta(ge=0, le=7 * 86_400)]
type Share = Annotated[float, Meta(ge=0, le=100)]
DEFAULT_SOLVER = "improve"
"""How rounds are solved where nobody chose; `dispatch.matching.solvers` has them all."""

type Count = Annotated[int, Meta(ge=0, le=10_000)]


class Matching(Struct, frozen=True, kw_only=True):
    """What a round's plan is worth, and how wide it looks."""

    bundle_max: Annotated[int, Meta(ge=1, le=6)] = 3
    """Orders of one restaurant that a courier may carry together."""
    trips_max: Annotated[int, Meta(ge=1, le=16)] = 8
    """Trips that a courier's plan may hold, the one being driven included."""
    candidates_now_max: Count = 12
    """Couriers looked at for an order because they could be at its restaurant first, as of now."""
    candidates_idle_max: Count = 24
    """Couriers looked at because they could be there first of those who have nothing to do yet."""
    candidates_after_max: Count = 16
    """Couriers looked at because they could be there first once their present plan is done."""
    iterations_min: Count = 20
    """Changes of its plan that a round tries however few orders there are."""
    iterations_per_order: Annotated[float, Meta(ge=0, le=1_000)] = 14.0
    """Changes tried for each open order; more find better plans and take longer."""
    iterations_max: Annotated[int, Meta(ge=0, le=10_000_000)] = 3_000
    """Changes tried at most, so that a crowded round still ends in time."""
    removed_max: Annotated[int, Meta(ge=1, le=16)] = 8
    """Orders that a change takes out together; more find more and take longer."""
    temperature_s: Annotated[float, Meta(ge=0, le=3_600)] = 24.0
    """How much dearer a change may make the plan early in a round; too much undoes good ones."""
    tile_orders_max: Annotated[int, Meta(ge=1, le=10_000)] = 600
    """Open orders planned together; a larger market is cut into tiles of at most so many."""
    tile_sweeps: Annotated[int, Meta(ge=1, le=8)] = 3
    """Times that a market in tiles is planned, each time cut elsewhere; more mend more borders."""
    work_price: Share = 0.15
    """Price of a second of courier's travel and service, in customer's seconds."""
    end_price: Share = 0.2
    """Price of a second of expected empty travel from where a plan ends to the next pickup."""
    nearness_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    """How far away a restaurant weighs a third of one at hand in that expectation."""
    demand_memory_s: Annotated[float, Meta(gt=0, le=864_000)] = 3_600.0
    """Time after which an order counts half in where the next ones are expected from."""
    ready_lead: Annotated[float, Meta(ge=0, le=3)] = 1.2
    """How long before his food is expected a courier is to be there, in standard deviations of when
    it will be ready; 0 is at the mean, and food that is surely ready then makes nobody early."""
    switch_price_s: Seconds = 60.0
    """Price of moving an order from the courier who holds it: another has to be asked, who may
    decline, and what the first has driven for it was in vain."""
    ageing_s: Annotated[float, Meta(gt=0, le=1e9)] = 1_800.0
    """Delay at which a second more counts twice; without such ageing a far order could starve."""
    unplanned_price_s: Seconds = 12_000.0
    """Leaving an order out is priced as being so much later than at once; far above any delay."""


class Repositioning(Struct, frozen=True, kw_only=True):
    """When an idle courier is sent to wait where work is expected, and what that may cost."""

    drive_price: Share = 0.0
    """Price of a second of empty driving, in customer's seconds; 0 leaves everybody where he is."""
    leg_s_max: Seconds = 720.0
    """Nobody is sent to wait further away than this."""
    stay_s: Seconds = 300.0
    """Who came to wait at a restaurant stays for so long, so that nobody is sent back and forth."""
    horizon_s: Seconds = 2_400.0
    """How long a courier is taken to be of use where he waits, the way there included."""
    busy_share: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    """How likely a courier is gone when the next order comes, so that the next nearest counts."""
    moves_max: Count = 16
    """Couriers sent by one round; more are sent by the next."""
    binds: bool = False
    """Whether who is on his way to wait somewhere gets there before he is sent elsewhere."""


class Fairness(Struct, frozen=True, kw_only=True):
    """What work is worth to a courier, and how hard rounds try to spread it evenly.

    As long as nobody is paid by this system, a credit stands for pay: it has no currency.
    """

    credit_order: Annotated[float, Meta(ge=0, le=1e6)] = 3.0
    """Credit for an order brought to its door."""
    credit_minute: Annotated[float, Meta(ge=0, le=1e6)] = 0.2
    """Credit for a minute at work, so that who gets the far orders does not earn less by it."""
    price_s_max: Seconds = 0.0
    """Most that an order is dearer with who has earned more, or cheaper with who less; 0 is off."""
    prior_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] = 5_400.0
    """Time on shift as which everybody begins at the mean, so that a first order proves little."""


class Safety(Struct, frozen=True, kw_only=True):
    """How long a courier may work. Limits and no prices: a round cannot buy its way past them."""

    shift_s_max: Annotated[float, Meta(gt=0, le=86_400)] = 43_200.0
    """Time on shift after which a courier gets no more pickups, whenever his shift was to end."""
    stretch_s_max: Annotated[float, Meta(gt=0, le=86_400)] = 21_600.0
    """Time without a rest after which a courier gets no more pickups until he had one; six hours,
    as Directive 2002/15/EC has it for who works on the road."""
    rest_s: Annotated[float, Meta(gt=0, le=86_400)] = 1_800.0
    """Time with nothing to do that is a rest; thirty minutes in the same directive."""


class Surging(Struct, frozen=True, kw_only=True):
    """By how much deliveries cost more while couriers are short, and how fast that moves."""

    percent_max: Annotated[int, Meta(ge=100, le=300)] = 100
    """The most, in per cent of what is usual; 100 turns it off."""
    step_percent: Annotated[int, Meta(ge=1, le=50)] = 10
    """By how much it moves at a time; a whole step less pressure is needed to come down again."""
    hold_s: Annotated[float, Meta(gt=0, le=86_400)] = 180.0
    """It does not move twice within that time, so that people can rely on what they have read."""
    measure_s: Annotated[float, Meta(ge=1, le=3_600)] = 30.0
    """Time from one look at orders and couriers to the next."""
    memory_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    """Time in which a pressure fades to a third; longer is smoother and reacts later."""
    calm_pressure: Share = 1.5
    """Orders for each courier, free or about to be, up to which nothing costs more."""
    slope_percent: Share = 20.0
    """Per cent more for each further order of each courier."""
    expected_s: Seconds = 600.0
    """Orders expected within that time count as if they waited already."""
    stale_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    """What nobody has measured for so long is as usual again."""


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
    door_wait_s: Seconds = 300.0
    """Time a courier waits at a door where nobody opens before he may give the order up."""
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
    repositioning: Repositioning = Repositioning()
    """Where idle couriers wait."""
    fairness: Fairness = Fairness()
    """How work is spread between couriers."""
    safety: Safety = Safety()
    """How long a courier may work."""
    promise_share: Annotated[float, Meta(ge=0.5, le=0.99)] = 0.9
    """Share of orders that are to be there by the time promised when they are placed."""
    late_s: Seconds = 120.0
    """A customer is warned when his order is expected so much later than promised."""
    late_again_s: Seconds = 600.0
    """He is warned again when it is expected so much later than he was warned of."""
    explained_max: Count = 200
    """Decisions of one round that are kept with their alternatives; 0 keeps none."""
    waiting_told_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    """Time after which it is kept why food still waits for a courier, and again after as much."""
    surging: Surging = Surging()
    """What a shortage of couriers does to prices; off unless it is allowed more than 100 %."""
    fencing: Fencing = Fencing()
    """When pings say that a courier has come to where he was going."""
    arrives_by_fence: bool = False
    """Whether that counts as his own word that he has arrived; a phone can be wrong, or lie."""

    def evolve(self, **changes: object) -> Self:
        """Return a copy with `changes`; an unknown name raises TypeError."""
        return structs.replace(self, **changes)


def version(policy: Policy) -> str:
    """Return what tells this policy from every other: policies with equal knobs have equal ones."""
    return hashlib.sha256(msgpack.encode(policy)).hexdigest()[:12]
