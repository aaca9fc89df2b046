"""Food that its courier cannot hand over: what becomes of it, and how long he waits at the door.

Whoever orders says what is to be done when nobody opens; the order keeps that, and its courier has
it with his task, so that his word alone moves his route on. He has to be at the door and to have
waited there for as long as Policy says before he may give it up. Food that is spoiled needs no
door and no waiting: there is nothing left to hand over.
"""

from enum import StrEnum

from msgspec import Struct

from dispatch.ids import Instant, OrderId, after
from dispatch.policy import Policy
from geo.point import Point


class UndeliverableAction(StrEnum):
    """What a courier does with food that he cannot hand over. Wire names; never renamed."""

    LEAVE_AT_DOOR = "leave_at_door"
    RETURN = "return"
    DISCARD = "discard"


class Doorstep(Struct, frozen=True):
    """The door at which a courier waits for somebody to open, and since when.

    Whoever brings several orders to one door, which `point` tells, waits there for all of them.
    """

    order_id: OrderId
    since: Instant
    point: Point | None = None


def gives_up_at(doorstep: Doorstep, policy: Policy) -> Instant:
    """Return from when on nobody is expected to open any more."""
    return after(doorstep.since, policy.door_wait_s)
