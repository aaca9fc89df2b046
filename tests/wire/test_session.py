"""Sessions on a public socket: what a client may send, when it is answered, and how it ends."""

from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import json, msgpack, structs

from dispatch.ids import DeviceId, Instant, OfferId, OrderId, after
from geo.ping import Ping
from wire.frames import (
    Ack,
    Act,
    Beat,
    CloseCode,
    Collect,
    CourierFrame,
    Hello,
    Notation,
    Pause,
    Pings,
    StartShift,
    Take,
    Welcome,
)
from wire.session import (
    COURIER_DIALECTS,
    ECHO_S,
    STREAM_DIALECTS,
    TERMS,
    Ended,
    Session,
    Stage,
    find_notation,
)

NOW = Instant(1_800_000_000_000)
HELLO = Hello(token="a-token", device_id=DeviceId("dev_1"))  # noqa: S106 - not a real one.
PINGS = Pings(pings=(Ping(55.0, 12.0, 4.0, NOW),))
JSON, MSGPACK = Notation.JSON, Notation.MSGPACK


def later(seconds: float) -> Instant:
    return after(NOW, seconds)


def a_session(notation: Notation = MSGPACK) -> Session[CourierFrame]:
    return Session(COURIER_DIALECTS[notation], NOW)


def an_open_session(notation: Notation = MSGPACK, expires_at: int = 0) -> Session[CourierFrame]:
    session = a_session(notation)
    said(session, HELLO, notation)
    session.admit(Instant(expires_at), NOW)
    return session


def said(
    session: Session[CourierFrame],
    frame: object,
    notation: Notation = MSGPACK,
    now: Instant = NOW,
) -> object:
    """Have the client say a frame, and return what follows."""
    written = json.encode(frame) if notation is JSON else msgpack.encode(frame)
    return session.received(written, notation is JSON, now)


def code_of(ended: object) -> CloseCode:
    assert isinstance(ended, Ended)
    return ended.code


@pytest.mark.parametrize("notation", list(Notation))
@pytest.mark.parametrize(
    "frame",
    [
        PINGS,
        Ack(message_id=7),
        Act(counter=1, at=NOW, action=Take(offer_id=OfferId("off_1"), epoch=3)),
        Act(counter=2, at=NOW, action=Collect(order_ids=(OrderId("ord_1"),))),
        Act(counter=3, at=NOW, action=StartShift(lat=55.0, lng=12.0, ends_at=NOW)),
    ],
)
def test_what_a_client_says_is_heard_as_it_was_meant(notation: Notation, frame: object) -> None:
    session = an_open_session(notation)

    heard = said(session, frame, notation)

    assert heard == frame


def test_the_subprotocol_says_how_a_session_is_written() -> None:
    assert find_notation(None) is MSGPACK
    assert find_notation("dispatch.v1.json") is JSON
    assert find_notation("soap") is None


def test_whoever_does_not_say_hello_in_time_is_cut_off() -> None:
    session = a_session()

    assert session.look(later(TERMS.hello_s - 0.001)) is None
    assert session.look(later(TERMS.hello_s)) == Ended(CloseCode.SILENT)


def test_a_client_that_we_cannot_get_to_know_in_time_may_come_again() -> None:
    session = a_session()
    said(session, HELLO)

    ended = session.look(later(TERMS.hello_s))

    assert ended == Ended(CloseCode.OVERLOADED)


def test_nothing_is_taken_before_a_hello() -> None:
    assert code_of(said(a_session(), PINGS)) is CloseCode.MALFORMED
    assert code_of(said(a_session(), Beat())) is CloseCode.MALFORMED


def test_a_hello_comes_once() -> None:
    greeted, opened = a_session(), an_open_session()
    said(greeted, HELLO)

    assert code_of(said(greeted, HELLO)) is CloseCode.MALFORMED
    assert code_of(said(opened, HELLO)) is CloseCode.MALFORMED


