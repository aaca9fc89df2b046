"""A person's device at its end of a socket: what it keeps from one connection to the next.

It numbers what its person does and keeps each act until the server has answered it, so that what
was done while there was no connection is sent later; it asks for messages from the last one it saw;
and it checks that they come once and in order, counting in `faults` what did not. It sees nothing
of connections: frames come in and go out as they are written on the wire.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from dispatch.ids import DeviceId, Instant
from wire.frames import (
    Ack,
    Act,
    AnyAction,
    Done,
    Frame,
    Hello,
    Message,
    Notation,
    ServerFrame,
    Welcome,
)

ACK_MESSAGES = 16
"""Messages after which a device acknowledges without waiting for its next beat."""

_encoders = {
    Notation.MSGPACK: msgspec.msgpack.Encoder().encode,
    Notation.JSON: msgspec.json.Encoder().encode,
}
_decoders = {
    Notation.MSGPACK: msgspec.msgpack.Decoder[ServerFrame](ServerFrame).decode,
    Notation.JSON: msgspec.json.Decoder[ServerFrame](ServerFrame).decode,
}


class Device:
    """One device; `feed` is whose messages it shows, where that is not its person's own."""

    def __init__(
        self,
        token: str,
        device_id: DeviceId,
        notation: Notation = Notation.MSGPACK,
        feed: str | None = None,
        refresh_token: str = "",
    ) -> None:
        self.token = token
        self.refresh_token = refresh_token
        self.device_id = device_id
        self.notation = notation
        self.feed = feed
        self.last_message_id: int | None = None
        self.faults: Counter[str] = Counter()
        self._said_token = ""
        self._acked = 0
        self._counter = 0
        self._unsettled: dict[int, Act] = {}

    @property
    def is_renewed(self) -> bool:
        """Whether it has another token than the one its connection was made with."""
        return self._said_token != self.token

    @property
    def is_text(self) -> bool:
        """Whether its frames are text."""
        return self.notation is Notation.JSON

    @property
    def unsettled(self) -> tuple[Act, ...]:
        """What was done and has not been answered, in the order in which it was done."""
        return tuple(self._unsettled.values())

    def written(self, frame: Frame) -> bytes:
        """Return a frame as it goes over the wire."""
        return _encoders[self.notation](frame)

    def read(self, payload: bytes) -> ServerFrame:
        """Return what the server sent; raises msgspec.DecodeError."""
        return _decoders[self.notation](payload)

    def event[E](self, message: Message, kind: type[E]) -> E:
        """Return what a message tells, as that type; raises msgspec.DecodeError."""
        decode: Any = msgspec.json if self.notation is Notation.JSON else msgspec.msgpack
        return decode.decode(message.event, type=kind)

    def hello(self) -> Hello:
        """Return the first frame of a connection."""
        self._said_token = self.token
        return Hello(
            token=self.token,
            device_id=self.device_id,
            last_message_id=self.last_message_id,
            feed=self.feed,
        )

    def welcomed(self, welcome: Welcome) -> tuple[Act, ...]:
        """Begin where the server says, and return the acts to send again."""
        if self.last_message_id is None or welcome.is_anew:
            self.last_message_id = self._acked = welcome.last_message_id
        elif welcome.last_message_id != self.last_message_id:
            self.faults["resumed elsewhere"] += 1
        return self.unsettled

    def takes(self, message: Message) -> bool:
        """Tell whether it is the message that comes next; any other is a fault."""
        expected = (self.last_message_id or 0) + 1
        if message.message_id < expected:
            self.faults["message came twice"] += 1
            return False
        if message.message_id > expected:
            self.faults["message missing"] += 1
        self.last_message_id = message.message_id
        return True

    def acks(self, *, is_due: bool) -> Iterator[Ack]:
        """Yield the acknowledgement of what was seen, when there is enough or it is time."""
        last = self.last_message_id or 0
        if last > self._acked and (is_due or last - self._acked >= ACK_MESSAGES):
            self._acked = last
            yield Ack(message_id=last)

    def do(self, action: AnyAction, at: Instant) -> Act:
        """Number what the person does, and keep it until it is answered."""
        self._counter += 1
        act = Act(counter=self._counter, at=at, action=action)
        self._unsettled[act.counter] = act
        return act

    def settle(self, done: Done) -> Act | None:
        """Forget an act that is answered, and return it; None for one that was answered before."""
        return self._unsettled.pop(done.counter, None)
