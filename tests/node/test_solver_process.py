"""What the solver's process says to a question, and when it stops searching."""

import io
import os
import sys
from functools import partial

import msgspec
import pytest

from dispatch.matching.plan import Plan
from dispatch.matching.solving import Answer
from node import solver_process
from node.solver_process import NICENESS, Limit, framed, said_to, serve, written
from tests.dispatch.matching.test_fallback import request


def _said(frames: bytes) -> list[bytes]:
    said = list[bytes]()
    stream = io.BytesIO(frames)
    while length := stream.read(4):
        said.append(stream.read(int.from_bytes(length)))
    return said


def test_an_empty_question_is_answered_by_an_empty_frame_and_the_end_ends_it() -> None:
    answers = io.BytesIO()

    serve(io.BytesIO(framed(b"") * 2), answers)

    assert _said(answers.getvalue()) == [b"", b""]


def _ignored(pipe: int) -> None:
    del pipe


def _noted(done: list[object], *pipes: object) -> None:
    assert len(pipes) == 2
    done.append("serves")


def test_a_solver_stands_back_once_it_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[object]()
    monkeypatch.setattr(solver_process, "end_with", _ignored)
    monkeypatch.setattr(solver_process, "warm_up", lambda: done.append("warm"))
    monkeypatch.setattr(os, "nice", done.append)
    questions, end = os.pipe()
    with os.fdopen(questions) as stdin, os.fdopen(end, "w"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(solver_process, "serve", partial(_noted, done))

        solver_process.main()

        monkeypatch.undo()

    assert done == ["warm", NICENESS, "serves"]


def test_a_question_is_answered_in_haste_and_then_in_full() -> None:
    hasty, full = map(_understood, said_to(written(request(), 60.0)))

    assert hasty.plan.effort.iterations == 0
    assert full.plan.effort.iterations > 0
    assert full.solved.cut == ""
    assert full.plan.cost_s <= hasty.plan.cost_s


def test_a_solver_that_has_nothing_to_say_in_haste_sends_an_empty_frame_ahead() -> None:
    hasty, full = said_to(written(request("nearest"), 60.0))

    assert hasty == b""
    assert _understood(full).plan.trips


def test_a_search_whose_time_is_over_is_cut_off_and_the_answer_says_so() -> None:
    _, full = said_to(written(request(), 0.0))

    answered = _understood(full)
    assert answered.solved.cut == "stopped searching after 0.00 s"
    assert answered.plan.effort.iterations == 0
    assert answered.plan != Plan()


def test_a_limit_remembers_that_it_was_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(solver_process, "perf_counter", lambda: now_s)
    limit = Limit(2.5)

    looks = [limit.is_over()]
    now_s = 102.5
    looks.append(limit.is_over())

    assert looks == [False, True]
    assert limit.was_over
    assert limit.reason() == "stopped searching after 2.50 s"


def _understood(said: bytes) -> Answer:
    return msgspec.msgpack.decode(said, type=Answer)
