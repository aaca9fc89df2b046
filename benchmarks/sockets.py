"""What a message costs on the reactor, beside the WebSocket servers one would use instead.

Each server is a process of its own that answers for the processor time it used, so that the client,
which is the same for all, counts for nothing. Echo: a hundred sockets send a ping each and have it
back. Flood: sixty-four pings in one read, which are counted. Fan-out: one message to a thousand
sockets. Idle: what the process grows by for each socket that is open and silent, and what it costs
to open one. The servers take turns, several times over, and each is judged by its median; every
message is counted by whoever gets it. Messages have 63 bytes, as a ping has.

Most of a fan-out is the kernel's: what a bare `send` takes is measured in the same run, in this
process, so that the ratio is told with it and without.
"""

import contextlib
import json
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TypedDict

from msgspec import Struct

from wire.websocket import Opcode, apply_mask

HOST = "127.0.0.1"
NAMES = ("reactor", "trio_websocket", "websockets_asyncio", "picows_uvloop", "quart_hypercorn")
OURS = "reactor"
MESSAGE = b"p" * 63
ECHO_MESSAGE = b"e" + MESSAGE[1:]
MASK = b"mask"
HEAD_BYTES = 2
"""Of a server's frame that is shorter than 126 bytes."""
WAIT_S = 60.0
SPARE_FILES = 500
OPENING = 64
"""How many sockets are opened at a time."""
AT_ONCE = struct.pack("ii", 1, 0)
"""A linger of zero: the client's end leaves nothing behind, so that no port is used up."""


class Work(Struct, frozen=True, kw_only=True):
    """How much is done in one turn."""

    turns: int = 3
    echo_sockets: int = 100
    echo_rounds: int = 50
    flood_sockets: int = 10
    flood_reads: int = 40
    flood_frames: int = 64
    fan_sockets: int = 1_000
    fan_rounds: int = 10
    fan_rounds_before: int = 20
    """Rounds that are not counted: a young connection acknowledges each segment at once, which
    doubles what the kernel does for it, and couriers' connections are old."""
    idle_sockets: int = 10_000


class Measured(TypedDict):
    """Processor time a message in microseconds, memory in KiB, and the ratios that are claimed."""

    echo_us: dict[str, float]
    flood_us: dict[str, float]
    fan_out_us: dict[str, float]
    open_us: dict[str, float]
    idle_kib: dict[str, float]
    idle_sockets: int
    echo_below_trio_websocket: float
    echo_over_picows: float
    flood_over_picows: float
    kernel_send_us: float
    fan_out_below_trio_websocket: float
    fan_out_below_trio_websocket_without_kernel: float


class Idle(Struct, frozen=True):
    """What open and silent sockets take in KiB, and what it cost to open one in microseconds."""

    sockets: int
    kib: dict[str, float]
    open_us: dict[str, float]


class Turn(Struct, frozen=True):
    """What one turn cost, in microseconds a message."""

    echo_us: float
    flood_us: float
    fan_out_us: float


