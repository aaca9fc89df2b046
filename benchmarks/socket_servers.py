"""Five WebSocket servers that do the same, each as its library would have it written.

`python -m benchmarks.socket_servers NAME` serves on a port of its own, which it prints. A binary
message that begins with `e` goes back, any other is counted. Texts are questions: how much
processor time the process has used, how many messages it has counted, how large it is; or `fan`,
which has one message sent to every socket. Nothing but the benchmark that is being run imports
this: picows is the makers' only.
"""

import asyncio
import resource
import signal
import socket as sockets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import override

import trio
import uvloop
from hypercorn.config import Config
from hypercorn.trio import (
    serve as serve_hypercorn,  # pyright: ignore[reportUnknownVariableType]
)
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,  # pyright: ignore[reportUnknownVariableType]
)
from quart import websocket
from quart_trio import QuartTrio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
)
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed as WebsocketsClosed

from api.poll import accept
from api.reactor import Reactor, Socket
from benchmarks.echo import WIDE
from wire.websocket import Opcode, framed

HOST = "127.0.0.1"
BACKLOG = 4096
FAN_MESSAGE = b"p" * 63
ECHO = ord("e")
DONE = "done"


class Count:
    """How many messages have been counted, and what there is to say about the process."""

    def __init__(self) -> None:
        self.seen = 0

    def answer(self, question: str) -> str:
        """Answer a question."""
        match question:
            case "cpu?":
                return str(time.process_time_ns())
            case "seen?":
                return str(self.seen)
            case _:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                return str(pages * resource.getpagesize())


async def reactor() -> None:
    """Serve on the reactor."""
    count, seats = Count(), set[Socket]()

    class Seat:
        __slots__ = ("_socket",)

        def __init__(self, socket: Socket) -> None:
            self._socket = socket
            seats.add(socket)

        def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as it is called.
            if is_text:
                self._answer(payload.decode())
            elif payload[0] == ECHO:
                self._socket.send(framed(payload))
            else:
                count.seen += 1

        def drained(self) -> None:
            """Whoever is slow still gets everything."""

        def closed(self, code: int) -> None:
            del code
            seats.discard(self._socket)

        def _answer(self, question: str) -> None:
            if question == "fan":
                frame = framed(FAN_MESSAGE)
                for seat in seats:
                    seat.send(frame)
            answer = DONE if question == "fan" else count.answer(question)
            self._socket.send(framed(answer.encode(), Opcode.TEXT))

    house = Reactor({"/": Seat}, WIDE, subprotocols=())
    (listener,) = await trio.open_tcp_listeners(0, host=HOST, backlog=BACKLOG)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.run)
        nursery.start_soon(accept, listener, house.adopt)
        announce(listener.socket.getsockname()[1])


async def trio_websocket() -> None:
    """Serve with trio-websocket."""
    count, seats = Count(), set[WebSocketConnection]()

    async def converse(connection: WebSocketConnection) -> None:
        while True:
            message = await connection.get_message()
            if isinstance(message, bytes):
                if message[0] == ECHO:
                    await connection.send_message(message)
                else:
                    count.seen += 1
            elif message == "fan":
                for seat in seats:
                    await seat.send_message(FAN_MESSAGE)
                await connection.send_message(DONE)
            else:
                await connection.send_message(count.answer(message))

    async def meet(request: WebSocketRequest) -> None:
        connection = await request.accept()
        seats.add(connection)
        try:
            await converse(connection)
        except ConnectionClosed:
            seats.discard(connection)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, meet, HOST, 0, None)
        announce(server.port)


async def websockets_asyncio() -> None:
    """Serve with websockets, on asyncio's own loop."""
    count, seats = Count(), set[ServerConnection]()

    async def converse(connection: ServerConnection) -> None:
        seats.add(connection)
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    if message[0] == ECHO:
                        await connection.send(message)
                    else:
                        count.seen += 1
                elif message == "fan":
                    broadcast(seats, FAN_MESSAGE)
                    await connection.send(DONE)
                else:
                    await connection.send(count.answer(message))
        except WebsocketsClosed:
            pass
        finally:
            seats.discard(connection)

    async with serve(
        converse, HOST, 0, compression=None, ping_interval=None, backlog=BACKLOG
    ) as server:
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()


class PicowsSeat(WSListener):
    """A socket of picows."""

    def __init__(self, count: Count, seats: set[WSTransport]) -> None:
        super().__init__()
        self._count = count
        self._seats = seats

    @override
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._seats.add(transport)

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._seats.discard(transport)

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            payload = frame.get_payload_as_bytes()
            if payload[0] == ECHO:
                transport.send(WSMsgType.BINARY, payload)
            else:
                self._count.seen += 1
        elif frame.msg_type == WSMsgType.TEXT:
            self._answer(transport, frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def _answer(self, transport: WSTransport, question: str) -> None:
        if question == "fan":
            for seat in self._seats:
                seat.send(WSMsgType.BINARY, FAN_MESSAGE)
        answer = DONE if question == "fan" else self._count.answer(question)
        transport.send(WSMsgType.TEXT, answer.encode())


async def picows_uvloop() -> None:
    """Serve with picows, on uvloop."""
    count, seats = Count(), set[WSTransport]()

    def meet(request: WSUpgradeRequest) -> WSListener:
        del request
        return PicowsSeat(count, seats)

    server = await ws_create_server(meet, HOST, 0, backlog=BACKLOG)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def quart_hypercorn() -> None:
    """Serve with Quart's own sockets, on Hypercorn."""
    count, seats = Count(), set[trio.MemorySendChannel[bytes | str]]()
    app = QuartTrio("benchmark")

    @app.websocket("/")
    async def converse() -> None:
        # A socket of Quart's can be sent to only by its own request: others leave it a message.
        to_send, sends = trio.open_memory_channel[bytes | str](1024)
        seats.add(to_send)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(speak, sends)
                await listen(to_send)
        finally:
            seats.discard(to_send)

    async def speak(sends: trio.MemoryReceiveChannel[bytes | str]) -> None:
        async for message in sends:
            await websocket.send(message)

    async def listen(to_send: trio.MemorySendChannel[bytes | str]) -> None:
        while True:
            message = await websocket.receive()
            if isinstance(message, bytes):
                if message[0] == ECHO:
                    await websocket.send(message)
                else:
                    count.seen += 1
            elif message == "fan":
                for seat in seats:
                    await seat.send(FAN_MESSAGE)
                await to_send.send(DONE)
            else:
                await websocket.send(count.answer(message))

    with sockets.create_server((HOST, 0), backlog=BACKLOG) as listener:
        config = Config()
        config.errorlog = None
        config.backlog = BACKLOG
        config.bind = [f"fd://{listener.fileno()}"]
        announce(listener.getsockname()[1])
        await serve_hypercorn(app, config)


def announce(port: int) -> None:
    """Tell the port."""
    print(port, flush=True)


SERVERS: Mapping[str, Callable[[], None]] = {
    "reactor": lambda: trio.run(reactor),
    "trio_websocket": lambda: trio.run(trio_websocket),
    "websockets_asyncio": lambda: asyncio.run(websockets_asyncio()),
    "picows_uvloop": lambda: uvloop.run(picows_uvloop()),
    "quart_hypercorn": lambda: trio.run(quart_hypercorn),
}


def main() -> None:
    """Serve as the one that is named."""
    if len(sys.argv) != 2 or sys.argv[1] not in SERVERS:  # noqa: PLR2004 - itself, and a name.
        sys.exit(f"name one of {', '.join(SERVERS)}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    SERVERS[sys.argv[1]]()


if __name__ == "__main__":
    main()
