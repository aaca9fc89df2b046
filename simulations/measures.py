"""The figures of a day: what each is called, its unit, which way is better and how it is defined.

A figure is a field of `Figures` and carries its `Measure` beside its type; terminal, report and
`--json` read names, units and definitions from that one place. Times are seconds, whatever unit
they are shown in. A figure that nothing was measured for is None, never zero. How a figure is
worked out stands in `simulations.figures`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, get_args, get_type_hints

from msgspec import Struct


class Unit(StrEnum):
    """What a figure counts. A `WAIT` is seconds too, of a person, and shown in minutes."""

    COUNT = "count"
    SHARE = "share"
    WAIT = "wait"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    KILOMETRES = "kilometres"
    RATIO = "ratio"


class Better(StrEnum):
    """Which way a figure should go."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Topic(StrEnum):
    """What a figure is about; figures are shown in these groups."""

    CUSTOMERS = "Customers"
    ORDERS = "Orders"
    COURIERS = "Couriers"
    MACHINE = "Machine"


class Measure(Struct, frozen=True):
    """What one figure is. `topic` MACHINE marks the ones that differ from run to run."""

    topic: Topic
    title: str
    unit: Unit
    better: Better
    meaning: str


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of one day; the field names are the keys of `--json`."""

    click_to_door_s_mean: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Click to door, mean",
            Unit.WAIT,
            Better.LOWER,
            "From placing to the door, over delivered orders that were wanted at once.",
        ),
    ]
    click_to_door_s_p50: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Click to door, median",
            Unit.WAIT,
            Better.LOWER,
            "Half of those orders took no longer.",
        ),
    ]
    click_to_door_s_p90: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Click to door, 90 %",
            Unit.WAIT,
            Better.LOWER,
            "Nine in ten of those orders took no longer.",
        ),
    ]
    click_to_door_s_p99: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Click to door, 99 %",
            Unit.WAIT,
            Better.LOWER,
            "Ninety-nine in a hundred of those orders took no longer.",
        ),
    ]
    click_to_door_s_penalised: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Click to door, penalised",
            Unit.WAIT,
            Better.LOWER,
            "The mean with 90 minutes for each order that starved, failed at the door or was open "
            "for 90 minutes and more when the day ended, so that dropping orders does not pay.",
        ),
    ]
    late_share: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Delivered late",
            Unit.SHARE,
            Better.LOWER,
            "Share of delivered orders that came after the promised time.",
        ),
    ]
    late_s_mean: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "How late the late ones",
            Unit.WAIT,
            Better.LOWER,
            "Mean time from the promise to the door, over late orders.",
        ),
    ]
    ready_to_pickup_s_mean: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Ready to pickup, mean",
            Unit.WAIT,
            Better.LOWER,
            "How long finished food waited for its courier; 0 when the courier was there first.",
        ),
    ]
    ready_to_pickup_s_p90: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Ready to pickup, 90 %",
            Unit.WAIT,
            Better.LOWER,
            "Nine in ten picked-up orders waited no longer.",
        ),
    ]
    expected_off_s_mean: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Estimate off by, mean",
            Unit.WAIT,
            Better.LOWER,
            "How far the arrival was from what was expected as the order was placed.",
        ),
    ]
    expected_held_share: Annotated[
        float | None,
        Measure(
            Topic.CUSTOMERS,
            "Came when expected",
            Unit.SHARE,
            Better.NEITHER,
            "Share of orders that came between the two times told as they were placed; 80 % is "
            "aimed at.",
        ),
    ]
    orders: Annotated[
        int,
        Measure(
            Topic.ORDERS, "Placed", Unit.COUNT, Better.NEITHER, "Orders that customers placed."
        ),
    ]
    delivered: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Delivered",
            Unit.COUNT,
            Better.HIGHER,
            "Orders that reached their customer.",
        ),
    ]
    rejected: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Rejected",
            Unit.COUNT,
            Better.LOWER,
            "Orders that the restaurant did not take.",
        ),
    ]
    canceled: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Canceled",
            Unit.COUNT,
            Better.LOWER,
            "Orders called off by the customer, the restaurant or operations.",
        ),
    ]
    starved: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Starved",
            Unit.COUNT,
            Better.LOWER,
            "Orders given up because no courier was found in time.",
        ),
    ]
    failed: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Failed at the door",
            Unit.COUNT,
            Better.LOWER,
            "Orders picked up that could not be handed over.",
        ),
    ]
    open: Annotated[
        int,
        Measure(
            Topic.ORDERS,
            "Open at the end",
            Unit.COUNT,
            Better.LOWER,
            "Orders that had not ended when the day did.",
        ),
    ]
    couriers: Annotated[
        int,
        Measure(
            Topic.COURIERS,
            "Couriers",
            Unit.COUNT,
            Better.NEITHER,
            "Couriers who were on shift at some time.",
        ),
    ]
    utilisation_share: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Utilisation",
            Unit.SHARE,
            Better.NEITHER,
            "Share of the time on shift with at least one order assigned.",
        ),
    ]
    orders_per_courier_hour: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Orders per courier-hour",
            Unit.RATIO,
            Better.HIGHER,
            "Delivered orders by hours on shift.",
        ),
    ]
    orders_per_trip: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Orders per trip",
            Unit.RATIO,
            Better.NEITHER,
            "Delivered orders by trips; a trip lasts from the pickup into an empty bag until the "
            "bag is empty again.",
        ),
    ]
    km_per_order: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Driven per order",
            Unit.KILOMETRES,
            Better.LOWER,
            "All kilometres driven on shift by delivered orders.",
        ),
    ]
    loaded_share: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Driven with food",
            Unit.SHARE,
            Better.HIGHER,
            "Share of those kilometres with food in the bag.",
        ),
    ]
    declined: Annotated[
        int,
        Measure(
            Topic.COURIERS,
            "Offers declined",
            Unit.COUNT,
            Better.LOWER,
            "Offers that couriers declined or let lapse.",
        ),
    ]
    credit_per_hour_p10: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Credit an hour, 10 %",
            Unit.RATIO,
            Better.HIGHER,
            "One in ten couriers earned less an hour on shift, in credit for orders and for work.",
        ),
    ]
    credit_per_hour_p50: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Credit an hour, median",
            Unit.RATIO,
            Better.NEITHER,
            "Half of the couriers earned less an hour on shift.",
        ),
    ]
    credit_per_hour_p90: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Credit an hour, 90 %",
            Unit.RATIO,
            Better.NEITHER,
            "One in ten couriers earned more an hour on shift.",
        ),
    ]
    credit_spread: Annotated[
        float | None,
        Measure(
            Topic.COURIERS,
            "Spread of credit",
            Unit.SHARE,
            Better.LOWER,
            "Standard deviation of the couriers' credit an hour by its mean.",
        ),
    ]
    violations: Annotated[
        int,
        Measure(
            Topic.COURIERS,
            "Safety violations",
            Unit.COUNT,
            Better.LOWER,
            "Pickups asked for after a shift, past the longest time at work, or beyond the load.",
        ),
    ]
    rounds: Annotated[
        int,
        Measure(Topic.MACHINE, "Rounds", Unit.COUNT, Better.NEITHER, "Runs of matching."),
    ]
    round_ms_p50: Annotated[
        float | None,
        Measure(
            Topic.MACHINE,
            "Round, median",
            Unit.MILLISECONDS,
            Better.LOWER,
            "Half of the rounds had their plan sooner, by the real clock.",
        ),
    ]
    round_ms_p99: Annotated[
        float | None,
        Measure(
            Topic.MACHINE,
            "Round, 99 %",
            Unit.MILLISECONDS,
            Better.LOWER,
            "Ninety-nine in a hundred rounds had their plan sooner, by the real clock.",
        ),
    ]
    virtual_s_per_s: Annotated[
        float | None,
        Measure(
            Topic.MACHINE,
            "Virtual by real time",
            Unit.RATIO,
            Better.HIGHER,
            "Simulated seconds by real seconds.",
        ),
    ]
    cpu_s: Annotated[
        float,
        Measure(
            Topic.MACHINE,
            "Processor time",
            Unit.SECONDS,
            Better.LOWER,
            "Processor time that the simulation took.",
        ),
    ]


def _measures() -> dict[str, Measure]:
    hints = get_type_hints(Figures, include_extras=True)
    found = {name: get_args(hint)[1] for name, hint in hints.items()}
    assert all(isinstance(measure, Measure) for measure in found.values())
    return found


MEASURES: Final[Mapping[str, Measure]] = _measures()
"""What each field of `Figures` is, in the order in which they are shown."""
