"""An edge on a stage: one market in the test's own process, on a real Postgres and Valkey.

Orders, offers and couriers are the production actors, rounds are solved in process; what only a
whole cluster has (other nodes, doors) is left out. Requests go through the application as a server
hands them over. `on_stage` yields a `Stage`; sign somebody in with `stage.signed_in`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from secrets import token_bytes
from typing import Any

import msgspec
import trio
from msgspec import Struct
from quart.typing import TestClientProtocol
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from actors.directory import Neighbours
from actors.failures import ActorGone
from actors.shard import Shard
from api.app import application
from api.endpoint import Endpoints
from api.limits import LocalLimits
from api.ports import Door, Edge, Following, Ground, Hear, Show, Unavailable
from dispatch.ids import DeviceId, MarketId, ShardId, TenantId
from dispatch.lease import NodeId
from dispatch.policy import Policy
from dispatch.step import Accepted, Refused
from geo.cell import cell_at, shard_of
from geo.ping import Track
from geo.point import LatLng
from geo.projection import Projection
from geo.travel import StraightLine
from node.atlas import Atlas, Settings, a_market
from node.clock import steady_s, wall
from node.hosting import Hosting, Market
from node.tenancy import Tenancy
from node.wayfinder import Wayfinder
from node.zones import ZoneBook
from services.accounts.principal import Principal, Role, Scope
from storage.bridge import bridged
from storage.database import connected
from storage.idempotency import Idempotency
from storage.postgres import PostgresStore
from storage.presence import RedisPresence
from storage.redis import redis_server

CENTRE = LatLng(55.68, 12.57)
SHARD = ShardId(shard_of(cell_at(CENTRE.lat, CENTRE.lng)))
MARKET = MarketId("copenhagen")
TENANT = TenantId("tnt_one")
CLUSTER = "test"
POLICY = Policy(round_s=0.2, offer_s=20.0)
GROUND = Ground(
    market_id=MARKET,
    shard=SHARD,
    centre=CENTRE,
    cells=(SHARD,),
    projection=Projection(CENTRE),
    policy=POLICY,
)


class OneMarket:
    """A map of one market; fits `api.ports.Map`."""

    def find_at(self, where: LatLng) -> Ground | None:
        return GROUND if shard_of(cell_at(where.lat, where.lng)) == SHARD else None

    def find_market(self, market_id: MarketId) -> Ground | None:
        return GROUND if market_id == MARKET else None

    def find_shard(self, shard: ShardId) -> Ground | None:
        return GROUND if shard == SHARD else None

    def markets(self) -> Sequence[Ground]:
        return (GROUND,)


@dataclass(slots=True)
class Here:
    """The actors of this process; fits `api.ports.Actors`. Pings are noted."""

    shards: Mapping[ShardId, Shard]
    taken: list[tuple[ShardId, Track]] = field(default_factory=list[tuple[ShardId, Track]])

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        try:
            answer = await self.shards[shard].ask(kind, key, message, 5.0)
        except (KeyError, ActorGone, trio.TooSlowError) as error:
            raise Unavailable(str(error)) from error
        assert isinstance(answer, Accepted | Refused)
        return answer

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.taken += [(shard, track) for track in tracks]

    def is_here(self, shard: ShardId) -> bool:
        return shard in self.shards


@dataclass(slots=True)
class Known:
    """Principals by the tokens that the test gives them; fits `api.ports.Accounts`."""

    by_token: dict[str, Principal] = field(default_factory=dict[str, Principal])
    ended: set[str] = field(default_factory=set[str])

    async def find_principal(self, bearer: str) -> Principal | None:
        return self.by_token.get(bearer)

    def is_ended(self, session_id: str) -> bool:
        return session_id in self.ended


def straight_ways() -> Wayfinder:
    """The ways of the one market, which has no streets."""
    atlas = Atlas()
    atlas.read([a_market(MARKET, Settings(centre=CENTRE, speed_mps=5.0, detour=1.0))])
    return Wayfinder(atlas=atlas, closed=lambda _market_id: ())


class NoFeeds:
    """For tests in which nobody follows a feed."""

    def follow(self, person: str, after: int, show: Show) -> Following:
        raise AssertionError((person, after, show))


class NoLive:
    """For tests in which nothing is live."""

    def publish(self, channel: str, message: bytes) -> None:
        del channel, message

    def subscribe(self, channel: str, hear: Hear) -> Any:  # noqa: ANN401
        raise AssertionError((channel, hear))


class OneDoor:
    """A cluster of one node."""

    def best(self, shard: ShardId | None) -> Sequence[Door]:
        del shard
        return (Door(node=NodeId("node-test"), address="127.0.0.1:1", load=0.0),)


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a test has in hand."""

    edge: Edge
    app: QuartTrio
    client: TestClientProtocol
    known: Known
    shard: Shard
    here: Here

    def signed_in(self, subject: str, role: Role, **rest: Any) -> dict[str, str]:  # noqa: ANN401
        """Return the headers of somebody with all scopes, unless `scopes` says which."""
        token = f"token-of-{subject}"
        given: dict[str, Any] = {"scopes": frozenset(Scope), "tenant_id": TENANT} | rest
        given.setdefault("device_id", DeviceId(f"dev_{subject}"))
        self.known.by_token[token] = Principal(subject=subject, role=role, **given)
        return {"Authorization": f"Bearer {token}"}

    async def ask(self, kind: str, key: str, message: Struct) -> Accepted | Refused:
        """Ask an actor of the market."""
        return await self.edge.actors.ask(SHARD, kind, key, message)

    async def asked(
        self,
        verb: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        **rest: Any,  # noqa: ANN401
    ) -> tuple[int, Any, Headers]:
        """Send a request; return status, decoded JSON (None when empty) and headers."""
        written = {} if json is None else {"data": msgspec.json.encode(json)}
        told = dict(headers or {})
        if json is not None:
            told.setdefault("Content-Type", "application/json")
        client: Any = self.client  # Parts of its types are missing.
        shown = await client.open(path, method=verb, headers=told, **written, **rest)
        body = await shown.get_data(as_text=False)
        return shown.status_code, msgspec.json.decode(body) if body else None, shown.headers


