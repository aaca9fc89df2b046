"""Two devices of one person, whose nodes are killed under them again and again.

Orders keep a person's feed busy. Each device holds a socket to some node; the node of one, then of
the other, is killed outright in the middle of its stream. The device goes to another node with the
number of the last message that it saw. In the end every device must have heard every message of the
feed once and in order.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count, pairwise
from random import Random

import msgspec
import trio
from msgspec import Struct
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from actors.failures import ActorFailed
from dispatch.ids import CustomerId, DeviceId, MarketId, OrderId, RestaurantId, ShardId
from dispatch.order import Place
from dispatch.restaurant import Open
from geo.point import LatLng, Point
from node.accounts import account_service, bootstrap
from node.atlas import Settings, a_market
from node.clock import steady_s
from node.cluster import ClusterClient
from node.config import Config
from node.fleet import Fleet, Member
from node.stores import Stores, stored
from services.accounts.people import NewPerson
from services.accounts.principal import Role
from simulations.chaos.run import POLICY, Times
from storage import markets
from storage.postgres import PostgresStore
from wire.frames import Ack, Beat, Frame, Hello, Message, Notation, ServerFrame

RESTAURANT = RestaurantId("rst_devices")
CUSTOMER = CustomerId("usr_dora")
BEAT_S = 2.0
ASK_S = 10.0
HEARD_MIN = 5
"""Messages that a device hears on its new node before the next blow."""
RECONNECT_S = 0.05
SETTLE_S = 30.0
HEAL_S = 60.0
LOOK_S = 0.01

_LOST = (OSError, HandshakeError, ConnectionClosed, trio.TooSlowError)
_msgpack = msgspec.msgpack.Decoder[ServerFrame](ServerFrame).decode
_json = msgspec.json.Decoder[ServerFrame](ServerFrame).decode


def _written(frame: Frame, notation: Notation) -> str | bytes:
    if notation is Notation.MSGPACK:
        return msgspec.msgpack.encode(frame)
    return msgspec.json.encode(frame).decode()


def _read(written: str | bytes) -> ServerFrame:
    return _json(written) if isinstance(written, str) else _msgpack(written)


class Plan(Struct, frozen=True, kw_only=True):
    """What a run is to be."""

    nodes: int = 3
    kills: int = 100
    rate_s: float = 20.0
    """Orders a second; each is a few messages of the person's feed."""
    seed: int = 1


class Report(Struct, frozen=True, kw_only=True):
    """What came of a run. `reconnect_s` is from the kill to the first message on another node."""

    kills: int
    messages: int
    devices: int
    lost: int
    doubled: int
    out_of_order: int
    reconnect_s: Times | None

    @property
    def is_clean(self) -> bool:
        """Tell whether every device heard every message once and in order."""
        return not (self.lost or self.doubled or self.out_of_order)


type Doors = Callable[[], Sequence[str]]
type Tell = Callable[[str], None]


class Device:
    """One device of the person: holds a socket to some node, and notes what it hears."""

    def __init__(
        self, name: str, token: str, notation: Notation, doors: Doors, chance: Random
    ) -> None:
        self.heard: list[int] = []
        self.door = ""
        self._device_id = DeviceId(name)
        self._token = token
        self._notation = notation
        self._doors = doors
        self._chance = chance

    async def run(self) -> None:
        """Stay connected, to one node after the other, until cancelled."""
        while True:
            others = [door for door in self._doors() if door != self.door]
            if others:
                self.door = self._chance.choice(others)
                with suppress(*_LOST):
                    await self._stream()
            await trio.sleep(RECONNECT_S)

    async def _stream(self) -> None:
        host, _, port = self.door.rpartition(":")
        with trio.fail_after(ASK_S):
            stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
        # The library leaves the stream open when the node dies within the handshake.
        async with stream, trio.open_nursery() as nursery:
            with trio.fail_after(ASK_S):
                socket = await wrap_client_stream(
                    nursery, stream, self.door, "/v1/stream", subprotocols=[self._notation]
                )
            last = self.heard[-1] if self.heard else 0
            hello = Hello(token=self._token, device_id=self._device_id, last_message_id=last)
            await self._send(socket, hello)
            nursery.start_soon(self._beat, socket)
            while True:
                await self._take(socket)

    async def _take(self, socket: WebSocketConnection) -> None:
        frame = _read(await socket.get_message())
        if isinstance(frame, Message):
            self.heard.append(frame.message_id)
            await self._send(socket, Ack(message_id=frame.message_id))

    async def _beat(self, socket: WebSocketConnection) -> None:
        while True:
            await trio.sleep(BEAT_S)
            await self._send(socket, Beat())

    async def _send(self, socket: WebSocketConnection, frame: Frame) -> None:
        await socket.send_message(_written(frame, self._notation))


async def run(config: Config, plan: Plan, tell: Tell) -> Report:
    """Run on servers that are there already."""
    async with stored(config) as stores:
        shard = await _marketed(stores)
        fleet = Fleet(config, plan.nodes, tell)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.run)
            await fleet.ready()
            report = await _Scene(config, plan, fleet, stores, shard, tell).play()
            fleet.leave()
    return report


async def _marketed(stores: Stores) -> ShardId:
    row = a_market("devices", Settings(centre=LatLng(45, 2), policy=POLICY))
    await markets.save(stores.database, row)
    return row.shard


