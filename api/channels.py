"""The live channels by which nodes tell each other what is only worth anything now."""

from dispatch.ids import OrderId

HERE, AWAY = b"1", b"0"
"""What is heard in a channel of presence."""


def feed_channel(person: str) -> str:
    """Return where the number of each message is told that is committed for the person."""
    return f"feed:{person}"


def position_channel(order_id: OrderId) -> str:
    """Return where positions of an order's courier are told, as written `Position` frames."""
    return f"track:{order_id}"


def presence_channel(person: str) -> str:
    """Return where it is told that a person is `HERE` or `AWAY`."""
    return f"presence:{person}"
