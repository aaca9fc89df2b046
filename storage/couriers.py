"""The table of couriers, made from the couriers' own states in the commit itself.

A courier lives in one shard at a time. Once he has gone to another, the state that he leaves behind
says nothing about him any more, and must not overwrite the row that his new shard writes.
"""

from collections.abc import Iterable

from msgspec import Struct, msgpack

from dispatch.courier_state import Stage
from dispatch.ids import CourierId, MarketId
from dispatch.journal import Checkpoint

KIND = "courier"


class CourierView(Struct, frozen=True, gc=False):
    """What the table holds of a courier; the rest of his state is not even read."""

    courier_id: CourierId
    market_id: MarketId
    stage: Stage


_decode = msgpack.Decoder(CourierView).decode


def courier_columns(checkpoints: Iterable[Checkpoint]) -> list[list[object]]:
    """Return the columns of the couriers among the checkpoints, as `commit_batch` takes them."""
    states = [_decode(row.state) for row in checkpoints if row.kind == KIND]
    couriers = [courier for courier in states if courier.stage is not Stage.GONE]
    return [
        [courier.courier_id for courier in couriers],
        [courier.market_id for courier in couriers],
        [courier.stage for courier in couriers],
    ]
