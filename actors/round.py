"""The actor that keeps a market's beat: it asks for plans and hands out what they decide."""

from actors.kind import Kind
from dispatch import round as rounds
from dispatch.policy import Policy


def round_kind(policy: Policy) -> Kind[rounds.Round, rounds.Message]:
    """Return the kind, its decisions taken by `policy`."""
    return Kind(
        name="round",
        step=lambda state, message, now: rounds.step(state, message, now, policy),
        state_type=rounds.Round,
        message_type=rounds.Message,
        wakes_at=rounds.wakes_at,
        is_finished=rounds.is_finished,
        may_rest=rounds.is_finished,
    )
