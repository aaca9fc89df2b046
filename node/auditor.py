"""Sampled rounds, audited in a process of their own: how far the plans are from what is possible.

Every so many rounds the question that a solver was asked and the answer it gave are handed over as
they went through the pipe, and `node.audit_process` says how far the plan is from a bound
(`dispatch.matching.audit`). An audit takes seconds or minutes, and nothing waits for it: one is
under way at a time, one more may wait, and what comes besides is passed over and counted. Each ends
in a line on the standard error with numbers only. The process starts with the first sample, gives
way to the others of its machine, and ends with the node. A node whose auditor fails goes on without
that audit.
"""

import json
import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec
import trio
from msgspec import Struct

from node.solver_process import ProcessFailed, SolverProcess, started

COMMAND = (sys.executable, "-m", "node.audit_process")
AUDIT_S_MAX = 900.0
"""Time that one audit may take before its process is ended."""
LENGTH_BYTES = 4


class RoundAudited(Struct, frozen=True, kw_only=True):
    """How far one round's plan was from the bound; `refused` says why there is none."""

    number: int
    orders: int = 0
    couriers: int = 0
    cost_s: float = 0.0
    bound_s: float = 0.0
    gap: float = 0.0
    is_tight: bool = False
    is_exact: bool = False
    took_ms: float = 0.0
    refused: str = ""


class AuditorStatistics(Struct, frozen=True, kw_only=True):
    """What became of the rounds so far, and the mean gap of those that were audited."""

    overheard: int
    audited: int
    refused: int
    passed_over: int
    failed: int
    gap_mean: float


_audits = msgspec.msgpack.Decoder(RoundAudited)


class Auditor:
    """Samples rounds and has them audited, one after the other."""

    def __init__(
        self, every: int, stream: TextIO | None = None, command: Sequence[str] = COMMAND
    ) -> None:
        """Take every so manieth round; write to `stream`, the standard error if none is given."""
        assert every > 0, "an auditor that samples nothing is none"
        self._every = every
        self._stream = stream or sys.stderr
        self._command = command
        self._sample: bytes | None = None
        self._lot = trio.lowlevel.ParkingLot()
        self._gaps = 0.0
        self._overheard = self._audited = self._refused = self._passed_over = self._failed = 0

    def overhear(self, question: bytes, answer: bytes) -> None:
        """Take a round that was just solved, if it is one of those, and nothing else is to do."""
        self._overheard += 1
        if self._overheard % self._every:
            return
        if self._sample is not None:
            self._passed_over += 1
            return
        self._sample = len(question).to_bytes(LENGTH_BYTES) + question + answer
        self._lot.unpark_all()

    async def run(self) -> None:
        """Audit until cancelled, with one process after the other."""
        while True:
            await self._sampled()
            async with started(self._command) as process:
                while await self._is_audited(process):
                    await self._sampled()

    async def _sampled(self) -> None:
        while self._sample is None:
            await self._lot.park()

    async def _is_audited(self, process: SolverProcess) -> bool:
        """Have the sample audited; False when the process is no good any more."""
        assert self._sample is not None
        sample, self._sample = self._sample, None
        try:
            with trio.fail_after(AUDIT_S_MAX):
                await process.ask(sample)
                self._note(_audits.decode(await process.answer()))
        except (trio.TooSlowError, ProcessFailed, msgspec.DecodeError):
            self._failed += 1
            return False
        return True

    def _note(self, audited: RoundAudited) -> None:
        if audited.refused:
            self._refused += 1
        else:
            self._audited += 1
            self._gaps += audited.gap
        fields = {"event": "audit", **msgspec.to_builtins(audited)}
        self._stream.write(f"{json.dumps(fields)}\n")
        self._stream.flush()

    def statistics(self) -> AuditorStatistics:
        """Return what was counted."""
        return AuditorStatistics(
            overheard=self._overheard,
            audited=self._audited,
            refused=self._refused,
            passed_over=self._passed_over,
            failed=self._failed,
            gap_mean=self._gaps / max(1, self._audited),
        )
