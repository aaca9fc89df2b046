"""Sampled rounds are audited beside the node, and nothing waits for that."""

import io
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.construction import insert
from dispatch.matching.demand import Demand
from dispatch.matching.plan import Plan
from dispatch.matching.snapshot import FreeCourier, OpenOrder, snapshot
from dispatch.matching.solving import Answer, Request
from dispatch.matching.survey import Survey
from dispatch.policy import Policy
from dispatch.round import Solved
from geo.travel import StraightLine
from node.auditor import Auditor, RoundAudited
from node.solver_process import written

ANSWERED = msgspec.msgpack.encode(RoundAudited(number=7, gap=0.25))

PROCESS = """
import sys

def read():
    length = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(length)) if length else sys.exit()

def say(said):
    sys.stdout.buffer.write(len(said).to_bytes(4) + said)
    sys.stdout.buffer.flush()

answered = bytes.fromhex(sys.argv[1])
"""
"""A process that speaks as an auditor does, and can be told how to fail."""

SAYS = PROCESS + "while True: read(); say(answered)\n"
DIES = PROCESS + "read()\n"
SAYS_NONSENSE = PROCESS + "read(); say(b'no'); read()\n"


def command(script: str) -> tuple[str, ...]:
    return sys.executable, "-c", script, ANSWERED.hex()


@asynccontextmanager
async def running(auditor: Auditor, within_s: float = 60) -> AsyncGenerator[None]:
    with trio.fail_after(within_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(auditor.run)
            yield
            nursery.cancel_scope.cancel()


async def until_busy_no_more(auditor: Auditor, ended: int) -> None:
    """Wait until so many samples have come to an end."""
    while True:
        seen = auditor.statistics()
        if seen.audited + seen.refused + seen.failed >= ended:
            return
        await trio.sleep(0.01)


def request() -> Request:
    """Return a round of one order and two couriers."""
    order = OpenOrder(
        id=OrderId("o"),
        restaurant_id=RestaurantId("r"),
        dropoff=(500.0, 0.0),
        placed_s=-60,
        ready_s=300,
    )
    couriers = tuple(
        FreeCourier(id=CourierId(f"c{at}"), place=(at, 0.0), free_s=0, off_s=7_200, capacity=6)
        for at in (100.0, 4_000.0)
    )
    survey = Survey(
        at=Instant(1_800_000_000_000),
        restaurants={RestaurantId("r"): (0.0, 0.0)},
        orders=(order,),
        couriers=couriers,
        asked=(),
        tasks={},
        order_versions={},
        courier_versions={},
    )
    return Request(
        number=7,
        survey=survey,
        kept=None,
        demand=Demand(),
        policy=Policy(),
        travel=StraightLine(speed_mps=5.0),
        solver="insert",
    )


async def test_every_so_manieth_round_is_audited_and_told_in_a_line() -> None:
    stream = io.StringIO()
    auditor = Auditor(3, stream, command(SAYS))

    async with running(auditor):
        for _ in range(8):
            auditor.overhear(b"question", b"answer")
        await until_busy_no_more(auditor, 1)

    seen = auditor.statistics()
    assert (seen.overheard, seen.audited, seen.passed_over) == (8, 1, 1)
    assert seen.gap_mean == 0.25
    assert [json.loads(line)["gap"] for line in stream.getvalue().splitlines()] == [0.25]


async def test_a_round_that_comes_while_one_waits_is_passed_over() -> None:
    auditor = Auditor(1, io.StringIO(), command(SAYS))

    for _ in range(5):
        auditor.overhear(b"question", b"answer")

    assert auditor.statistics().passed_over == 4


@pytest.mark.parametrize("script", [DIES, SAYS_NONSENSE])
async def test_an_auditor_that_fails_is_counted_and_another_is_started(script: str) -> None:
    auditor = Auditor(1, io.StringIO(), command(script))

    async with running(auditor):
        for failed in (1, 2):
            auditor.overhear(b"question", b"answer")
            await until_busy_no_more(auditor, failed)

    assert auditor.statistics().failed == 2
    assert auditor.statistics().audited == 0


@pytest.mark.slow
async def test_a_real_audit_finds_a_solved_round_at_its_bound() -> None:
    stream = io.StringIO()
    auditor = Auditor(1, stream)
    asked = request()
    seen = asked.survey
    known = snapshot(seen.at, seen.restaurants, seen.orders, seen.couriers)
    best = insert(known, None, asked.policy, StraightLine(speed_mps=5.0))

    async with running(auditor, 240):  # A fresh machine has to compile first.
        for ended, plan in enumerate((best, Plan()), start=1):
            said = Answer(solved=Solved(number=7), plan=plan, demand=Demand())
            auditor.overhear(written(asked, 1.0), msgspec.msgpack.encode(said))
            await until_busy_no_more(auditor, ended)

    solved, left_out = (json.loads(line) for line in stream.getvalue().splitlines())
    assert solved["is_exact"]
    assert abs(solved["gap"]) < 1e-6
    assert left_out["bound_s"] == solved["bound_s"]
    assert left_out["gap"] > 1
