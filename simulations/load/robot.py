"""What all robots have in common: a device, frames in, frames out, and a time to be woken at.

A robot is connected by somebody else (`line.py`, `flood.py`), who hands it what comes in and sends
what `frames` yields whenever `due_at` has come or something came in. Its connection may end at any
moment; what it said in the meantime and must not be lost, its device keeps.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from dispatch.ids import Instant, after
from simulations.load.device import Device
from simulations.load.news import News
from simulations.load.tally import Tally
from wire.frames import BEAT_S, Act, Beat, Done, Frame, GoTo, Message, Position, Problem, Welcome


class Robot(ABC):
    """Somebody at a socket."""

    path: ClassVar[str]

    def __init__(self, device: Device, tally: Tally) -> None:
        self.device = device
        self.tally = tally
        self.is_welcome = False
        self.go_to: str = ""
        """Where the server said to connect next."""
        self._beat_at = Instant(0)
        self._again: tuple[Act, ...] = ()

    @property
    def due_at(self) -> Instant:
        """When there is something to say, if nothing comes in before."""
        return min(self._beat_at, self.acts_at) if self.is_welcome else self._beat_at

    @property
    @abstractmethod
    def acts_at(self) -> Instant:
        """When the robot does something of its own accord."""

    def connected(self, now: Instant) -> bytes:
        """Return the first frame of a connection."""
        self.is_welcome, self.go_to = False, ""
        self._beat_at = after(now, BEAT_S)
        return self.device.written(self.device.hello())

    def received(self, payload: bytes, now: Instant) -> None:
        """Hear what the server sent."""
        try:
            frame = self.device.read(payload)
        except msgspec.DecodeError as error:
            self.tally.fail(f"unreadable frame: {error}"[:80])
            return
        match frame:
            case Welcome():
                self.is_welcome = True
                self._again = self.device.welcomed(frame)
                self.welcomed(now)
            case Message() if self.device.takes(frame):
                self.tally.count("messages")
                self.learns(self.device.event(frame, News), now)
            case Done():
                self._settled(frame, now)
            case Position():
                self.sees(frame, now)
            case GoTo(address=address):
                self.go_to = address
            case Problem():
                self.tally.fail(f"problem: {frame.code}")
            case _:
                pass

    def frames(self, now: Instant) -> Iterator[bytes]:
        """Yield what is to be sent now."""
        if not self.is_welcome:
            return
        said: list[Frame] = [*self._again, *self.says(now)]
        self._again = ()
        said += self.device.acks(is_due=now >= self._beat_at)
        if not said and now >= self._beat_at:
            said.append(Beat())
        if said:
            self._beat_at = after(now, BEAT_S)
        yield from map(self.device.written, said)

    def close(self) -> None:
        """Tell what the device found wrong, at the end of a run."""
        for fault, times in self.device.faults.items():
            for _ in range(times):
                self.tally.fail(fault)

    def _settled(self, done: Done, now: Instant) -> None:
        act = self.device.settle(done)
        if act is None:
            return
        self.tally.count("acts")
        self.tally.time("act", now - act.at)
        if done.code is not None:
            self.tally.refuse(f"{type(act.action).__name__}: {done.code}")
        self.settled(act, done, now)

    @abstractmethod
    def welcomed(self, now: Instant) -> None:
        """Begin, or go on after the connection was lost."""

    @abstractmethod
    def says(self, now: Instant) -> Iterator[Frame]:
        """Yield what the robot does of its own accord now."""

    def learns(self, news: News, now: Instant) -> None:  # noqa: B027 - not all do.
        """Hear a message of the feed."""

    def sees(self, position: Position, now: Instant) -> None:  # noqa: B027 - not all do.
        """See where a courier is."""

    def settled(self, act: Act, done: Done, now: Instant) -> None:  # noqa: B027 - as above.
        """Hear what became of an act."""
