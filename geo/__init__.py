"""Where things are: points, cells, the positions of couriers, and how long a way takes.

The lowest floor of the tree. It is pure and imports nothing of ours: no clock, no log, no random
source. Places are `Point`s in metres on the plane of one market, or `LatLng`s in degrees on the
Earth, never a bare pair. Instants are whole milliseconds since the Unix epoch.
"""
