"""The actor of a restaurant. Its inbox is wide: a whole city may order at noon."""

from actors.kind import Kind
from dispatch import restaurant
from dispatch.policy import Policy


def restaurant_kind(policy: Policy) -> Kind[restaurant.Restaurant, restaurant.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="restaurant",
        step=lambda state, message, now: restaurant.step(state, message, now, policy),
        state_type=restaurant.Restaurant,
        message_type=restaurant.Message,
        wakes_at=restaurant.wakes_at,
        may_rest=restaurant.may_rest,
        inbox_max=4_096,
    )