@asynccontextmanager
async def on_stage(
    database_url: str,
    redis_url: str,
    nouns: Sequence[Endpoints],
    policy: Policy = POLICY,
    **replaced: Any,  # noqa: ANN401
) -> AsyncGenerator[Stage]:
    """Run a market with its edge; `replaced` are other parts of the `Edge` than those here."""
    async with (
        bridged() as bridge,
        connected(bridge, database_url) as database,
        redis_server(bridge, redis_url) as redis,
        trio.open_nursery() as nursery,
    ):
        node = NodeId("node-test")
        market = Market(
            market_id=MARKET,
            policy=policy,
            travel=StraightLine(speed_mps=5.0),
            solver="nearest",
        )
        hosting = Hosting(
            clock=wall,
            journal=PostgresStore(database),
            markets={SHARD: market}.get,
            neighbours=Neighbours(),
            feeds=replaced.get("feeds"),
        )
        nursery.start_soon(hosting.host, Tenancy(SHARD, inf, trio.current_time))
        while SHARD not in hosting.shards:
            await trio.lowlevel.checkpoint()
        await hosting.shards[SHARD].opening()
        here, known = Here(hosting.shards), Known()
        parts: dict[str, Any] = {
            "node": node,
            "cluster": CLUSTER,
            "clock": wall,
            "entropy": token_bytes,
            "database": database,
            "replica": database,
            "redis": redis,
            "actors": here,
            "map": OneMarket(),
            "zones": ZoneBook(database, replaced.get("clock", wall)),
            "wayfinder": straight_ways(),
            "feeds": NoFeeds(),
            "live": NoLive(),
            "presence": RedisPresence(redis, CLUSTER),
            "accounts": known,
            "limits": LocalLimits(steady_s),
            "idempotency": Idempotency(database),
            "doors": OneDoor(),
            "is_ready": lambda: True,
        }
        edge = Edge(**parts | replaced)
        app = application(edge, nouns)
        async with app.test_app():
            yield Stage(
                edge=edge,
                app=app,
                client=app.test_client(),
                known=known,
                shard=hosting.shards[SHARD],
                here=here,
            )
        nursery.cancel_scope.cancel()
