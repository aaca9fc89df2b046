"""Ping-pong and fan-in on pykka and on thespian: what a Python program would use instead.

Both are written the way their own documentation writes actors, and do what the kernel's own
benchmark does: count each message, answer each ball, send each burst. They are development
dependencies, so nothing but a benchmark that is being run imports this module.
"""

import threading
import time
from typing import NamedTuple

import pykka
from thespian.actors import Actor, ActorAddress, ActorSystem

BURST = 100
SENDERS = 10


type PykkaPlayerRef = pykka.ActorRef[PykkaPlayer]


class PykkaPlayer(pykka.ThreadingActor):
    """Answers each ball; one that was told how many there are ends with the last of them."""

    def __init__(self, ball_count: int | None, done: threading.Event) -> None:
        super().__init__()
        self.seen = 0
        self._ball_count = ball_count
        self._done = done
        self._other: PykkaPlayerRef | None = None

    def meet(self, other: PykkaPlayerRef) -> None:
        """Take the other player."""
        self._other = other

    def on_receive(self, message: object) -> None:
        """Count the ball and play it back."""
        self.seen += 1
        if self.seen == self._ball_count:
            self._done.set()
        elif self._other is not None:
            self._other.tell(message)


class PykkaSink(pykka.ThreadingActor):
    """Counts what it is told."""

    def __init__(self, count: int, done: threading.Event) -> None:
        super().__init__()
        self.seen = 0
        self._count = count
        self._done = done

    def on_receive(self, message: object) -> None:
        """Count."""
        del message
        self.seen += 1
        if self.seen == self._count:
            self._done.set()


class PykkaSender(pykka.ThreadingActor):
    """Sends a burst each time it is told."""

    def __init__(self, sink: pykka.ActorRef[PykkaSink]) -> None:
        super().__init__()
        self._sink = sink

    def on_receive(self, message: object) -> None:
        """Send a burst."""
        sink = self._sink
        for _ in range(BURST):
            sink.tell(message)


def pykka_ping_pong(count: int) -> float:
    """Play `count` balls between two actors and return the seconds it took."""
    done = threading.Event()
    left = PykkaPlayer.start(None, done)
    right = PykkaPlayer.start(count // 2, done)
    for player, other in ((left, right), (right, left)):
        player.proxy().meet(other).get()
    try:
        began = time.perf_counter()
        left.tell("ball")
        assert done.wait(60), "pykka did not finish its ping-pong"
        spent_s = time.perf_counter() - began
        seen = [player.proxy().seen.get() for player in (left, right)]
    finally:
        pykka.ActorRegistry.stop_all()
    assert seen == [count // 2, count // 2], f"pykka played {seen} balls"
    return spent_s


def pykka_fan_in(count: int) -> float:
    """Send `count` messages from several actors to one and return the seconds it took."""
    done = threading.Event()
    sink = PykkaSink.start(count, done)
    senders = [PykkaSender.start(sink) for _ in range(SENDERS)]
    try:
        began = time.perf_counter()
        for number in range(count // BURST):
            senders[number % SENDERS].tell("item")
        assert done.wait(60), "pykka did not finish its fan-in"
        spent_s = time.perf_counter() - began
    finally:
        pykka.ActorRegistry.stop_all()
    return spent_s


class Meeting(NamedTuple):
    """Whom a player plays with, and after how many balls it ends the game, if it does."""

    other: ActorAddress
    ball_count: int | None


class ThespianPlayer(Actor):
    """Answers each ball; tells how many it has seen when asked."""

    seen = 0
    meeting: Meeting | None = None

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:  # noqa: N802 - its name.
        """Count the ball and play it back."""
        if msg == "ball":
            self.seen += 1
            if self.meeting is not None and self.seen != self.meeting.ball_count:
                self.send(self.meeting.other, msg)
        elif isinstance(msg, Meeting):
            self.meeting = msg
        elif msg == "seen":
            self.send(sender, self.seen)


class ThespianSink(Actor):
    """Counts what it is told; tells how many when asked."""

    seen = 0

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:  # noqa: N802 - its name.
        """Count."""
        if msg == "item":
            self.seen += 1
        elif msg == "seen":
            self.send(sender, self.seen)


class ThespianSender(Actor):
    """Sends a burst each time it is told."""

    sink: ActorAddress | None = None

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:  # noqa: N802 - its name.
        """Send a burst."""
        del sender
        if msg == "go":
            for _ in range(BURST):
                self.send(self.sink, "item")
        elif isinstance(msg, ActorAddress):
            self.sink = msg


def thespian_ping_pong(count: int) -> float:
    """Play `count` balls between two actors of one process and return the seconds it took."""
    system = ActorSystem("simpleSystemBase")
    try:
        left, right = (system.createActor(ThespianPlayer) for _ in range(2))
        system.tell(left, Meeting(right, None))
        system.tell(right, Meeting(left, count // 2))
        began = time.perf_counter()
        system.tell(left, "ball")
        seen = [system.ask(player, "seen", 60) for player in (left, right)]
        spent_s = time.perf_counter() - began
    finally:
        system.shutdown()
    assert seen == [count // 2, count // 2], f"thespian played {seen} balls"
    return spent_s


def thespian_fan_in(count: int) -> float:
    """Send `count` messages from several actors to one and return the seconds it took."""
    system = ActorSystem("simpleSystemBase")
    try:
        sink = system.createActor(ThespianSink)
        senders = [system.createActor(ThespianSender) for _ in range(SENDERS)]
        for sender in senders:
            system.tell(sender, sink)
        began = time.perf_counter()
        for number in range(count // BURST):
            system.tell(senders[number % SENDERS], "go")
        seen = system.ask(sink, "seen", 60)
        spent_s = time.perf_counter() - began
    finally:
        system.shutdown()
    assert seen == count, f"thespian received {seen} messages"
    return spent_s
