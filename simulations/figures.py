"""What a day's records add up to: the figures by which days and policies are compared.

Each function here works numbers out of a `Day` and nothing else; what a figure means stands beside
its name in `simulations.measures`. Percentiles are interpolated linearly between the two closest
ranks (numpy's default, and the MDRP evaluator's).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean, pstdev
from typing import Final

from dispatch.ids import CourierId, Instant, elapsed_s
from simulations.day import (
    CourierRecord,
    Day,
    OrderRecord,
    Outcome,
    arrived_as_expected,
    click_to_door_s,
    expected_off_s,
    is_late,
    lateness_s,
    ready_to_pickup_s,
)
from simulations.measures import MEASURES, Better, Figures

SHIFT_S_MIN: Final = 1_800.0
"""Who was on shift for less does not count in how evenly work was spread."""
UNDELIVERED_S: Final = 5_400.0
"""What the penalised click-to-door counts for an order dispatch failed: 90 min, as MDRP."""


def figures(day: Day) -> Figures:
    """Return what the day adds up to."""
    took_s = sorted(_measured(click_to_door_s, day.orders))
    waited_s = sorted(_measured(ready_to_pickup_s, day.orders))
    late_s = [late for late in _measured(lateness_s, day.orders) if late > 0]
    round_ms = sorted(round_.took_ms for round_ in day.rounds)
    ended = dict.fromkeys(Outcome, 0)
    for order in day.orders:
        ended[order.outcome] += 1
    delivered = ended[Outcome.DELIVERED]
    per_hour = sorted(_credits_per_hour(day.couriers))
    shift_s = sum(courier.shift_s for courier in day.couriers)
    driven_m = sum(courier.driven_m for courier in day.couriers)
    return Figures(
        click_to_door_s_mean=mean(took_s),
        click_to_door_s_p50=percentile(took_s, 0.50),
        click_to_door_s_p90=percentile(took_s, 0.90),
        click_to_door_s_p99=percentile(took_s, 0.99),
        click_to_door_s_penalised=_penalised_s(took_s, day),
        late_share=_ratio(len(late_s), delivered),
        late_s_mean=mean(late_s),
        ready_to_pickup_s_mean=mean(waited_s),
        ready_to_pickup_s_p90=percentile(waited_s, 0.90),
        expected_off_s_mean=mean(_measured(expected_off_s, day.orders)),
        expected_held_share=mean(_measured(arrived_as_expected, day.orders)),
        orders=len(day.orders),
        delivered=delivered,
        rejected=ended[Outcome.REJECTED],
        canceled=ended[Outcome.CANCELED],
        starved=ended[Outcome.STARVED],
        failed=ended[Outcome.FAILED],
        open=ended[Outcome.OPEN],
        couriers=len(day.couriers),
        utilisation_share=_ratio(sum(courier.busy_s for courier in day.couriers), shift_s),
        orders_per_courier_hour=_ratio(delivered, shift_s / 3600),
        orders_per_trip=_ratio(delivered, trips(day.orders)),
        km_per_order=_ratio(driven_m / 1000, delivered),
        loaded_share=_ratio(sum(courier.loaded_m for courier in day.couriers), driven_m),
        declined=sum(courier.declined for courier in day.couriers),
        credit_per_hour_p10=percentile(per_hour, 0.10),
        credit_per_hour_p50=percentile(per_hour, 0.50),
        credit_per_hour_p90=percentile(per_hour, 0.90),
        credit_spread=_ratio(pstdev(per_hour), fmean(per_hour)) if per_hour else None,
        violations=sum(courier.violations for courier in day.couriers),
        rounds=len(day.rounds),
        round_ms_p50=percentile(round_ms, 0.50),
        round_ms_p99=percentile(round_ms, 0.99),
        virtual_s_per_s=_ratio(elapsed_s(day.setting.starts_at, day.ends_at), day.wall_s),
        cpu_s=day.cpu_s,
    )


def summary(day: Day) -> dict[str, str | float | None]:
    """Return the day for `--json`: its setting, then each figure, unrounded and in its own unit."""
    setting = day.setting
    return {
        "city": setting.city,
        "policy": setting.policy,
        "seed": setting.seed,
        "hours": elapsed_s(setting.starts_at, day.ends_at) / 3600,
        **by_name(figures(day)),
    }


def by_name(values: Figures) -> dict[str, float | None]:
    """Return the figures by their names, in the order in which they are shown."""
    return {name: getattr(values, name) for name in MEASURES}


def best(name: str, values: Sequence[float | None]) -> float | None:
    """Return the best of several days' values of one figure; None if no way is better."""
    better, known = MEASURES[name].better, [value for value in values if value is not None]
    if better is Better.NEITHER or len(set(known)) < len(values[:2]):
        return None
    return min(known) if better is Better.LOWER else max(known)


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean; None of nothing."""
    return sum(values) / len(values) if values else None


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """Return the value that `share` (0 to 1) of the sorted values lie below; None of nothing."""
    if not ascending:
        return None
    rank = share * (len(ascending) - 1)
    low = int(rank)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (ascending[high] - ascending[low]) * (rank - low)


def trips(orders: Iterable[OrderRecord]) -> int:
    """Return how often a courier's bag went from empty to not empty, over delivered orders."""
    carried: dict[CourierId, list[tuple[Instant, int]]] = {}
    for order in orders:
        if order.courier_id and order.picked_up_at is not None and order.delivered_at is not None:
            bag = carried.setdefault(order.courier_id, [])
            bag += ((order.picked_up_at, 0), (order.delivered_at, 1))
    return sum(_trips_of(sorted(bag)) for bag in carried.values())


