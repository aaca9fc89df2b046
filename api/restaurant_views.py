"""A restaurant as it is shown: to whoever may order there, and in full to whoever runs it.

What is shown joins the row (how the restaurant is to be run) and what its actor committed last
(whether it takes orders). The first part of the tag is the version of the row: that is what a
change must match, for the rest of the view moves by itself.
"""

import hashlib
from collections.abc import Callable

import msgspec
from msgspec import Struct

from api.access import runs
from api.hours import HoursView, hours_view
from api.ports import Edge
from api.times import WrittenTime, rfc3339, written
from dispatch.ids import MarketId, RestaurantId
from dispatch.policy import Policy
from dispatch.restaurant import Stage, moves_at, prep_s, stage_at
from services.accounts.principal import Principal
from storage.restaurants import Kept, RestaurantRow
from wire.orders import Address

_S_PER_MINUTE = 60


class RunningView(Struct, frozen=True, kw_only=True):
    """What only those who run a restaurant see of it.

    An order takes `preparation_minutes`, or what is usual in the market without them, and for each
    other order in the kitchen `busy_minutes` more. `cooking` of `capacity_max` orders are there.
    """

    capacity_max: int
    cooking: int
    preparation_minutes: float | None
    busy_minutes: float
    auto_accepts: bool
    sold_out: tuple[str, ...]
    version: int
    created_at: WrittenTime
    updated_at: WrittenTime
    ended_at: WrittenTime | None


class RestaurantView(Struct, frozen=True, kw_only=True):
    """A restaurant. It takes orders while it `is_open`; its `stage` next changes at `changes_at`.

    `preparation_minutes` is what an order placed now is expected to take. `running` is there for
    those who run the restaurant, and once its `stage` is `ended` they alone see it.
    """

    restaurant_id: RestaurantId
    external_id: str | None
    market_id: MarketId
    name: str
    lat: float
    lng: float
    address: Address
    phone: str | None
    stage: Stage
    is_open: bool
    changes_at: WrittenTime | None
    hours: HoursView | None
    preparation_minutes: float
    running: RunningView | None


def restaurant_view(kept: Kept, principal: Principal, edge: Edge) -> RestaurantView:
    """Return a restaurant as it is shown to somebody who may see it."""
    row, state, now = kept.row, kept.state, edge.now()
    ground = edge.map.find_market(row.market_id)
    policy = ground.policy if ground else Policy()
    stage = stage_at(state, now) if state else Stage.CLOSED
    return RestaurantView(
        restaurant_id=row.restaurant_id,
        external_id=row.external_id,
        market_id=row.market_id,
        name=row.name,
        lat=row.lat,
        lng=row.lng,
        address=row.address,
        phone=row.phone,
        stage=stage,
        is_open=stage is Stage.OPEN,
        changes_at=written(moves_at(state, now) if state else None),
        hours=None if row.hours is None else hours_view(row.hours),
        preparation_minutes=_minutes(_expected_s(kept, policy)),
        running=_running(kept) if runs(principal, row) else None,
    )


def restaurant_etag(row: RestaurantRow, view: RestaurantView) -> str:
    """Return the tag of what is shown, with the version that a change must match in front."""
    return f'"{row.version}-{hashlib.blake2b(_encode(view), digest_size=9).hexdigest()}"'


def version_of(etag: str) -> str:
    """Return the version in a tag of `restaurant_etag`; of any other, something else."""
    return etag.strip().removeprefix("W/").strip('"').partition("-")[0]


_encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode


def _expected_s(kept: Kept, policy: Policy) -> float:
    if kept.state is None:
        return policy.prep_default_s if kept.row.prep_s is None else kept.row.prep_s
    return prep_s(kept.state, policy, len(kept.state.cooking))


def _minutes(seconds: float) -> float:
    return round(seconds / _S_PER_MINUTE, 2)


def _running(kept: Kept) -> RunningView:
    row, state = kept.row, kept.state
    return RunningView(
        capacity_max=row.capacity_max,
        cooking=len(state.cooking) if state else 0,
        preparation_minutes=None if row.prep_s is None else _minutes(row.prep_s),
        busy_minutes=_minutes(row.busy_prep_s),
        auto_accepts=row.auto_accepts,
        sold_out=state.sold_out if state else (),
        version=row.version,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        ended_at=written(row.ended_at),
    )
