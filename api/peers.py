"""How many connections each address has: an IPv6 subscriber's whole net is one address.

A trusted proxy has any number of them, since they are not its own. What it says of who is behind it
is found out later, if at all: then the connection `moves` to that address, or, where that was made
impossible to read, to all who cannot be told apart behind that proxy.
"""

from collections import Counter

from api.limits import neighbourhood
from api.proxies import NOBODY, Passed, Proxies


class Peers:
    """The connections of one door, by the address that each counts for."""

    __slots__ = ("_count_max", "_counts", "_proxies", "count")

    def __init__(self, count_max: int, proxies: Proxies = NOBODY) -> None:
        """Let each address have so many, except trusted proxies."""
        self._count_max = count_max
        self._proxies = proxies
        self._counts: Counter[str] = Counter()
        self.count = 0

    def has_room(self, peer: str) -> bool:
        """Tell whether an address may have one more."""
        return self._counts[neighbourhood(peer)] < self._count_max or self._proxies.trusts(peer)

    def arrive(self, peer: str) -> None:
        """Count a connection of that address."""
        self._counts[neighbourhood(peer)] += 1
        self.count += 1

    def leave(self, peer: str) -> None:
        """Count it no more."""
        name = neighbourhood(peer)
        self._counts[name] -= 1
        self.count -= 1
        if not self._counts[name]:
            del self._counts[name]

    def moved(self, peer: str, passed: Passed) -> str | None:
        """Have a connection count for who is behind a trusted proxy; None if he has too many.

        Returns the address that it counts for from now on.
        """
        client, _ = self._proxies.client(peer, "http", passed)
        if client == peer:
            hides = passed.forwarded or passed.forwarded_for
            if not hides or not self._proxies.trusts(peer):
                return peer
            client = f"behind {peer}"
        if not self.has_room(client):
            return None
        self.leave(peer)
        self.arrive(client)
        return client
