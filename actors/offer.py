"""The actor of an offer, from the claim to its end."""

from actors.kind import Kind
from dispatch import offer
from dispatch.policy import Policy


def offer_kind(policy: Policy) -> Kind[offer.Offer, offer.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="offer",
        step=lambda state, message, now: offer.step(state, message, now, policy),
        state_type=offer.Offer,
        message_type=offer.Message,
        wakes_at=offer.wakes_at,
        is_finished=offer.is_finished,
        may_rest=offer.is_finished,
    )
