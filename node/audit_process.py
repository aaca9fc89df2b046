"""The process that audits sampled rounds: `python -m node.audit_process`.

It reads samples from its input and writes a `RoundAudited` for each to its output, in the frames of
`node.solver_process`. A sample is the length of a solver's question in four bytes, the question,
and the answer that was given to it. The process gives way to the others of its machine, and ends
when its input does, in the middle of an audit too.
"""

import os
import sys
from collections.abc import Iterator
from time import perf_counter

import msgspec

from dispatch.matching.audit import Audit, AuditRefused, Thoroughness, audit
from dispatch.matching.pool import PoolTooLarge
from dispatch.matching.snapshot import snapshot
from dispatch.matching.solving import Answer, Request
from node.auditor import LENGTH_BYTES, RoundAudited
from node.lifeline import end_with
from node.solver_process import BUDGET_BYTES, serve
from streets.travel import opened

NICENESS = 10
THOROUGHNESS = Thoroughness(trips_max=50_000, labels_max=5_000, turns_max=60)
"""What a sample is worth: for some thirty orders the proof, for hundreds a looser bound."""

_requests = msgspec.msgpack.Decoder(Request)
_answers = msgspec.msgpack.Decoder(Answer)


def said_to(sample: bytes) -> Iterator[bytes]:
    """Yield the one frame that answers a sample."""
    end = LENGTH_BYTES + int.from_bytes(sample[:LENGTH_BYTES])
    request = _requests.decode(memoryview(sample)[LENGTH_BYTES + BUDGET_BYTES : end])
    answered = _answers.decode(memoryview(sample)[end:])
    began_s = perf_counter()
    try:
        found = _audit(request, answered)
    except (AuditRefused, PoolTooLarge) as error:
        yield msgspec.msgpack.encode(RoundAudited(number=request.number, refused=str(error)))
        return
    told = RoundAudited(
        number=request.number,
        orders=found.orders,
        couriers=found.couriers,
        cost_s=round(found.cost_s, 3),
        bound_s=round(found.bound_s, 3),
        gap=round(found.gap, 6),
        is_tight=found.is_tight,
        is_exact=found.is_exact,
        took_ms=round((perf_counter() - began_s) * 1_000, 1),
    )
    yield msgspec.msgpack.encode(told)


def _audit(request: Request, answered: Answer) -> Audit:
    """Audit the round, seen as it was solved: with the demand that had come up by then."""
    asked = request.survey
    known = snapshot(
        asked.at, asked.restaurants, asked.orders, asked.couriers, answered.demand.counts
    )
    return audit(known, answered.plan, request.policy, opened(request.travel), THOROUGHNESS)


def main() -> None:
    """Be the auditor of whoever holds the other ends; a node that died has no more samples."""
    end_with(sys.stdin.fileno())
    os.nice(NICENESS)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, said_to)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Nothing more to flush to.


if __name__ == "__main__":
    main()
