"""The HTTP interface as a client uses it: over any door that answers, and each request once.

A request that may have counted without being answered is sent again under its idempotency key, to
the next door, until there is an answer or its time is over. Doors are learned from `/v1/connect`,
as a client in the field would, and from whoever started the client.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random

import httpx
import msgspec
import trio
from msgspec import Struct

from simulations.load.tally import Tally
from simulations.load.transport import Transport

TRIES_S = 20.0
"""Time in which a request is tried again."""
TIMEOUT_S = 10.0
PAUSE_S = (0.1, 0.5)
AGAIN = frozenset({429, 502, 503})
PENDING = "key-pending"
OK, BAD = 200, 300
PLAIN = {"Accept-Encoding": "identity"}


class ApiFailed(Exception):
    """No door answered in time, or what it answered makes no sense; the message says which."""


class Trouble(Struct, frozen=True):
    """What a client reads of a problem."""

    code: str = ""


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return OK <= self.status < BAD

    @property
    def code(self) -> str:
        """Why it was not, by its name on the wire."""
        try:
            return "" if self.is_success else self.read(Trouble).code
        except ApiFailed:
            return ""

    def read[R](self, kind: type[R]) -> R:
        """Return the body as that type; raises ApiFailed."""
        try:
            return msgspec.json.decode(self.content, type=kind)
        except msgspec.DecodeError as error:
            raise ApiFailed(f"an answer with {self.status} cannot be read: {error}") from error


class Door(Struct, frozen=True):
    """A door as `/v1/connect` tells of it."""

    http: str


class Connection(Struct, frozen=True):
    """The doors there are."""

    doors: tuple[Door, ...]


class Doors:
    """The addresses at which nodes serve clients, `host:port`; the first is the one in use."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(dict.fromkeys(addresses))

    @property
    def addresses(self) -> Sequence[str]:
        """All of them."""
        return tuple(self._addresses)

    def first(self) -> str:
        """Return the door in use."""
        assert self._addresses, "nobody has told of a door"
        return self._addresses[0]

    def pass_over(self, address: str) -> None:
        """Use another one from now on, if that did not answer and is the one in use."""
        if len(self._addresses) > 1 and self._addresses[0] == address:
            self._addresses.append(self._addresses.pop(0))

    def learn(self, addresses: Sequence[str]) -> None:
        """Know these, and forget those that are gone; none at all are taken for no news."""
        if addresses:
            kept = [one for one in self._addresses if one in addresses]
            self._addresses = list(dict.fromkeys([*kept, *addresses]))


class Api:
    """A client; `client` is closed by whoever made it."""

    def __init__(
        self, client: httpx.AsyncClient, doors: Doors, tally: Tally, chance: Random
    ) -> None:
        self.doors = doors
        self._client, self._tally, self._chance = client, tally, chance
        self._keys = (f"{chance.getrandbits(64):016x}-{number}" for number in count(1))

    async def ask(
        self, verb: str, path: str, token: str | None = None, body: object = None
    ) -> Answer:
        """Send a request until it is answered; raises ApiFailed."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if verb in {"POST", "PATCH"}:
            headers["Idempotency-Key"] = next(self._keys)
        content = b"" if body is None else msgspec.json.encode(body)
        with trio.move_on_after(TRIES_S):
            while True:
                answer = await self._tried(verb, path, headers, content)
                if answer is not None:
                    return answer
                await trio.sleep(self._chance.uniform(*PAUSE_S))
        self._tally.fail(f"{verb} unanswered")
        raise ApiFailed(f"{verb} {path} was not answered within {TRIES_S:.0f} s")

    async def ask_once(self, verb: str, door: str, path: str, token: str) -> Answer:
        """Send a request to one door only, once; raises ApiFailed."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        try:
            shown = await self._client.request(
                verb, f"http://{door}{path}", headers=headers, timeout=TIMEOUT_S
            )
        except httpx.HTTPError as error:
            raise ApiFailed(f"{door} did not answer: {type(error).__name__}") from error
        return Answer(shown.status_code, shown.content)

    async def _tried(
        self, verb: str, path: str, headers: dict[str, str], content: bytes
    ) -> Answer | None:
        """Return the answer, or None when it is worth another try."""
        door = self.doors.first()
        try:
            shown = await self._client.request(
                verb, f"http://{door}{path}", headers=headers, content=content, timeout=TIMEOUT_S
            )
        except httpx.HTTPError as error:
            self._tally.fail(f"http {type(error).__name__}")
            self.doors.pass_over(door)
            return None
        answer = Answer(shown.status_code, shown.content)
        if answer.status in AGAIN or answer.code == PENDING:
            self._tally.fail(f"http {answer.status}")
            return None
        if not answer.is_success:
            self._tally.refuse(f"{verb} {answer.status} {answer.code}")
        return answer

    async def look_for_doors(self) -> None:
        """Ask which doors there are now."""
        answer = await self.ask("GET", "/v1/connect")
        if answer.is_success:
            doors = answer.read(Connection).doors
            self.doors.learn([door.http.removeprefix("http://") for door in doors])


@asynccontextmanager
async def dialled(
    addresses: Sequence[str], tally: Tally | None = None, chance: Random | None = None
) -> AsyncGenerator[Api]:
    """Yield a client of these doors for as long as the block lasts."""
    async with httpx.AsyncClient(transport=Transport(), headers=PLAIN) as client:
        yield Api(client, Doors(addresses), tally or Tally(), chance or Random())
