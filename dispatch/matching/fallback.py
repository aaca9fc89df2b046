"""What a round falls back to when its solver is late or has died: the greedy plan of that round.

Two answers are cheaper than a solver's own. The `hasty` one is the kept plan with what is new
inserted, which is where the solver itself begins; whoever solves sends it ahead. The `plain` one
needs no compiled code, and is what the node works out for itself when it has been sent nothing. A
plan that is not all it could have been says so (`cut`), and that goes into the record.
"""

from collections.abc import Mapping

from msgspec import structs

from dispatch.matching.solving import Answer, Request
from dispatch.policy import Policy

HASTY: Mapping[str, str] = {"improve": "insert"}
"""Of a solver that searches, the one that is content with what the search begins from."""

PLAIN = "greedy"
"""The solver of a plain answer."""


def hasty(request: Request) -> Request | None:
    """Return the question whose answer comes first; None when the solver has no use for one."""
    sooner = HASTY.get(request.solver)
    return None if sooner is None else _asked(request, sooner, request.policy)


def plain(request: Request) -> Request:
    """Return the question that needs nothing but plain code: nobody is moved, nothing explained."""
    policy = request.policy
    still = structs.replace(policy.repositioning, drive_price=0.0)
    bare = structs.replace(policy, repositioning=still, explained_max=0)
    return _asked(request, PLAIN, bare)


def cut_off(answered: Answer, why: str) -> Answer:
    """Return the answer with why there is no better one."""
    return structs.replace(answered, solved=structs.replace(answered.solved, cut=why))


def _asked(request: Request, solver: str, policy: Policy) -> Request:
    """Return the request put to another solver, which goes over a market in tiles once."""
    matching = structs.replace(policy.matching, tile_sweeps=1)
    return structs.replace(
        request, solver=solver, policy=structs.replace(policy, matching=matching)
    )