def masked(payload: bytes, opcode: int = Opcode.BINARY) -> bytes:
    """Return a client's frame of a short payload."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + apply_mask(payload, MASK)


class Client:
    """One socket, by blocking calls."""

    __slots__ = ("_sock",)

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection((HOST, port), WAIT_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)

    def ask(self) -> None:
        """Send the handshake."""
        self._sock.sendall(
            b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )

    def open(self) -> None:
        """Read the answer to the handshake."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, frames: bytes) -> None:
        """Send bytes."""
        self._sock.sendall(frames)

    def received(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        received = self._sock.recv(size, socket.MSG_WAITALL)
        assert len(received) == size, f"{len(received)} bytes came, and not {size}"
        return received

    def answer(self, question: str) -> str:
        """Ask the server, and return its answer."""
        self.send(masked(question.encode(), Opcode.TEXT))
        first, size = self.received(HEAD_BYTES)
        assert first == 0x80 | Opcode.TEXT
        return self.received(size).decode()

    def close(self) -> None:
        """Be gone."""
        self._sock.close()


class Server:
    """A server in a process of its own."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._port = port
        self._desk = self.clients(1)[0]

    def clients(self, count: int) -> Sequence[Client]:
        """Open so many sockets."""
        clients: list[Client] = []
        while len(clients) < count:
            opening = [Client(self._port) for _ in range(min(OPENING, count - len(clients)))]
            for client in opening:
                client.ask()
            for client in opening:
                client.open()
            clients += opening
        return clients

    def close(self) -> None:
        """Ask no more."""
        self._desk.close()

    def cpu_us(self) -> float:
        """Return the processor time it has used."""
        return int(self._desk.answer("cpu?")) / 1e3

    def seen(self) -> int:
        """Return how many messages it has counted."""
        return int(self._desk.answer("seen?"))

    def resident_bytes(self) -> int:
        """Return how large it is."""
        return int(self._desk.answer("memory?"))

    def fan(self) -> None:
        """Have it send a message to every socket, and take the asker's own."""
        self._desk.send(masked(b"fan", Opcode.TEXT))
        payloads = {self._frame(), self._frame()}
        assert payloads == {MESSAGE, b"done"}

    def _frame(self) -> bytes:
        _, size = self._desk.received(HEAD_BYTES)
        return self._desk.received(size)


@contextmanager
def served(name: str) -> Generator[Server]:
    """Run a server for as long as the block does."""
    command = (sys.executable, "-m", "benchmarks.socket_servers", name)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own.
        assert process.stdout is not None
        try:
            server = Server(name, int(process.stdout.readline()))
            yield server
            server.close()
        finally:
            process.terminate()


@contextmanager
def seated(server: Server, count: int) -> Generator[Sequence[Client]]:
    """Have so many sockets open for as long as the block runs."""
    clients = server.clients(count)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def echo_us(server: Server, work: Work) -> float:
    """Return what it costs to hear a ping and say it again."""
    frame, back = masked(ECHO_MESSAGE), b"\x82\x3f" + ECHO_MESSAGE
    with seated(server, work.echo_sockets) as clients:
        before_us = server.cpu_us()
        for _ in range(work.echo_rounds):
            for client in clients:
                client.send(frame)
            for client in clients:
                assert client.received(len(back)) == back
        spent_us = server.cpu_us() - before_us
    return spent_us / (work.echo_sockets * work.echo_rounds)


def flood_us(server: Server, work: Work) -> float:
    """Return what it costs to hear a ping among many that come at once."""
    burst = masked(MESSAGE) * work.flood_frames
    with seated(server, work.flood_sockets) as clients:
        expected = server.seen()
        before_us = server.cpu_us()
        for _ in range(work.flood_reads):
            expected += work.flood_sockets * work.flood_frames
            for client in clients:
                client.send(burst)
            while server.seen() < expected:
                select.select((), (), (), 0.001)
        spent_us = server.cpu_us() - before_us
        assert server.seen() == expected
    return spent_us / (work.flood_sockets * work.flood_reads * work.flood_frames)


def fan_out_us(server: Server, work: Work) -> float:
    """Return what it costs to send a message to one of very many sockets."""
    with seated(server, work.fan_sockets) as clients:
        _fanned(server, clients, work.fan_rounds_before)
        before_us = server.cpu_us()
        _fanned(server, clients, work.fan_rounds)
        spent_us = server.cpu_us() - before_us
    return spent_us / (work.fan_sockets * work.fan_rounds)


def _fanned(server: Server, clients: Sequence[Client], rounds: int) -> None:
    frame = b"\x82\x3f" + MESSAGE
    for _ in range(rounds):
        server.fan()
        for client in clients:
            assert client.received(len(frame)) == frame


def kernel_us(work: Work) -> float:
    """Return what the kernel alone takes to send a message to one of very many sockets."""
    frame, spent_s = b"\x82\x3f" + MESSAGE, 0.0
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=work.fan_sockets))
        near: list[socket.socket] = []
        far: list[socket.socket] = []
        for _ in range(work.fan_sockets):
            near.append(stack.enter_context(socket.create_connection(listener.getsockname())))
            far.append(stack.enter_context(listener.accept()[0]))
            far[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        for round_number in range(work.fan_rounds_before + work.fan_rounds):
            before_s = time.process_time()
            for sock in far:
                sock.send(frame)
            if round_number >= work.fan_rounds_before:
                spent_s += time.process_time() - before_s
            for sock in near:
                assert sock.recv(len(frame), socket.MSG_WAITALL) == frame
    return spent_s * 1e6 / (work.fan_sockets * work.fan_rounds)


def idle_cost(server: Server, count: int) -> tuple[float, float]:
    """Return what an open socket takes in KiB, and what it cost to open it in microseconds."""
    before_bytes, before_us = server.resident_bytes(), server.cpu_us()
    with seated(server, count) as clients:
        spent_us = server.cpu_us() - before_us
        grown_bytes = server.resident_bytes() - before_bytes
        for client in (clients[0], clients[-1]):
            client.send(masked(ECHO_MESSAGE))
            assert client.received(2 + len(ECHO_MESSAGE))[2:] == ECHO_MESSAGE
    return grown_bytes / count / 1024, spent_us / count


def sockets(work: Work = Work()) -> Measured:  # noqa: B008 - frozen, and made once.
    """Run the benchmark and return its figures; raises `AssertionError` if work was left undone."""
    idle_sockets = min(work.idle_sockets, _files() - SPARE_FILES)
    idle_kib: dict[str, float] = {}
    open_us: dict[str, float] = {}
    for name in NAMES:
        with served(name) as server:
            idle_kib[name], open_us[name] = idle_cost(server, idle_sockets)
    with ExitStack() as stack:
        servers = [stack.enter_context(served(name)) for name in NAMES]
        turns: dict[str, list[Turn]] = {name: [] for name in NAMES}
        kernel: list[float] = []
        for _ in range(work.turns):
            kernel.append(kernel_us(work))
            for server in servers:
                turns[server.name].append(_turn(server, work))
    figures = Idle(idle_sockets, idle_kib, open_us)
    return _measured(turns, figures, median(kernel))


def _turn(server: Server, work: Work) -> Turn:
    return Turn(echo_us(server, work), flood_us(server, work), fan_out_us(server, work))


def _measured(turns: dict[str, list[Turn]], idle: Idle, kernel_send_us: float) -> Measured:
    echo = {name: median(turn.echo_us for turn in turns[name]) for name in NAMES}
    flood = {name: median(turn.flood_us for turn in turns[name]) for name in NAMES}
    fan_out = {name: median(turn.fan_out_us for turn in turns[name]) for name in NAMES}
    return {
        "echo_us": _rounded(echo),
        "flood_us": _rounded(flood),
        "fan_out_us": _rounded(fan_out),
        "open_us": _rounded(idle.open_us),
        "idle_kib": _rounded(idle.kib),
        "idle_sockets": idle.sockets,
        "kernel_send_us": round(kernel_send_us, 2),
        "echo_below_trio_websocket": round(echo["trio_websocket"] / echo[OURS], 2),
        "echo_over_picows": round(echo[OURS] / echo["picows_uvloop"], 2),
        "flood_over_picows": round(flood[OURS] / flood["picows_uvloop"], 2),
        "fan_out_below_trio_websocket": round(fan_out["trio_websocket"] / fan_out[OURS], 2),
        "fan_out_below_trio_websocket_without_kernel": round(
            (fan_out["trio_websocket"] - kernel_send_us) / (fan_out[OURS] - kernel_send_us), 2
        ),
    }


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 2) for name, figure in figures.items()}


def _files() -> int:
    """Return how many files this process may have open, after raising it as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def main() -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(sockets()))


if __name__ == "__main__":
    main()
