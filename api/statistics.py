"""How the node that is asked stands: for operations, and for whoever measures it."""

from msgspec import Struct

from api.endpoint import Call, Endpoints
from api.replies import Reply
from services.accounts.principal import Scope

statistics = Endpoints("Statistics", "How a node stands.")


class Lag(Struct, frozen=True, kw_only=True):
    """How late the event loop was lately, in milliseconds."""

    p50: float
    p99: float
    max: float


class Traffic(Struct, frozen=True, kw_only=True):
    """What has come in and gone out over sockets since the node started."""

    sockets: int = 0
    frames_in: int = 0
    frames_out: int = 0
    cut_off: int = 0
    pings: int = 0


class Foretold(Struct, frozen=True, kw_only=True):
    """What estimates of arrivals were worth: eight in ten should have held."""

    told: int
    """Estimates of which it is known by now what happened."""
    held: int
    """Those of them whose order came between the two times told."""
    off_s_mean: float


class NodeStatistics(Struct, frozen=True, kw_only=True):
    """One node."""

    node: str
    version: str
    uptime_s: float
    resident_bytes: int
    """Memory of the process that is not shared with the disk."""
    cpu_s: float
    """Processor time of the process so far, its solver's not included."""
    loop_lag_ms: Lag
    shards: int
    couriers: int
    """Sessions of couriers on this node."""
    listeners: int
    """Sessions of everybody else."""
    traffic: Traffic
    messages: int
    """Messages that actors of this node have handled."""
    rounds: int = 0
    foretold: dict[str, Foretold] = {}
    """By the phase that an order was in when its arrival was foretold."""


@statistics.get("/v1/statistics", scope=Scope.TENANT_ADMIN)
async def show_statistics(call: Call) -> Reply[NodeStatistics]:
    """Show how this node stands."""
    stands = call.edge.statistics()
    assert isinstance(stands, NodeStatistics)
    return Reply(value=stands)
