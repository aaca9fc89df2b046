"""The actor of a place that has a surge: a market, or a zone that was drawn for it."""

from actors.kind import Kind
from dispatch import surge
from dispatch.policy import Policy


def surge_kind(policy: Policy) -> Kind[surge.Surge, surge.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="surge",
        step=lambda state, message, now: surge.step(state, message, now, policy),
        state_type=surge.Surge,
        message_type=surge.Message,
        wakes_at=surge.wakes_at,
        is_finished=surge.is_finished,
    )
