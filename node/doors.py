"""Where clients can go: the doors of all nodes alive; fits `api.ports.Doors`.

Each node writes its door down when it opens and takes the row back when it leaves. A row that is
left behind by a node that died is passed over, because the leases say who is alive.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from api.ports import Door
from dispatch.ids import ShardId
from dispatch.lease import NodeId, View
from storage.database import Database, DatabaseUnreachable
from storage.doors import DoorRow, close_door, fetch_doors, open_door

LOOK_S = 1.0
CLOSE_S = 2.0


class Doorkeeper:
    """The doors of a cluster, as they were read last."""

    def __init__(self, database: Database, own: DoorRow, view: Callable[[], View]) -> None:
        self._database = database
        self._own = own
        self._view = view
        self._rows: tuple[DoorRow, ...] = (own,)

    async def run(self) -> None:
        """Keep our door known and learn of the others, until cancelled."""
        is_open = False
        while True:
            with suppress(DatabaseUnreachable):
                if not is_open:
                    await open_door(self._database, self._own)
                    is_open = True
                await self.look()
            await trio.sleep(LOOK_S)

    async def look(self) -> None:
        """Read the doors now."""
        self._rows = await fetch_doors(self._database)

    async def leave(self) -> None:
        """Take our door back, and see once more where others are: our clients are sent there."""
        with trio.move_on_after(CLOSE_S), suppress(DatabaseUnreachable):
            await close_door(self._database, self._own.node)
            await self.look()

    def best(self, shard: ShardId | None) -> Sequence[Door]:
        """Return the doors of nodes alive: who has the shard first, then the least loaded."""
        view = self._view()
        owners = [one.node for one in view.leases if one.shard == shard and one.left_s > 0]
        alive = {one.node: one for one in view.nodes if one.is_alive and not one.is_leaving}
        doors = [
            Door(node=row.node, address=row.address, load=alive[row.node].load)
            for row in self._rows
            if row.node in alive
        ]
        return sorted(doors, key=lambda door: (door.node not in owners, door.load, door.node))

    def another(self, shard: ShardId | None) -> str:
        """Return the best door that is not ours, empty where there is none."""
        others = [door.address for door in self.best(shard) if door.node != self._own.node]
        return others[0] if others else ""

    def has_left(self, node: NodeId) -> bool:
        """Tell whether a node is not among the living."""
        return all(one.node != node or not one.is_alive for one in self._view().nodes)