def test_a_client_that_is_silent_for_too_long_is_taken_for_gone() -> None:
    session = an_open_session()
    said(session, PINGS, now=later(3))
    session.said(later(12))

    assert session.look(later(3 + TERMS.offline_s - 0.001)) is None
    assert session.look(later(3 + TERMS.offline_s)) == Ended(CloseCode.SILENT)


def test_the_server_beats_when_it_has_nothing_else_to_say() -> None:
    session = an_open_session()
    session.said(later(2))
    said(session, PINGS, now=later(5))

    assert session.look(later(2 + TERMS.beat_s - 0.001)) is None
    assert session.look(later(2 + TERMS.beat_s)) == Beat()


def test_a_beat_is_answered_but_two_who_answer_beats_do_not_chatter() -> None:
    session = an_open_session()

    first = said(session, Beat(), now=later(ECHO_S))
    session.said(later(ECHO_S))
    at_once = said(session, Beat(), now=later(ECHO_S + 0.01))

    assert first == Beat()
    assert at_once is None


def test_a_session_ends_with_its_token() -> None:
    session = an_open_session(expires_at=later(5))
    said(session, PINGS, now=later(4))

    assert not isinstance(session.look(later(4.999)), Ended)
    assert code_of(session.look(later(5))) is CloseCode.UNAUTHENTICATED


def test_a_client_may_send_what_it_kept_but_not_without_end() -> None:
    session = an_open_session()
    burst = int(TERMS.burst_s * TERMS.frames_per_s) - 1  # The hello was the first.

    kept = [said(session, PINGS) for _ in range(burst)]
    one_more = said(session, PINGS)

    assert kept == [PINGS] * burst
    assert code_of(one_more) is CloseCode.TOO_MANY


def test_a_client_that_keeps_to_the_rate_may_send_for_ever() -> None:
    session = an_open_session()

    heard = {
        type(said(session, PINGS, now=later(number / TERMS.frames_per_s)))
        for number in range(1, 2_000)
    }

    assert heard == {Pings}


def test_a_session_that_is_over_hears_nothing_any_more() -> None:
    session = an_open_session()
    session.end(CloseCode.REPLACED)

    assert said(session, PINGS) is None
    assert session.look(later(1_000)) is None
    assert session.stage is Stage.OVER


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[" * 16_000,
        b'{"type":"beat","x":' + b"[" * 15_000 + b"]" * 15_000 + b"}",
        b'{"type":"nothing"}',
        b'{"type":["beat"]}',
        b'{"type":"hello","token":"\xff","device_id":"a"}',
        b'{"type":"hello","token":"a","device_id":"a\\u0000"}',
        b'{"type":"hello","token":"\\ud800","device_id":"a"}',
        b'{"type":"pings","pings":[[1,2,3,' + b"9" * 400 + b"]]}",
        b'{"type":"pings","pings":[' + b",".join([b"[1,2,3,4]"] * 61) + b"]}",
        b'{"type":"act","counter":0,"at":1,"action":{"type":"pause"}}',
        b'{"type":"act","counter":1,"at":1e30,"action":{"type":"pause"}}',
        b'{"type":"act","counter":1,"at":1,"action":{"type":"take","offer_id":"a b"}}',
        b'{"type":"act","counter":1,"at":1,"action":{"type":"collect","order_ids":[]}}',
        b'{"type":"act","counter":1,"at":1,"action":{"type":"deliver","order_id":""}}',
    ],
)
def test_what_cannot_be_read_ends_the_session_with_a_reason(payload: bytes) -> None:
    ended = an_open_session(JSON).received(payload, True, NOW)

    assert isinstance(ended, Ended)
    assert ended.code is CloseCode.MALFORMED
    assert ended.problem is not None
    assert ended.problem.detail


def test_a_message_in_the_other_notation_is_not_understood() -> None:
    text, binary = an_open_session(JSON), an_open_session(MSGPACK)

    assert code_of(text.received(b"{}", False, NOW)) is CloseCode.UNSUPPORTED
    assert code_of(binary.received(b"{}", True, NOW)) is CloseCode.UNSUPPORTED


