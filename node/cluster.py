"""A client of the whole cluster: finds who owns a shard, and asks again wherever it went.

An ask is the same message until its time is over, whichever node takes it: actors answer a message
that counted already as they did the first time. A feed goes on from its cursor over links that are
lost and nodes that change, so that each of a person's messages comes once and in order. A node that
did not answer is left alone for a while; who owns what is learned from any node that is alive.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from random import Random
from typing import Annotated

import trio
from msgspec import Meta, Struct, structs

from actors.codec import encode
from actors.failures import ActorFailed
from dispatch.ids import MarketId, ShardId
from dispatch.step import Accepted, Refused
from geo.ping import Track
from node.line import LinkLimits, LinkLost
from node.peer import Hearing, LinkClient, dialled
from wire.link import ASK_S_MAX, Failed, Gone, Late, Outcome, Owner, check_secret

type Seconds = Annotated[float, Meta(gt=0, le=60)]
type Place = ShardId | MarketId

LINK = LinkLimits()
LEFT_S_MIN = 0.001
"""No ask is sent with less time than this: a peer takes none for a frame it cannot read."""


class ClusterLimits(Struct, frozen=True, kw_only=True):
    """What bounds a client of the cluster."""

    backoff_s: Seconds = 0.02
    """Longest wait before the second try; each further one is twice as long."""
    backoff_s_max: Seconds = 0.1
    """Longest wait before any try."""
    where_s: Seconds = 0.3
    """Time a node has to say who owns a shard, its link included, before another is asked."""
    shun_s: Seconds = 0.5
    """Time for which a node that did not answer is not dialled and is asked last."""
    look_s: Seconds = 0.5
    """Silence of a feed after which it goes where asks have found the shard meanwhile."""
    nodes_max: Annotated[int, Meta(ge=1)] = 1_000
    """Addresses of nodes that are remembered."""
    places_max: Annotated[int, Meta(ge=1)] = 100_000
    """Shards and markets whose owners are remembered; with more, all are forgotten."""


LIMITS = ClusterLimits()


class ClusterClient:
    """Asks actors and listens to feeds, on whichever node they are. Links live in `nursery`.

    Raises `SecretTooShort` for a secret that could be guessed.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        addresses: Iterable[str],
        secret: bytes,
        rng: Random,
        *,
        name: str = "client",
        link: LinkLimits = LINK,
        limits: ClusterLimits = LIMITS,
    ) -> None:
        check_secret(secret)
        self._nursery = nursery
        self._named = tuple(addresses)
        self._secret = secret
        self._rng = rng
        self._name = name
        self._link_limits = link
        self._limits = limits
        self._known = dict.fromkeys(self._named)
        self._links: dict[str, LinkClient] = {}
        self._dialling: dict[str, trio.Lock] = {}
        self._shunned_until: dict[str, float] = {}
        self._owners: dict[Place, Owner] = {}

    def meet(self, addresses: Iterable[str]) -> None:
        """Take these for the nodes there are, besides those that nodes themselves name.

        For whoever finds nodes by a directory of his own: all of those known here may be gone.
        """
        self._named = tuple(addresses)
        self._known = dict.fromkeys((*self._named, *self._known))
        while len(self._known) > self._limits.nodes_max:
            self._known.popitem()

    async def ask(
        self, place: Place, kind: str, key: str, message: Struct, timeout_s: float
    ) -> Accepted | Refused:
        """Ask an actor of a shard, or of a market's, until there is an answer.

        Raises `ActorFailed` when its step failed, `trio.TooSlowError` after `timeout_s`.
        """
        written = encode(message)
        with trio.fail_after(timeout_s) as scope:
            for pause_s in self._pauses_s():
                left_s = max(LEFT_S_MIN, min(ASK_S_MAX, scope.deadline - trio.current_time()))
                outcome = await self._tried(place, kind, key, written, left_s)
                if isinstance(outcome, Failed):
                    raise ActorFailed(outcome.reason)
                if outcome is not None:
                    return outcome
                await trio.sleep(pause_s)
        raise AssertionError(scope)

    async def bring(self, place: Place, tracks: Sequence[Track]) -> None:
        """Bring a shard the pings of its couriers; what cannot be brought at once is lost."""
        try:
            owner = await self._owner(place)
            assert owner.shard is not None
            (await self._link(owner.address)).bring(owner.shard, tracks)
        except LinkLost:
            self._owners.pop(place, None)

    async def listen(
        self, place: Place, person: str, after: int
    ) -> AsyncGenerator[tuple[int, bytes]]:
        """Yield the person's messages after that number, each once and in order, for ever.

        Any node knows them all; the one that owns `place`, where they are committed, knows first.
        """
        pauses_s = self._pauses_s()
        while True:
            try:
                owner = await self._owner(place)
                link = await self._link(owner.address)
                with link.listening(person, after) as feed:
                    while self._owners.get(place, owner).address == owner.address:
                        shown = await self._heard(feed)
                        if shown is not None:
                            pauses_s, after = self._pauses_s(), shown[0]
                            yield shown
            except LinkLost:
                self._owners.pop(place, None)
                await trio.sleep(next(pauses_s))

    async def _heard(self, feed: Hearing) -> tuple[int, bytes] | None:
        """Return the next message, None when it is time to see whether the shard has moved."""
        with trio.move_on_after(self._limits.look_s):
            return await anext(feed)
        return None

    async def _tried(
        self, place: Place, kind: str, key: str, message: bytes, left_s: float
    ) -> Accepted | Refused | Failed | None:
        """Ask once; None when it is to be asked again."""
        try:
            owner = await self._owner(place)
            assert owner.shard is not None
            link = await self._link(owner.address)
            outcome = await self._asked(link, owner.shard, kind, key, message, left_s)
        except LinkLost:
            self._owners.pop(place, None)
            return None
        if isinstance(outcome, Gone):
            self._redirect(place, owner, outcome)
        return None if isinstance(outcome, Gone | Late) else outcome

    async def _asked(
        self, link: LinkClient, shard: ShardId, kind: str, key: str, message: bytes, left_s: float
    ) -> Outcome:
        try:
            return await link.ask(shard, kind, key, message, left_s)
        except LinkLost:
            self._shun(link.address)
            raise

    def _redirect(self, place: Place, owner: Owner, gone: Gone) -> None:
        """Go where the node says that the shard is, if it says another than itself."""
        if gone.address and gone.address != owner.address:
            self._owners[place] = structs.replace(owner, address=gone.address)
        else:
            self._owners.pop(place, None)

    async def _owner(self, place: Place) -> Owner:
        """Return who owns the place, asking one node after the other; raises LinkLost."""
        if found := self._owners.get(place):
            return found
        for address in self._addresses():
            owner = await self._owner_by(address, place)
            if owner is not None and owner.shard is not None and self._is_worth_asking(owner):
                self._learn(place, owner)
                return owner
        raise LinkLost(f"no node says who owns {place}")

    async def _owner_by(self, address: str, place: Place) -> Owner | None:
        """Return what one node knows, None when it does not say so in time."""
        with trio.move_on_after(self._limits.where_s):
            try:
                return await (await self._link(address)).owner(place)
            except LinkLost:
                return None
        self._shun(address)
        return None

    def _learn(self, place: Place, owner: Owner) -> None:
        if len(self._owners) >= self._limits.places_max:
            self._owners.clear()
        self._owners[place] = owner
        self._known = dict.fromkeys((*self._named, *owner.peers))
        self._forget_the_gone()

    def _forget_the_gone(self) -> None:
        """Drop what is kept of nodes that are neither linked, nor dialled, nor shunned now."""
        self._links = {at: link for at, link in self._links.items() if not link.is_lost}
        self._dialling = {at: lock for at, lock in self._dialling.items() if lock.locked()}
        self._shunned_until = {
            at: end for at, end in self._shunned_until.items() if self._is_shunned(at)
        }

    def _addresses(self) -> list[str]:
        """Return the nodes to ask in an order of chance, those last that did not answer lately."""
        addresses = list(self._known)
        self._rng.shuffle(addresses)
        return sorted(addresses, key=self._is_shunned)

    async def _link(self, address: str) -> LinkClient:
        """Return the link to a node, dialled if need be; raises LinkLost."""
        async with self._dialling.setdefault(address, trio.Lock()):
            link = self._links.get(address)
            if link is not None and not link.is_lost:
                return link
            if self._is_shunned(address):
                raise LinkLost(f"{address} has not answered just now")
            try:
                link = await dialled(
                    self._nursery, address, self._secret, name=self._name, limits=self._link_limits
                )
            except LinkLost:
                self._shun(address)
                raise
            self._links[address] = link
            return link

    def _shun(self, address: str) -> None:
        self._shunned_until[address] = trio.current_time() + self._limits.shun_s

    def _is_shunned(self, address: str) -> bool:
        return self._shunned_until.get(address, 0.0) > trio.current_time()

    def _is_worth_asking(self, owner: Owner) -> bool:
        """Tell whether there is an owner, other than one who just did not answer."""
        return bool(owner.address) and not self._is_shunned(owner.address)

    def _pauses_s(self) -> Iterator[float]:
        """Yield the waits between tries, for ever: longer each time, and never quite the same."""
        longest_s = self._limits.backoff_s
        while True:
            yield self._rng.uniform(0, longest_s)
            longest_s = min(2 * longest_s, self._limits.backoff_s_max)
