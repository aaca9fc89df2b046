"""The actor of a courier. Pings pass it by: they go to the position table."""

from actors.kind import Kind
from dispatch import courier
from dispatch.policy import Policy


def courier_kind(policy: Policy) -> Kind[courier.Courier, courier.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="courier",
        step=lambda state, message, now: courier.step(state, message, now, policy),
        state_type=courier.Courier,
        message_type=courier.Message,
        wakes_at=courier.wakes_at,
        may_rest=courier.may_rest,
    )