def late_by_hour(day: Day) -> dict[Instant, tuple[int, int]]:
    """Return late and delivered orders by the hour, of the city's clocks, they were promised in."""
    hours: dict[Instant, tuple[int, int]] = {}
    for order in day.orders:
        if order.delivered_at is not None:
            hour = _hour_of(order.promised_at, day.setting.utc_offset_s)
            late, delivered = hours.get(hour, (0, 0))
            hours[hour] = (late + is_late(order), delivered + 1)
    return dict(sorted(hours.items()))


def held_by_hour(day: Day) -> dict[Instant, tuple[int, int]]:
    """Return held and told intervals by the hour, of the city's clocks, in which orders arrived."""
    hours: dict[Instant, tuple[int, int]] = {}
    for order in day.orders:
        held = arrived_as_expected(order)
        if held is not None and order.delivered_at is not None:
            hour = _hour_of(order.delivered_at, day.setting.utc_offset_s)
            held_before, told = hours.get(hour, (0, 0))
            hours[hour] = (held_before + held, told + 1)
    return dict(sorted(hours.items()))


def bins(values: Iterable[float], step: float, bins_max: int) -> list[int]:
    """Return how many values lie in each step from 0 up; the last bin holds all above it too."""
    counts = [0] * bins_max
    for value in values:
        counts[min(bins_max - 1, max(0, int(value / step)))] += 1
    while counts and not counts[-1]:
        counts.pop()
    return counts


def _trips_of(stops: list[tuple[Instant, int]]) -> int:
    """Count the trips in a courier's sorted stops (0 a pickup, which comes first, 1 a drop-off)."""
    count = load = 0
    for _, is_drop_off in stops:
        count += not is_drop_off and load == 0
        load += -1 if is_drop_off else 1
    return count


def _hour_of(at: Instant, utc_offset_s: int) -> Instant:
    shift_ms = utc_offset_s * 1000
    return Instant((at + shift_ms) // 3_600_000 * 3_600_000 - shift_ms)


def _penalised_s(took_s: Sequence[float], day: Day) -> float | None:
    undelivered = sum(_is_undelivered(order, day.ends_at) for order in day.orders)
    counted = len(took_s) + undelivered
    return _ratio(sum(took_s) + undelivered * UNDELIVERED_S, counted)


def _is_undelivered(order: OrderRecord, ends_at: Instant) -> bool:
    """Whether dispatch failed the order; rejecting and calling off are other people's doing."""
    if order.outcome is Outcome.OPEN:
        due_at = order.placed_at if order.wanted_at is None else order.wanted_at
        return elapsed_s(due_at, ends_at) >= UNDELIVERED_S
    return order.outcome in {Outcome.STARVED, Outcome.FAILED}


def _credits_per_hour(couriers: Iterable[CourierRecord]) -> Iterator[float]:
    """Yield what couriers earned an hour, those on shift too briefly to tell left out."""
    for courier in couriers:
        if courier.shift_s >= SHIFT_S_MIN:
            yield courier.credit / courier.shift_s * 3600


def _measured(
    of: Callable[[OrderRecord], float | None], orders: Iterable[OrderRecord]
) -> list[float]:
    return [value for order in orders if (value := of(order)) is not None]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
