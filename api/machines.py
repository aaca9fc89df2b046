"""The machines as anybody may read them: statuses, and what leads from each to which others.

They are the tables by which orders, deliveries, offers, couriers and restaurants really move, so an
integrator who draws them, or checks his own code against them, checks against the truth.
"""

import re
from collections.abc import Mapping

from msgspec import Struct, field

from api.endpoint import Call, Endpoints
from api.replies import Declined, Reply
from dispatch.diagram import MACHINES, Machine
from dispatch.step import Code

PUBLIC = ("order", "delivery", "offer", "courier", "restaurant")
"""How a market is planned is nobody's business but ours."""

machines = Endpoints("State machines", "How orders, deliveries and the rest move, as tables.")


class Arrow(Struct, frozen=True, kw_only=True):
    """A way from one status to another, or back to the same, and what leads along it."""

    before: str = field(name="from")
    after: str = field(name="to")
    causes: tuple[str, ...]


class MachineView(Struct, frozen=True, kw_only=True):
    """One machine. It begins in `first`, and nothing leads out of a terminal status."""

    name: str
    told: str = field(name="description")
    first: str
    statuses: tuple[str, ...]
    terminal: tuple[str, ...]
    arrows: tuple[Arrow, ...]


class MachinesView(Struct, frozen=True, kw_only=True):
    """All machines that are public."""

    machines: tuple[MachineView, ...]


@machines.get("/v1/state-machines")
async def list_machines(call: Call) -> Reply[MachinesView]:
    """Show all state machines."""
    del call
    return Reply(value=MachinesView(machines=tuple(VIEWS.values())))


@machines.get("/v1/state-machines/{name}")
async def show_machine(call: Call) -> Reply[MachineView]:
    """Show one state machine by its name: `order`, `delivery`, `offer`, `courier`, `restaurant`."""
    found = VIEWS.get(call.path["name"])
    if found is None:
        raise Declined(Code.NOT_FOUND, f"the machines are {', '.join(VIEWS)}")
    return Reply(value=found)


def _view(machine: Machine) -> MachineView:
    return MachineView(
        name=machine.name.lower(),
        told=machine.told,
        first=next(iter(machine.ways)),
        statuses=tuple(machine.ways),
        terminal=tuple([status for status, ways in machine.ways.items() if not ways]),
        arrows=tuple(
            [
                Arrow(before=status, after=to, causes=tuple(map(_spelled, causes)))
                for status, ways in machine.ways.items()
                for to, causes in ways.items()
            ]
        ),
    )


def _spelled(name: str) -> str:
    """Return a message's name as the wire spells names: `mark_ready` for `MarkReady`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


VIEWS: Mapping[str, MachineView] = {
    machine.name.lower(): _view(machine) for machine in MACHINES if machine.name.lower() in PUBLIC
}
