"""What every machine promises, in every state that it can reach and for every message it knows."""

from collections.abc import Iterable
from typing import Any, TypeAliasType, get_args

import msgspec
import pytest
from msgspec import Struct

from dispatch import courier, offer, order, restaurant, surge
from dispatch import round as rounds
from dispatch.ids import Instant
from dispatch.step import Accepted, Refused, Wake
from tests.dispatch.builders import NOW, answers, refusals, sure
from tests.dispatch.explored import (
    COURIERS,
    OFFERS,
    ORDERS,
    RESTAURANTS,
    ROUNDS,
    SURGES,
    Machine,
    kinds,
)

type AnyMachine = Machine[Any]

MACHINES: tuple[AnyMachine, ...] = (ORDERS, COURIERS, OFFERS, RESTAURANTS, ROUNDS, SURGES)
FACTS = (order.Fact, courier.Fact, offer.Fact, rounds.Fact, restaurant.Fact, surge.Fact)

each_machine = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


def union(alias: object) -> tuple[type[Struct], ...]:
    """Return the members of a union that was given a name."""
    if isinstance(alias, TypeAliasType):
        return union(alias.__value__)
    return (alias,) if isinstance(alias, type) else get_args(alias)


def restored[T](value: T, kind: object) -> T:
    """Return the value as it comes back from its bytes, read as this type or union."""
    decoder = msgspec.msgpack.Decoder[T](kind)
    return decoder.decode(msgspec.msgpack.encode(value))


@each_machine
def test_there_is_a_fitting_message_of_every_type_the_machine_knows(machine: AnyMachine) -> None:
    spoken = kinds(machine.fitting(None))

    known = set(union(machine.message))

    assert spoken == known


@each_machine
def test_a_refusal_changes_nothing(machine: AnyMachine) -> None:
    refused = 0
    for state in machine.reachable():
        for message in machine.fitting(state):
            after, effects = machine.after(state, message)

            if refusals(effects):
                assert after is state
                refused += 1

    assert refused > 0


@each_machine
def test_a_message_that_comes_twice_is_harmless(machine: AnyMachine) -> None:
    for state in (None, *machine.reachable()):
        for message in machine.fitting(state):
            once, _ = machine.after(state, message)

            twice, _ = machine.step(once, message, machine.moment(state, message))

            assert twice == once, (state, message)


@each_machine
def test_nobody_is_answered_twice_or_anything_but_yes_or_no(machine: AnyMachine) -> None:
    for state in (None, *machine.reachable()):
        for message in machine.fitting(state):
            _, effects = machine.after(state, message)

            given = answers(effects)

            assert len(given) <= 1, (state, message)
            assert all(isinstance(answer, Accepted | Refused) for answer in given)


@each_machine
def test_a_deadline_that_was_dealt_with_is_not_due_at_the_same_instant(machine: AnyMachine) -> None:
    due_states = [state for state in machine.reachable() if machine.wakes_at(state) is not None]
    for state in due_states:
        due = sure(machine.wakes_at(state))

        after, _ = machine.step(state, Wake(), due)

        following = machine.wakes_at(sure(after))
        assert following is None or following > due, state

    assert due_states


@each_machine
def test_a_wake_before_its_time_does_nothing(machine: AnyMachine) -> None:
    for state in machine.reachable():
        due = machine.wakes_at(state)
        now = NOW if due is None else Instant(due - 1)

        woken = machine.step(state, Wake(), now)

        assert woken == (state, ())


@each_machine
def test_a_deadline_is_read_from_the_state_alone(machine: AnyMachine) -> None:
    for state in machine.reachable():
        assert machine.wakes_at(restored(state, machine.state)) == machine.wakes_at(state)


@each_machine
def test_a_state_comes_back_equal_from_its_checkpoint(machine: AnyMachine) -> None:
    for state in machine.reachable():
        assert restored(state, machine.state) == state


@each_machine
def test_a_message_comes_back_equal_from_the_outbox(machine: AnyMachine) -> None:
    for state in (None, *machine.reachable()):
        for message in machine.fitting(state):
            assert restored(message, machine.message) == message


@each_machine
def test_the_same_message_at_the_same_instant_always_leads_to_the_same(machine: AnyMachine) -> None:
    for state in machine.reachable():
        for message in machine.fitting(state):
            assert machine.after(state, message) == machine.after(state, message)


def test_no_two_messages_of_one_actor_and_no_two_facts_share_a_tag() -> None:
    unions: list[Iterable[type[Struct]]] = [union(machine.message) for machine in MACHINES]
    unions.append([fact for facts in FACTS for fact in union(facts)])
    for members in unions:
        tags = [member.__struct_config__.tag for member in members]

        assert len(set(tags)) == len(tags)
        assert all(tags)
