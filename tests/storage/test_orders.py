"""What people ask of orders, deliveries and couriers is what the shards committed last."""

from collections.abc import Sequence

from msgspec import msgpack, structs

from dispatch.courier_state import Courier, Stage
from dispatch.delivery import Delivery, DeliveryStatus
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, ShardId
from dispatch.journal import Batch, Checkpoint
from dispatch.kitchen import OrderStatus
from dispatch.order_state import Order
from geo.point import Point
from storage.postgres import PostgresStore
from tests.storage.test_postgres import asked, opened

HERE, THERE = ShardId(1), ShardId(2)
PLACED = Order(
    order_id=OrderId("ord_1"),
    market_id=MarketId("mkt_1"),
    customer_id=CustomerId("cus_1"),
    restaurant_id=RestaurantId("rst_1"),
    delivery=Delivery(pickup=Point(0, 0)),
    dropoff=Point(1, 1),
    size=1,
    placed_at=Instant(1_000),
    wanted_at=None,
    decide_by=Instant(9_000),
)
DELIVERED = structs.replace(
    PLACED,
    status=OrderStatus.COMPLETED,
    ready_at=Instant(3_000),
    delivery=structs.replace(
        PLACED.delivery,
        status=DeliveryStatus.DELIVERED,
        courier_id=CourierId("crr_1"),
        assigned_at=Instant(2_000),
        picked_up_at=Instant(3_500),
        ended_at=Instant(4_000),
    ),
)
ON_SHIFT = Courier(
    courier_id=CourierId("crr_1"),
    market_id=MarketId("mkt_1"),
    stage=Stage.ON,
    ends_at=Instant(9_000),
    load_max=2,
    point=Point(0, 0),
    leaves_at=Instant(0),
)
ORDERS = """
select shard, market_id, user_id, restaurant_id, courier_id, status, delivery_status,
    (extract(epoch from created_at) * 1000)::bigint, (extract(epoch from updated_at) * 1000)::bigint
from orders order by order_id
"""
DELIVERIES = """
select order_id, courier_id, status, (extract(epoch from assigned_at) * 1000)::bigint,
    (extract(epoch from picked_up_at) * 1000)::bigint,
    (extract(epoch from completed_at) * 1000)::bigint
from deliveries where delivery_id = 'ord_1'
"""
COURIERS = "select courier_id, shard, stage from couriers order by courier_id"


class Keeper:
    """Commits states, a batch each, to the shards of a store."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._heads: dict[ShardId, tuple[int, int]] = {}

    async def commit(
        self, shard: ShardId, states: Sequence[Order | Courier], at: int, *, is_live: bool = True
    ) -> None:
        """Commit the states as one batch."""
        if shard not in self._heads:
            self._heads[shard] = ((await self._store.open(shard)).epoch, 0)
        epoch, number = self._heads[shard]
        rows = tuple(_checkpoint(state, is_live=is_live) for state in states)
        await self._store.commit(Batch(shard, epoch, number + 1, Instant(at), checkpoints=rows))
        self._heads[shard] = (epoch, number + 1)


def _checkpoint(state: Order | Courier, *, is_live: bool) -> Checkpoint:
    kind, key = (
        ("order", state.order_id) if isinstance(state, Order) else ("courier", state.courier_id)
    )
    return Checkpoint(kind, key, msgpack.encode(state), is_live)


async def test_an_order_and_its_delivery_have_rows_from_the_first_commit_on(database: str) -> None:
    other = structs.replace(PLACED, order_id=OrderId("ord_2"), placed_at=Instant(5))
    async with opened(database) as (base, store):
        keeper = Keeper(store)
        await keeper.commit(HERE, [PLACED], at=1_500)
        await keeper.commit(HERE, [PLACED, other], at=1_600)
        orders = await asked(base, ORDERS)
        deliveries = await asked(base, DELIVERIES)

    assert [order[7] for order in orders] == [1_000, 5]
    assert orders[0][:7] == (HERE, "mkt_1", "cus_1", "rst_1", None, "placed", "scheduled")
    assert deliveries == [("ord_1", None, "scheduled", None, None, None)]


async def test_rows_follow_an_order_until_it_has_finished(database: str) -> None:
    async with opened(database) as (base, store):
        keeper = Keeper(store)
        await keeper.commit(HERE, [PLACED], at=1_500)
        await keeper.commit(HERE, [DELIVERED], at=4_500, is_live=False)
        orders = await asked(base, ORDERS)
        deliveries = await asked(base, DELIVERIES)
        taken = await store.open(HERE)

    assert orders[0][4:] == ("crr_1", "completed", "delivered", 1_000, 4_500)
    assert deliveries == [("ord_1", "crr_1", "delivered", 2_000, 3_500, 4_000)]
    assert taken.checkpoints == ()


async def test_a_courier_has_a_row_that_follows_his_stage(database: str) -> None:
    async with opened(database) as (base, store):
        keeper = Keeper(store)
        await keeper.commit(HERE, [ON_SHIFT], at=1)
        working = await asked(base, COURIERS)
        await keeper.commit(HERE, [structs.replace(ON_SHIFT, stage=Stage.OFF)], at=2)
        resting = await asked(base, COURIERS)

    assert working == [("crr_1", HERE, "on")]
    assert resting == [("crr_1", HERE, "off")]


async def test_a_courier_who_crossed_is_where_his_new_shard_says(database: str) -> None:
    gone = structs.replace(ON_SHIFT, stage=Stage.GONE)
    async with opened(database) as (base, store):
        keeper = Keeper(store)
        await keeper.commit(HERE, [ON_SHIFT], at=1)
        await keeper.commit(HERE, [gone], at=2)
        underway = await asked(base, COURIERS)
        await keeper.commit(THERE, [ON_SHIFT], at=3)
        await keeper.commit(HERE, [gone], at=4)
        arrived = await asked(base, COURIERS)

    assert underway == [("crr_1", HERE, "on")]
    assert arrived == [("crr_1", THERE, "on")]


async def test_a_courier_who_only_moved_does_not_have_his_row_written_again(database: str) -> None:
    version = "select xmin::text, updated_at from couriers"
    async with opened(database) as (base, store):
        keeper = Keeper(store)
        await keeper.commit(HERE, [ON_SHIFT], at=1)
        before = await asked(base, version)
        await keeper.commit(HERE, [structs.replace(ON_SHIFT, point=Point(5, 5))], at=2)
        after = await asked(base, version)

    assert after == before
