"""The markets as the edge knows them; fits `api.ports.Map` over the node's atlas."""

from collections.abc import Callable, Sequence

from api.ports import Ground
from dispatch.ids import MarketId, ShardId
from geo.eta import Eta
from geo.point import LatLng
from node.atlas import Atlas, Place
from node.estimates import way_of


class Grounds:
    """All markets of an atlas, as it was read last."""

    def __init__(
        self, atlas: Atlas, learned: Callable[[ShardId], Eta] = lambda _shard: Eta()
    ) -> None:
        """Show the markets of an atlas, with what each has learned of how long things take."""
        self._atlas = atlas
        self._learned = learned
        self._known: dict[ShardId, tuple[Place, Ground]] = {}

    def find_at(self, where: LatLng) -> Ground | None:
        """Return the market whose land the place lies in."""
        return self._ground(self._atlas.find_at(where))

    def find_market(self, market_id: MarketId) -> Ground | None:
        """Return the market of that name."""
        shard = self._atlas.shards().get(market_id)
        return None if shard is None else self.find_shard(shard)

    def find_shard(self, shard: ShardId) -> Ground | None:
        """Return the market that is run in that shard."""
        return self._ground(self._atlas.find_place(shard))

    def markets(self) -> Sequence[Ground]:
        """Return all of them, by name."""
        grounds = [self.find_shard(shard) for _, shard in sorted(self._atlas.shards().items())]
        return [ground for ground in grounds if ground is not None]

    def _ground(self, place: Place | None) -> Ground | None:
        """Return what the edge knows of a place, made once for as long as it stays the same."""
        if place is None:
            return None
        known, eta = self._known.get(place.row.shard), self._learned(place.row.shard)
        if known is None or known[0] is not place or known[1].eta is not eta:
            known = self._known[place.row.shard] = place, _made(place, eta)
        return known[1]


def _made(place: Place, eta: Eta) -> Ground:
    return Ground(
        market_id=place.row.market_id,
        shard=place.row.shard,
        centre=place.settings.centre,
        cells=place.row.cells,
        projection=place.projection,
        policy=place.market.policy,
        way=way_of(place.market.travel),
        eta=eta,
    )
