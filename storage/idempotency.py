"""Requests that are answered once: the same key gives the same answer for a day.

Whoever serves a request claims its key first. A claim that is never finished, because its server
died, may be taken over by the same request after a while. It is still the same claim, made at the
same instant: doing its work again is harmless, because what that makes has ids made of the claim.
A key is only good for the request it came with: one that differs is told so, and gets neither the
answer nor a second try.
"""

from collections.abc import Mapping

from msgspec import Struct, json

from dispatch.ids import Instant
from storage.database import Database
from storage.queries import queries

SQL = queries("idempotency")
_decode_headers = json.Decoder(dict[str, str]).decode
KEPT_S = 86_400.0
"""Time for which an answer is kept."""
CLAIM_S = 30.0
"""Time after which a claim without an answer may be taken over; no request may take so long."""


class Claimed(Struct, frozen=True):
    """Serve the request, then `finish`. The claim was made at `began_at`, perhaps by another.

    Who `is_first` knows that nothing has been done for it yet; whoever took it over does not.
    """

    began_at: Instant
    is_first: bool = True


class Pending(Struct, frozen=True):
    """The same request is being served by somebody else: ask again in a moment."""


class Reused(Struct, frozen=True):
    """The key came with another request before."""


class Answered(Struct, frozen=True):
    """What the request was answered the first time, with the headers that are its own."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


type Claim = Claimed | Pending | Reused | Answered


class Idempotency:
    """The keys of all senders. A `scope` is a sender and what is asked of him or her to do."""

    def __init__(
        self, database: Database, *, kept_s: float = KEPT_S, claim_s: float = CLAIM_S
    ) -> None:
        self._database = database
        self._kept_s = kept_s
        self._claim_s = claim_s

    async def claim(self, scope: str, key: str, digest: bytes) -> Claim:
        """Take the key for a request of this digest, or return why it cannot be taken."""
        claimed = await self._database.call(
            lambda there: there.fetchrow(
                SQL["claim"], scope, key, digest, self._kept_s, self._claim_s
            )
        )
        if claimed is None:
            return await self._found(scope, key, digest)
        return Claimed(claimed["began_at"], claimed["is_first"])

    async def finish(self, scope: str, key: str, digest: bytes, answer: Answered) -> bool:
        """Keep the answer; False when the claim is gone or another has answered."""
        headers = json.encode(answer.headers).decode() if answer.headers else None
        done = await self._database.call(
            lambda there: there.execute(
                SQL["finish"], scope, key, digest, answer.status, answer.body, headers
            )
        )
        return _count(done) == 1

    async def give_way(self, scope: str, key: str, digest: bytes) -> None:
        """Let the same request be served by another at once, since what was done is not known."""
        await self._database.call(lambda there: there.execute(SQL["yield"], scope, key, digest))

    async def release(self, scope: str, key: str, digest: bytes) -> None:
        """Give a claim up, for a request that did nothing and may come again at once."""
        await self._database.call(lambda there: there.execute(SQL["release"], scope, key, digest))

    async def forget_old(self) -> int:
        """Delete the keys whose day is over and return how many there were."""
        return _count(
            await self._database.call(lambda there: there.execute(SQL["forget_old"], self._kept_s))
        )

    async def _found(self, scope: str, key: str, digest: bytes) -> Claim:
        row = await self._database.call(
            lambda there: there.fetchrow(SQL["find_answer"], scope, key)
        )
        if row is None or (row["status"] is None and row["request_digest"] == digest):
            return Pending()
        if row["request_digest"] != digest:
            return Reused()
        headers = row["headers"]
        return Answered(row["status"], row["body"], _decode_headers(headers) if headers else {})


def _count(command: str) -> int:
    """Return how many rows a command says that it touched: the 3 of `DELETE 3`."""
    return int(command.rpartition(" ")[2])
