"""`python -m benchmarks.echo PORT`: an echo server on the reactor, and nothing else.

For conformance suites and for measuring: whatever comes in goes back, and the limits are as wide
as a suite needs that sends messages of sixteen mebibytes and as many frames as it likes.
"""

import sys
from collections.abc import Sequence

import trio

from api.poll import accept
from api.reactor import Reactor, ReactorLimits, Socket, Usher
from wire.websocket import Opcode, framed

WIDE = ReactorLimits(
    sockets_max=1_000_000,
    peer_sockets_max=1_000_000,
    message_bytes_max=17 * 1024 * 1024,
    frames_per_s=1e7,
    frames_burst=10_000_000,
    room_bytes=32 * 1024 * 1024,
    waiting_bytes_max=64 * 1024 * 1024,
    stall_s=60.0,
)


class Echo:
    """A guest that says what it hears."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor calls it.
        """Say it back."""
        self._socket.send(framed(payload, Opcode.TEXT if is_text else Opcode.BINARY))

    def drained(self) -> None:
        """What was waiting is sent; there is nothing to catch up with."""

    def closed(self, code: int) -> None:
        """There is nothing to clean up."""
        del code


async def serve(port: int, usher: Usher = Echo) -> None:
    """Serve on that port until cancelled; prints the port once it listens."""
    reactor = Reactor({"/": usher}, WIDE, subprotocols=())
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1", backlog=4096)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reactor.run)
        for listener in listeners:
            nursery.start_soon(accept, listener, reactor.adopt)
        print(listeners[0].socket.getsockname()[1], flush=True)


def main(arguments: Sequence[str]) -> None:
    """Serve on the port that is named."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        sys.exit("say which port to listen on: python -m benchmarks.echo PORT")
    trio.run(serve, int(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
