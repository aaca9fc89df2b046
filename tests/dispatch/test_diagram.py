"""The drawn machines: the page in docs is the one that the tables give."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from dispatch import courier, offer, restaurant, surge
from dispatch import round as rounds
from dispatch.delivery import DeliveryStatus
from dispatch.diagram import SECTIONS, diagram, page
from dispatch.kitchen import OrderStatus

PAGE = Path(__file__).parents[2] / "docs" / "state-machines.md"
REWRITE = (
    "python -c 'from dispatch.diagram import page; print(page(), end=\"\")'"
    " > docs/state-machines.md"
)
STAGES = (
    OrderStatus,
    DeliveryStatus,
    offer.Stage,
    courier.Stage,
    restaurant.Stage,
    rounds.Stage,
    surge.Stage,
)


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BROKEN = "broken"


class Go(Struct):
    pass


class Push(Struct):
    pass


class Smash(Struct):
    pass


def test_a_table_is_drawn_with_its_beginning_its_arrows_and_its_ends() -> None:
    table: dict[Light, dict[type[Struct], Light]] = {
        Light.RED: {Go: Light.GREEN, Push: Light.GREEN, Smash: Light.BROKEN},
        Light.GREEN: {Smash: Light.BROKEN},
        Light.BROKEN: {},
    }

    drawn = diagram(table)

    assert drawn.splitlines() == [
        "stateDiagram-v2",
        "    [*] --> red",
        "    red --> green : Go, Push",
        "    red --> broken : Smash",
        "    green --> broken : Smash",
        "    broken --> [*]",
    ]


def test_every_stage_of_every_machine_is_drawn() -> None:
    for stages, (_, _, drawing) in zip(STAGES, SECTIONS, strict=True):
        for stage in stages:
            assert f" {stage} -->" in drawing or f"--> {stage} " in drawing


def test_the_page_in_the_docs_is_the_one_the_tables_give() -> None:
    assert PAGE.read_text() == page(), f"write it anew: {REWRITE}"
