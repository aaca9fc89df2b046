"""Robots on trio-websocket: one connection each, made again whenever it is lost.

A robot that was told where to go goes there; one whose connection was cut asks for the doors again,
after a while of its own choosing, so that those of a node that died do not come all at once.
"""

from random import Random

import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from node.clock import wall
from simulations.load.api import Api, ApiFailed
from simulations.load.device import Device
from simulations.load.robot import Robot
from simulations.load.tally import Tally
from wire.frames import CloseCode

CONNECT_S = 10.0
SEND_S = 10.0
QUEUE_MAX = 64
JITTER_S = (0.2, 1.5)
SILENT_S = 10.0
"""A server that says nothing for so long is taken for gone."""
PLANNED = frozenset({CloseCode.DONE, CloseCode.RESTART, CloseCode.MOVED, CloseCode.GOING_AWAY})
"""Ends that the server announces: the node leaves, or the courier has moved."""


def ends_token(code: int, device: Device) -> bool:
    """Tell whether a connection ended only because its token did, and there is another."""
    return code == CloseCode.UNAUTHENTICATED and device.is_renewed


class Line:
    """A robot's connection."""

    def __init__(self, robot: Robot, api: Api, tally: Tally, chance: Random) -> None:
        self._robot, self._api, self._tally, self._chance = robot, api, tally, chance
        self._came_in = trio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        address = self._api.doors.first()
        while True:
            await self._connected(address)
            await trio.sleep(self._chance.uniform(*JITTER_S))
            address = self._robot.go_to or await self._another(address)

    async def _another(self, address: str) -> str:
        """Return where to connect after a connection was lost."""
        self._api.doors.pass_over(address)
        try:
            await self._api.look_for_doors()
        except ApiFailed:
            self._tally.count("no door")
        return self._api.doors.first()

    async def _connected(self, address: str) -> None:
        """Be connected there until that ends, and count how it did."""
        host, _, port = address.rpartition(":")
        try:
            with trio.fail_after(CONNECT_S):
                stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
            # The library leaves the stream open when it is cancelled within the handshake.
            async with stream, trio.open_nursery() as nursery:
                with trio.fail_after(CONNECT_S):
                    socket = await wrap_client_stream(
                        nursery,
                        stream,
                        address,
                        self._robot.path,
                        subprotocols=[self._robot.device.notation],
                        message_queue_size=QUEUE_MAX,
                    )
                await self._talk(socket)
        except* OSError as errors:
            self._tally.fail(f"connection: {type(_first(errors)).__name__}")
        except* HandshakeError:
            self._tally.fail("connection: HandshakeError")
        except* trio.TooSlowError:
            self._tally.fail("connection: silence")
        except* ConnectionClosed as errors:
            self._closed(_first(errors))

    async def _talk(self, socket: WebSocketConnection) -> None:
        self._tally.count("connections")
        await self._send(socket, self._robot.connected(wall()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, socket)
            await self._say(socket)

    async def _hear(self, socket: WebSocketConnection) -> None:
        while True:
            with trio.fail_after(SILENT_S):
                payload = await socket.get_message()
            said = payload.encode() if isinstance(payload, str) else payload
            self._robot.received(said, wall())
            self._came_in.set()

    async def _say(self, socket: WebSocketConnection) -> None:
        while True:
            self._came_in = trio.Event()
            for frame in self._robot.frames(wall()):
                await self._send(socket, frame)
            with trio.move_on_after(max(0.0, (self._robot.due_at - wall()) / 1_000)):
                await self._came_in.wait()

    async def _send(self, socket: WebSocketConnection, frame: bytes) -> None:
        with trio.fail_after(SEND_S):
            await socket.send_message(frame.decode() if self._robot.device.is_text else frame)

    def _closed(self, error: BaseException) -> None:
        """Count an end: one that was announced is none of anybody's fault."""
        reason = error.reason if isinstance(error, ConnectionClosed) else None
        code = reason.code if reason else 0
        if code in PLANNED or ends_token(code, self._robot.device):
            self._tally.count(f"closed with {code}")
        else:
            self._tally.fail(f"closed with {code}")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of the errors, wherever in the group."""
    error = errors.exceptions[0]
    is_group = isinstance(error, BaseExceptionGroup)
    return _first(error) if is_group else error  # pyright: ignore[reportUnknownArgumentType]
