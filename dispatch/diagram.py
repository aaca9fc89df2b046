"""The machines drawn from their tables, so that a picture never says what the code does not.

`page` is the whole of docs/state-machines.md, in Mermaid, which most readers of Markdown draw. A
test holds the file against it and says how to write it anew.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from dispatch import courier, offer, restaurant, surge
from dispatch import round as rounds
from dispatch.delivery import DELIVERY_LEGAL
from dispatch.kitchen import ORDER_LEGAL

type LegalTable[S: StrEnum] = Mapping[S, Mapping[type[Struct], S]]

INTRODUCTION = """\
# State machines

Drawn from the tables by which the machines move (`dispatch/diagram.py`); a test keeps this page
true. An arrow carries the messages that lead along it; a message without an arrow is refused, or
agreed to when it has done its work before. A message that stands in the tables of both order and
delivery needs the leave of both.
"""


class Machine(Struct, frozen=True):
    """One machine: what it is in a sentence, its drawing, and the ways out of each status.

    `ways` has a row for each status, the first first: which statuses follow, by which messages.
    """

    name: str
    told: str
    drawing: str
    ways: Mapping[str, Mapping[str, tuple[str, ...]]]


def diagram[S: StrEnum](table: LegalTable[S]) -> str:
    """Return one table as a Mermaid state diagram; its first row is where the machine begins."""
    first = next(iter(table))
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    for status, row in table.items():
        lines += [
            f"    {status} --> {to} : {', '.join(causes)}" for to, causes in arrows(row).items()
        ]
        if not row:
            lines.append(f"    {status} --> [*]")
    return "\n".join(lines) + "\n"


def arrows[S: StrEnum](row: Mapping[type[Struct], S]) -> dict[str, tuple[str, ...]]:
    """Return the names of the messages that lead to each status, in the order of the table."""
    by_status: dict[str, tuple[str, ...]] = {}
    for cause, to in row.items():
        by_status[to] = (*by_status.get(to, ()), cause.__name__)
    return by_status


def machine[S: StrEnum](name: str, told: str, table: LegalTable[S]) -> Machine:
    """Return the machine that moves by a table."""
    return Machine(
        name, told, diagram(table), {str(one): arrows(row) for one, row in table.items()}
    )


MACHINES = (
    machine("Order", "The customer's and the restaurant's side of an order.", ORDER_LEGAL),
    machine(
        "Delivery", "The courier's side of the same order, moved in the same step.", DELIVERY_LEGAL
    ),
    machine("Offer", "One courier invited to carry some orders, for a while.", offer.LEGAL),
    machine(
        "Courier", "A courier's shift. What he carries is his route, not his stage.", courier.LEGAL
    ),
    machine("Restaurant", "Whether a restaurant takes orders.", restaurant.LEGAL),
    machine("Round", "The beat at which a market is planned.", rounds.LEGAL),
    machine("Surge", "Whether deliveries cost more in a place, and until when.", surge.LEGAL),
)
"""All machines, in the order of the page."""
SECTIONS = tuple([(one.name, one.told, one.drawing) for one in MACHINES])
"""The machines in the order of the page: name, sentence, drawing."""


def page() -> str:
    """Return the page of all machines."""
    sections = (
        f"## {name}\n\n{sentence}\n\n```mermaid\n{drawing}```\n"
        for name, sentence, drawing in SECTIONS
    )
    return "\n".join((INTRODUCTION, *sections))
