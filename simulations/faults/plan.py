"""What goes wrong in a run, and when: a schedule that follows from the seed.

Each seed draws a handful of the kinds of faults and leaves the others out, so that between them the
seeds try many mixtures, and none drowns the rest. Faults of a whole node or wire have their time;
those of single messages have a share, drawn anew for each message while the faults last. How often
each really struck is counted.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from random import Random

from msgspec import Struct

from dispatch.lease import NodeId

EVENTS_MIN, EVENTS_MAX = 5, 14
KINDS_MIN, KINDS_MAX = 3, 8
SHARE_MAX = 0.15
LETTER_SHARE_MAX = 0.4
"""Letters are few, and nothing acknowledged hangs on one."""
STALL_S_MAX = 10.0
CUT_S_MAX = 12.0
AWAY_S_MAX = 6.0
JUMP_S = 3_600.0


class Fault(StrEnum):
    """Everything that can go wrong, and leaving in order. The names stand in a run's figures."""

    CRASH = "crash"
    CRASH_BEFORE_COMMIT = "crash_before_commit"
    CRASH_AFTER_COMMIT = "crash_after_commit"
    LEAVE = "leave"
    STALL = "stall"
    CLOCK_JUMP = "clock_jump"
    SESSION_LOST = "session_lost"
    JOURNAL_AWAY = "journal_away"
    LEASES_CUT = "leases_cut"
    JOURNAL_CUT = "journal_cut"
    BUS_CUT = "bus_cut"
    BUS_WIPED = "bus_wiped"
    WRITE_LATE = "write_late"
    ANSWER_LOST = "answer_lost"
    LETTER_LOST = "letter_lost"
    LETTER_LATE = "letter_late"
    LETTER_DOUBLED = "letter_doubled"
    CLIENT_UNHEARD = "client_unheard"


TIMED = (
    Fault.CRASH,
    Fault.CRASH_BEFORE_COMMIT,
    Fault.CRASH_AFTER_COMMIT,
    Fault.LEAVE,
    Fault.STALL,
    Fault.CLOCK_JUMP,
    Fault.SESSION_LOST,
    Fault.JOURNAL_AWAY,
    Fault.LEASES_CUT,
    Fault.JOURNAL_CUT,
    Fault.BUS_CUT,
    Fault.BUS_WIPED,
)
"""Those that strike a node, or everybody, at an instant and for a while."""
SHARED = tuple(fault for fault in Fault if fault not in TIMED)
"""Those that strike a share of all messages."""

LETTERS = frozenset({Fault.LETTER_LOST, Fault.LETTER_LATE, Fault.LETTER_DOUBLED})

_LONGEST_S = {
    Fault.STALL: STALL_S_MAX,
    Fault.JOURNAL_AWAY: AWAY_S_MAX,
    Fault.LEASES_CUT: CUT_S_MAX,
    Fault.JOURNAL_CUT: CUT_S_MAX,
    Fault.BUS_CUT: CUT_S_MAX,
}


class Blow(Struct, frozen=True, kw_only=True):
    """One timed fault. Faults of everybody name a node, too, and pass it over."""

    at_s: float
    fault: Fault
    node: NodeId
    lasts_s: float
    jump_s: float


class Plan(Struct, frozen=True):
    """The timed faults of a run in their order, and the share of messages that others strike."""

    blows: tuple[Blow, ...]
    shares: dict[Fault, float]


def planned(chance: Random, nodes: Sequence[NodeId], span_s: float) -> Plan:
    """Draw a plan of faults for the first `span_s` of a run."""
    kinds = chance.sample(TIMED, chance.randint(KINDS_MIN, KINDS_MAX))
    blows = [
        _blow(chance, chance.choice(kinds), chance.choice(nodes), span_s)
        for _ in range(chance.randint(EVENTS_MIN, EVENTS_MAX))
    ]
    blows.sort(key=lambda blow: blow.at_s)
    return Plan(tuple(blows), {fault: _share(chance, fault) for fault in SHARED})


def _blow(chance: Random, fault: Fault, node: NodeId, span_s: float) -> Blow:
    return Blow(
        at_s=chance.uniform(0.02, 0.95) * span_s,
        fault=fault,
        node=node,
        lasts_s=chance.uniform(0.2, _LONGEST_S.get(fault, 1.0)),
        jump_s=chance.choice((-1.0, 1.0)) * chance.choice((JUMP_S, chance.uniform(1.0, 120.0))),
    )


def _share(chance: Random, fault: Fault) -> float:
    share_max = LETTER_SHARE_MAX if fault in LETTERS else SHARE_MAX
    return chance.choice((0.0, 0.0, chance.uniform(0.0, share_max)))


class Weather:
    """Whether a message is struck now, by the shares of the plan, until the faults end."""

    def __init__(self, chance: Random, shares: dict[Fault, float]) -> None:
        """Draw with `chance`, which must be nobody else's."""
        self._chance = chance
        self._shares = shares
        self.counts: Counter[Fault] = Counter()

    def strikes(self, fault: Fault) -> bool:
        """Draw whether this message is struck, and count it if it is."""
        share = self._shares.get(fault, 0.0)
        is_struck = share > 0.0 and self._chance.random() < share
        if is_struck:
            self.counts[fault] += 1
        return is_struck

    def uniform(self, low: float, high: float) -> float:
        """Draw a number."""
        return self._chance.uniform(low, high)

    def clear_up(self) -> None:
        """Strike nothing any more."""
        self._shares = {}