class _Scene:
    """The run itself."""

    def __init__(
        self, config: Config, plan: Plan, fleet: Fleet, stores: Stores, shard: ShardId, tell: Tell
    ) -> None:
        self._config, self._plan, self._fleet = config, plan, fleet
        self._stores, self._shard, self._tell = stores, shard, tell
        self._chance = Random(plan.seed)
        self._took_s: list[float] = []
        self._is_calm = False

    async def play(self) -> Report:
        """Kill under load, then compare what the devices heard with the feed."""
        assert self._config.cluster_secret is not None
        secret = self._config.cluster_secret
        token = await self._token(secret)
        async with trio.open_nursery() as nursery:
            client = ClusterClient(
                nursery, self._links(), secret.encode(), Random(self._chance.random())
            )
            devices = self._devices(token)
            for device in devices:
                nursery.start_soon(device.run)
            nursery.start_soon(self._introduce, client)
            nursery.start_soon(self._order, client)
            for number in range(self._plan.kills):
                await self._strike(devices[number % len(devices)])
            self._is_calm = True
            newest = await self._settled(devices)
            nursery.cancel_scope.cancel()
        return self._judged(devices, newest)

    async def _token(self, secret: str) -> str:
        stores = self._stores
        service = account_service(
            stores.database, stores.redis, cluster=stores.cluster, secret=secret
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.run)
            await service.opening()
            tenant = await bootstrap(service, "devices")
            person = NewPerson(role=Role.CUSTOMER, name="Dora")
            await service.people.create(tenant.tenant_id, person, user_id=CUSTOMER)
            tokens = await service.sign_in.token_for(tenant.tenant_id, CUSTOMER)
            nursery.cancel_scope.cancel()
        return tokens.access_token

    def _devices(self, token: str) -> list[Device]:
        return [
            Device(f"dev_{notation}", token, notation, self._doors, Random(self._chance.random()))
            for notation in Notation
        ]

    def _members(self) -> list[Member]:
        return [member for member in self._fleet.members if member.announcement]

    def _links(self) -> list[str]:
        return [one.announcement.address for one in self._members() if one.announcement]

    def _doors(self) -> list[str]:
        return [one.announcement.door for one in self._members() if one.announcement]

    async def _introduce(self, client: ClusterClient) -> None:
        while True:
            client.meet(self._links())
            await trio.sleep(0.5)

    async def _order(self, client: ClusterClient) -> None:
        """Keep the feed busy until it is calm."""
        opening = Open(restaurant_id=RESTAURANT, point=Point(0, 0), capacity_max=100_000)
        await self._sure(client, "restaurant", RESTAURANT, opening)
        began_s = steady_s()
        async with trio.open_nursery() as nursery:
            for number in count():
                if self._is_calm:
                    return
                place = Place(
                    order_id=OrderId(f"ord_{number}"),
                    market_id=MarketId("devices"),
                    customer_id=CUSTOMER,
                    restaurant_id=RESTAURANT,
                    pickup=Point(0, 0),
                    dropoff=Point(500, 500),
                )
                nursery.start_soon(self._sure, client, "order", place.order_id, place)
                due_s = began_s + (number + 1) / self._plan.rate_s
                await trio.sleep(max(0.0, due_s - steady_s()))

    async def _sure(self, client: ClusterClient, kind: str, key: str, message: Struct) -> None:
        while True:
            with suppress(trio.TooSlowError, ActorFailed):
                await client.ask(self._shard, kind, key, message, ASK_S)
                return

    async def _strike(self, device: Device) -> None:
        """Kill the node that a device is on, once its stream flows there."""
        await self._heard_more(device)
        door, heard, began_s = device.door, len(device.heard), steady_s()
        for member in self._members():
            if member.announcement and member.announcement.door == door:
                os.kill(member.process.pid, signal.SIGKILL)
        with trio.fail_after(HEAL_S):
            await _until(lambda: len(device.heard) > heard and device.door != door)
        self._took_s.append(steady_s() - began_s)
        self._tell(f"killed the node at {door}; on after {self._took_s[-1]:.2f} s")
        with trio.fail_after(HEAL_S):
            await self._fleet.ready()

    async def _heard_more(self, device: Device) -> None:
        heard = len(device.heard)
        with trio.fail_after(HEAL_S):
            await _until(lambda: len(device.heard) >= heard + HEARD_MIN)

    async def _settled(self, devices: Sequence[Device]) -> int:
        """Wait until the devices have heard the newest message; return its number."""
        await trio.sleep(1)
        journal, newest = PostgresStore(self._stores.database), 0
        while messages := await journal.feed(CUSTOMER, newest):
            newest = messages[-1][0]
        with trio.move_on_after(SETTLE_S):
            await _until(lambda: all(one.heard[-1:] >= [newest] for one in devices))
        return newest

    def _judged(self, devices: Sequence[Device], newest: int) -> Report:
        took_s = sorted(self._took_s)
        counts = [Counter(device.heard) for device in devices]
        return Report(
            kills=len(took_s),
            messages=newest,
            devices=len(devices),
            lost=sum(number not in one for one in counts for number in range(1, newest + 1)),
            doubled=sum(times - 1 for one in counts for times in one.values()),
            out_of_order=sum(
                after <= before for device in devices for before, after in pairwise(device.heard)
            ),
            reconnect_s=Times(
                count=len(took_s),
                p50=round(took_s[len(took_s) // 2], 3),
                max=round(took_s[-1], 3),
            ),
        )


async def _until(is_so: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    while True:
        if is_so():
            return
        await trio.sleep(LOOK_S)
