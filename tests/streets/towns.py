"""Little towns for tests: drawn in metres, saved as real .osm.pbf files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osmium import SimpleWriter
from osmium.osm.mutable import Node, Relation, Way

from geo.point import LatLng, Point
from geo.projection import Projection

ORIGIN = LatLng(35.9, 14.5)


def place_at(x_m: float, y_m: float) -> LatLng:
    """Return the place so many metres east and north of the town's origin."""
    return Projection(ORIGIN).to_lat_lng(Point(x_m, y_m))


@dataclass(slots=True)
class Town:
    """What is in a file: nodes, ways and relations, numbered in the order they are drawn."""

    nodes: list[Node] = field(default_factory=list[Node])
    ways: list[Way] = field(default_factory=list[Way])
    relations: list[Relation] = field(default_factory=list[Relation])

    def node(self, x_m: float, y_m: float, **tags: str) -> int:
        """Put a node so many metres from the origin; return its number."""
        place = place_at(x_m, y_m)
        return self.node_at(place.lng, place.lat, **tags)

    def node_at(self, lng: float, lat: float, **tags: str) -> int:
        """Put a node at these degrees, which need not be on Earth; return its number."""
        number = len(self.nodes) + 1
        self.nodes.append(Node(id=number, location=(lng, lat), tags=_tags(tags)))
        return number

    def way(self, nodes: Sequence[int], **tags: str) -> int:
        """Draw a way through nodes; return its number."""
        number = len(self.ways) + 1
        self.ways.append(Way(id=number, nodes=list(nodes), tags=_tags(tags)))
        return number

    def ring(self, corners: Sequence[tuple[float, float]], **tags: str) -> int:
        """Draw a closed way around corners in metres; return its number."""
        nodes = [self.node(*corner) for corner in corners]
        return self.way([*nodes, nodes[0]], **tags)

    def multipolygon(self, outer: int, inner: int, **tags: str) -> int:
        """Relate two closed ways as a surface with a hole; return its number."""
        number = len(self.relations) + 1
        members = [("w", outer, "outer"), ("w", inner, "inner")]
        self.relations.append(
            Relation(id=number, members=members, tags=_tags({"type": "multipolygon", **tags}))
        )
        return number

    def save(self, path: Path) -> Path:
        """Write the file and return its path."""
        with SimpleWriter(str(path), overwrite=True) as writer:
            for node in self.nodes:
                writer.add_node(node)
            for way in self.ways:
                writer.add_way(way)
            for relation in self.relations:
                writer.add_relation(relation)
        return path


def _tags(tags: dict[str, str]) -> dict[str, str]:
    """Return tags as the map spells them: a keyword has no colons."""
    return {key.replace("__", ":"): value for key, value in tags.items()}


def grid_town(blocks: int = 3, block_m: float = 200.0) -> Town:
    """Return a town of square blocks, all streets residential, without anything in it."""
    town = Town()
    corners = [
        [town.node(column * block_m, row * block_m) for column in range(blocks + 1)]
        for row in range(blocks + 1)
    ]
    for line in (*corners, *zip(*corners, strict=True)):
        town.way(line, highway="residential")
    return town