def test_couriers_frames_are_not_for_the_stream() -> None:
    session = Session(STREAM_DIALECTS[MSGPACK], NOW)
    session.received(msgpack.encode(HELLO), False, NOW)

    ended = session.received(msgpack.encode(PINGS), False, NOW)

    assert code_of(ended) is CloseCode.MALFORMED


@pytest.mark.parametrize("notation", list(Notation))
def test_mutated_frames_never_raise(notation: Notation) -> None:
    chance = Random(20)
    dialect, outcomes = COURIER_DIALECTS[notation], dict[bool, int]()
    frames = [HELLO, PINGS, Beat(), Act(counter=1, at=NOW, action=Pause()), Ack(message_id=3)]
    written = [(json if notation is JSON else msgpack).encode(frame) for frame in frames]

    for _ in range(5_000):
        payload = bytearray(chance.choice(written))
        for _ in range(chance.randrange(4)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        heard = Session(dialect, NOW).received(bytes(payload), notation is JSON, NOW)
        is_over = isinstance(heard, Ended)
        outcomes[is_over] = outcomes.get(is_over, 0) + 1

    assert sum(outcomes.values()) == 5_000
    assert len(outcomes) == 2


@pytest.mark.parametrize("notation", list(Notation))
def test_what_the_server_writes_is_what_a_client_reads(notation: Notation) -> None:
    welcome = Welcome(
        session_id="ses_1", person="crr_1", node="node", last_message_id=4, server_at=NOW
    )

    written = COURIER_DIALECTS[notation].write(welcome)
    read = (json if notation is JSON else msgpack).decode(written, type=Welcome)

    assert read == welcome
    assert structs.asdict(read)["beat_s"] == TERMS.beat_s


class Sessions(RuleBasedStateMachine):
    """A session led by chance, beside the plainest account of how far it may have come."""

    def __init__(self) -> None:
        super().__init__()
        self.session = a_session()
        self.now = self.heard_at = self.said_at = NOW
        self.is_greeted = self.is_open = self.is_over = False
        self.frames = 0

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 5.0]))
    def look(self, seconds: float) -> None:
        self.now = after(self.now, seconds)
        told = self.session.look(self.now)
        if self.is_over:
            assert told is None
            return
        since, limit_s = (self.heard_at, TERMS.offline_s) if self.is_open else (NOW, TERMS.hello_s)
        is_late = self.now >= after(since, limit_s)
        assert isinstance(told, Ended) is is_late
        self.is_over = is_late
        if isinstance(told, Beat):
            assert self.is_open
            self.said_at = self.now
            self.session.said(self.now)

    @rule(frame=st.sampled_from([HELLO, PINGS, Ack(message_id=1), Beat(), b"\xc1"]))
    def hear(self, frame: object) -> None:
        payload = frame if isinstance(frame, bytes) else msgpack.encode(frame)
        heard = self.session.received(payload, False, self.now)
        if self.is_over:
            assert heard is None
            return
        self.heard_at = self.now
        is_out_of_turn = isinstance(frame, Hello) is self.is_greeted
        self.is_over = isinstance(frame, bytes) or is_out_of_turn
        self.is_greeted = True
        assert isinstance(heard, Ended) is self.is_over
        if not self.is_over and not isinstance(frame, Beat):
            assert heard == frame

    @precondition(lambda self: self.is_greeted and not self.is_open and not self.is_over)
    @rule()
    def admit(self) -> None:
        self.session.admit(Instant(0), self.now)
        self.is_open, self.said_at = True, self.now

    @invariant()
    def the_stage_says_how_far_it_has_come(self) -> None:
        stages = (Stage.OVER, Stage.OPEN, Stage.GREETED, Stage.WAITING)
        signs = (self.is_over, self.is_open, self.is_greeted, True)
        assert self.session.stage is next(
            stage for stage, sign in zip(stages, signs, strict=True) if sign
        )


TestSessions = Sessions.TestCase
