"""Which rides couriers have just finished, and what the map says of each: for learning the pace.

A ride here is a leg to a restaurant, because of that both ends and both times are known: he set out
when he was sent, and he said that he was there. What is left of a leg after its order was called
off, or of one on which he was diverted, ends elsewhere and is no ride.
"""

from collections.abc import Iterable

from dispatch.courier import Courier
from dispatch.hours import hour_of
from dispatch.ids import Instant, elapsed_s
from geo.travel import Ride, TravelTimes


def finished_rides(
    couriers: Iterable[Courier],
    since: Instant,
    now: Instant,
    travel: TravelTimes,
    timezone: str = "",
) -> tuple[Ride, ...]:
    """Return the rides that ended after `since` and not after `now`, at the pace of `travel`.

    The hour of a ride is that of the clocks of `timezone`.
    """
    rides: list[Ride] = []
    for courier in sorted(couriers, key=lambda one: one.courier_id):
        heading = courier.heading
        if heading is None or heading.arrived_at is None:
            continue
        if since < heading.arrived_at <= now:
            rides.append(
                Ride(
                    expected_s=travel.seconds(heading.origin, heading.point),
                    took_s=elapsed_s(heading.departed_at, heading.arrived_at),
                    hour=hour_of(timezone, heading.arrived_at),
                )
            )
    return tuple(rides)
