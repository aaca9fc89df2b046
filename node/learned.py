"""How a market goes on from what is kept of it, when its shard opens here.

Nobody writes before he has read: what was learned in a month is worth more than a minute. So while
the store is away everybody goes on from what he has, and asks again before he saves.
"""

from collections.abc import Callable

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from node.ports import Learned

SAVE_S = 60.0
"""Time from one copy to the next: so much is lost with a node."""


async def read_kept[T](store: Learned[T], shard: ShardId, go_on: Callable[[T], None]) -> bool:
    """Have a market go on from what is kept, if anything is; say whether the store answered."""
    try:
        kept = await store.load(shard)
    except EstimatesUnreachable:
        return False
    if kept is not None:
        go_on(kept)
    return True
