"""What the edge needs of its node, and `Edge`, which holds it all for the endpoints.

Stores are used as they are, since they lie below; what only the node can do (reach an actor on any
node, know the markets, follow a feed) is a Protocol here, and `node` fits it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from actors.ports import Clock
from dispatch.ids import Instant, MarketId, ShardId, TenantId, ZoneId
from dispatch.lease import NodeId
from dispatch.policy import Policy
from dispatch.step import Accepted, Refused
from dispatch.zone import Plot
from geo.eta import Eta
from geo.ping import Track
from geo.point import LatLng, Point
from geo.projection import Projection
from geo.travel import StraightLine, TravelTimes
from services.accounts.principal import Principal
from storage.database import Database
from storage.idempotency import Idempotency
from storage.presence import RedisPresence
from storage.redis import RedisServer


class Unavailable(Exception):
    """What was asked for cannot be reached now; nothing is known of what it did. Ask again."""


class Ground(Struct, frozen=True, kw_only=True):
    """One market: its shard, the plane its couriers are counted on, and its land as H3 cells."""

    market_id: MarketId
    shard: ShardId
    centre: LatLng
    cells: tuple[int, ...]
    projection: Projection
    policy: Policy
    way: TravelTimes = StraightLine(speed_mps=4.5, detour=1.4)
    """The travel times by which its rides are measured."""
    eta: Eta = Eta()
    """What it has learned of how long things take, as known here."""


class Map(Protocol):
    """All markets, as they were read last."""

    def find_at(self, where: LatLng) -> Ground | None:
        """Return the market whose land the place lies in."""
        ...

    def find_market(self, market_id: MarketId) -> Ground | None:
        """Return the market of that name."""
        ...

    def find_shard(self, shard: ShardId) -> Ground | None:
        """Return the market that is run in that shard."""
        ...

    def markets(self) -> Sequence[Ground]:
        """Return all of them, by name."""
        ...


class Zones(Protocol):
    """The zones that tenants draw, as they were read last."""

    def of(self, tenant_id: TenantId, market_id: MarketId) -> Sequence[Plot]:
        """Return a tenant's zones in a market, by their ids."""
        ...

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Plot]:
        """Return all zones of a tenant, by their ids."""
        ...

    def find(self, zone_id: ZoneId) -> Plot | None:
        """Return the zone of that id."""
        ...

    async def refresh(self) -> None:
        """Read them now, so that what was just written holds here."""
        ...


class Actors(Protocol):
    """The actors of all nodes."""

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        """Ask an actor, wherever its shard is, and return its answer once that is committed.

        Raises `Unavailable` when there was no answer in time: it may have counted, ask again.
        """
        ...

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Bring a shard the pings of its couriers; what cannot be brought is lost."""
        ...

    def is_here(self, shard: ShardId) -> bool:
        """Tell whether this node has the shard."""
        ...


type Show = Callable[[int, int, bytes], bool]
"""Takes a feed's message: its number, its epoch, itself in msgpack. False for `no room now`: the
message was not taken, and comes again after `Following.resume`."""


class Following(Protocol):
    """One device's way through a feed."""

    def resume(self) -> None:
        """There is room again."""
        ...

    def end(self) -> None:
        """Show no more; may be said again."""
        ...


class Feeds(Protocol):
    """The feeds of all persons, whichever node commits to them."""

    def follow(self, person: str, after: int, show: Show) -> Following:
        """Show the person's messages after that number, each once, in order, as they come."""
        ...


type Hear = Callable[[bytes], None]


class Live(Protocol):
    """What is only worth anything now: the latest wins, and what is lost is lost."""

    def publish(self, channel: str, message: bytes) -> None:
        """Have whoever listens to the channel hear the message, on any node."""
        ...

    def subscribe(self, channel: str, hear: Hear) -> Callable[[], None]:
        """Hear what is published from now on, until the returned function is called."""
        ...


class Door(Struct, frozen=True, kw_only=True):
    """Where a node takes requests and sockets: `host:port` as clients reach it."""

    node: NodeId
    address: str
    load: float


class Doors(Protocol):
    """Where clients can go."""

    def best(self, shard: ShardId | None) -> Sequence[Door]:
        """Return the nodes alive, the best first: who has the shard, then the least loaded."""
        ...


class Allowance(Struct, frozen=True, kw_only=True):
    """What is left of a limit: so many of `limit` requests now, all of them after `reset_s`."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_s: float = 0.0


class Limits(Protocol):
    """How much somebody may ask for."""

    async def take(self, who: str, group: str) -> Allowance:
        """Take one of what `who` has in that group of routes; never fails."""
        ...


class DrawnWay(Struct, frozen=True, kw_only=True):
    """A way from one point to another: how long, how far, and its places to draw it by.

    `line` is longitudes and latitudes, both ends included. Off the streets it is a straight line,
    and the distance as long as ways usually are.
    """

    duration_s: float
    distance_m: float
    line: tuple[tuple[float, float], ...]
    is_on_streets: bool


class Wayfinder(Protocol):
    """The ways that couriers go."""

    async def ways(self, market_id: MarketId, points: Sequence[Point]) -> Sequence[DrawnWay]:
        """Return the way from each point of the market's plane to the one after it.

        Raises `Unavailable` when the market is not known, or too many ask at once.
        """
        ...


class Accounts(Protocol):
    """Who stands behind a token or a key."""

    async def find_principal(self, bearer: str) -> Principal | None:
        """Return whose token or API key it is; None for one that is wrong, ended or expired."""
        ...

    def is_ended(self, session_id: str) -> bool:
        """Tell whether somebody has signed out, whose token may still look good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """All that endpoints and sockets have to work with."""

    node: NodeId
    cluster: str
    clock: Clock
    entropy: Callable[[int], bytes]
    database: Database
    replica: Database
    """For reads that may be a moment late; the same as `database` where there is no replica."""
    redis: RedisServer
    actors: Actors
    map: Map
    zones: Zones
    wayfinder: Wayfinder
    feeds: Feeds
    live: Live
    presence: RedisPresence
    accounts: Accounts
    limits: Limits
    idempotency: Idempotency
    doors: Doors
    is_ready: Callable[[], bool]
    shows_pulse: bool = False
    """Whether the page at `/` shows everybody the numbers of all tenants together."""
    statistics: Callable[[], Struct] = Struct
    """How the node stands: for operations, and for whoever measures it."""

    def now(self) -> Instant:
        """Return the present instant."""
        return self.clock()
