"""Orders, couriers, offers, restaurants and rounds in conversation, over the worst of wires.

What holds at every moment, what holds when nothing is under way, and that every order comes to an
end, is written down in `tests.dispatch.agreement`. A failing example prints its script, made as
simple as it can be, and everything that was said.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from dispatch.ids import CourierId
from dispatch.order import Order, OrderStatus
from dispatch.policy import Policy
from tests.dispatch.agreement import check_ended
from tests.dispatch.world import COURIERS, Move, Script, World

ASKING = Policy(declines_max=2, give_up_s=1_200, door_wait_s=5)
DIRECT = ASKING.evolve(offer_s=0)
DIVERTING = DIRECT.evolve(diverts=True)

_USUAL = 6 * (Move.DELIVER,) + 3 * (Move.SETTLE, Move.WORK, Move.WAKE, Move.SOLVE)
_OFTEN = 2 * (*_USUAL, Move.WAIT, Move.ANSWER, Move.COOK, Move.PLACE)
MOVES = (Move.REST, *_OFTEN, Move.REPEAT, Move.REPEAT, Move.SHIRK, Move.MEDDLE)

a_policy = st.sampled_from((ASKING, DIRECT, DIVERTING))
a_script = st.lists(
    st.tuples(st.sampled_from(MOVES), st.integers(0, 47)), min_size=80, max_size=160
)
some_couriers = st.frozensets(st.sampled_from(COURIERS))


def played(policy: Policy, script: Script, *, is_shuffled: bool = False) -> World:
    """Return the world after the script."""
    world = World(policy, is_shuffled=is_shuffled)
    _noting(world, lambda: world.play(script))
    return world


def _noting(world: World, act: Callable[[], None]) -> None:
    """Act, and should that fail, print all that was said until then."""
    try:
        act()
    except AssertionError:
        note("\n".join(world.log))
        raise


def everybody_agrees_and_every_order_ends(
    policy: Policy, script: Script, diligent: frozenset[CourierId]
) -> None:
    world = played(policy, script)

    _noting(world, lambda: world.end(diligent))

    _noting(world, lambda: check_ended(world.states))
    _noting(world, lambda: check_owed(world))


def check_owed(world: World) -> None:
    """Hold that each order that ends without food says once what its customer owes."""
    for one in world.all(Order):
        assert world.canceled[one.order_id] == (one.status is OrderStatus.CANCELED), one


def nothing_forbidden_happens(policy: Policy, script: Script) -> None:
    world = played(policy, script, is_shuffled=True)

    _noting(world, world.settle)

    assert world.is_quiet


@settings(max_examples=8)
@given(policy=a_policy, script=a_script, diligent=some_couriers)
def test_everybody_agrees_and_every_order_ends(
    policy: Policy, script: Script, diligent: frozenset[CourierId]
) -> None:
    everybody_agrees_and_every_order_ends(policy, script, diligent)


@settings(max_examples=8)
@given(policy=a_policy, script=a_script)
def test_nothing_forbidden_happens_when_messages_overtake_each_other(
    policy: Policy, script: Script
) -> None:
    nothing_forbidden_happens(policy, script)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(policy=a_policy, script=a_script, diligent=some_couriers)
def test_everybody_agrees_and_every_order_ends_in_many_worlds(
    policy: Policy, script: Script, diligent: frozenset[CourierId]
) -> None:
    everybody_agrees_and_every_order_ends(policy, script, diligent)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(policy=a_policy, script=a_script)
def test_nothing_forbidden_happens_in_many_worlds(policy: Policy, script: Script) -> None:
    nothing_forbidden_happens(policy, script)
