"""The actor of an order: its machine, and how much of its mail may wait."""

from actors.kind import Kind
from dispatch import order
from dispatch.policy import Policy


def order_kind(policy: Policy) -> Kind[order.Order, order.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="order",
        step=lambda state, message, now: order.step(state, message, now, policy),
        state_type=order.Order,
        message_type=order.Message,
        wakes_at=order.wakes_at,
        is_finished=order.is_finished,
        may_rest=order.is_finished,
    )
