"""What couriers do on their devices, made into messages for the actors, and what came of it.

An act goes to the courier's actor, or to that of the offer it answers, in the shard where the
courier lives. Where that is stands in the table of couriers, and is looked up again before a
refusal is believed, because he may have left for another shard. The outcome is known once it is
committed, and then kept, so that the act counts once however often it is sent. An `Unavailable`
says that nothing is known yet: the same act again does no harm.
"""

from collections.abc import Callable, Mapping
from typing import Any

import trio
from msgspec import Struct

from actors.failures import ActorFailed
from api.ports import Edge, Unavailable
from api.replies import Declined
from api.shifts import start_shift
from dispatch import courier, offer
from dispatch.ids import CourierId, DeviceId, Instant
from dispatch.step import Code, Refused
from geo.point import LatLng
from storage.acts import Acts, Home, Kept, Outcome
from storage.database import DatabaseRefused, DatabaseUnreachable
from wire import frames
from wire.frames import AnyAction

KEEP_MAX = 500
"""Outcomes that are written together."""

ACCEPTED = Outcome()
_NOT_ON_SHIFT = Outcome(Code.NOT_LEGAL_NOW, "start a shift first")
_FAILED = Outcome(Code.FAILED, "it failed on our side, and changed nothing")
_PASSING = frozenset({Code.OVERLOADED, Code.MOVED})
"""Refusals that say nothing about the act: it is asked again."""


class Done(Struct, frozen=True):
    """What came of an act, and where the courier lives after it."""

    outcome: Outcome
    home: Home | None


type Worded = Callable[[Any], Struct]

_TO_COURIER: Mapping[type[frames.Action], Worded] = {
    frames.EndShift: lambda _act: courier.EndShift(),
    frames.Pause: lambda _act: courier.Pause(),
    frames.Resume: lambda _act: courier.Resume(),
    frames.Arrive: lambda act: courier.Arrive(act.order_id, act.restaurant_id),
    frames.Collect: lambda act: courier.Collect(tuple(dict.fromkeys(act.order_ids))),
    frames.Deliver: lambda act: courier.Deliver(act.order_id, act.left_at_door),
    frames.Abort: lambda act: courier.Abort(act.order_id, act.reason, act.returns),
    frames.BringBack: lambda act: courier.BringBack(act.order_id),
}


class ActDesk:
    """Carries acts out."""

    def __init__(self, edge: Edge, acts: Acts) -> None:
        self._edge = edge
        self._acts = acts

    async def perform(self, courier_id: CourierId, home: Home | None, action: AnyAction) -> Done:
        """Do what a courier did, who was last known to be at home there.

        Raises `Unavailable` and `DatabaseUnreachable` as long as nothing is known of it.
        """
        try:
            match action:
                case frames.StartShift():
                    return await self._start(courier_id, action)
                case frames.Take():
                    taken = offer.Take(courier_id)
                    return await self._asked(courier_id, home, "offer", action.offer_id, taken)
                case frames.Decline():
                    declined = offer.Decline(courier_id)
                    return await self._asked(courier_id, home, "offer", action.offer_id, declined)
                case _:
                    told = _TO_COURIER[type(action)](action)
                    return await self._asked(courier_id, home, "courier", courier_id, told)
        except ActorFailed:
            return Done(_FAILED, home)

    async def _asked(
        self, courier_id: CourierId, home: Home | None, kind: str, key: str, message: Struct
    ) -> Done:
        """Ask an actor where the courier lives, and where he went to if that is elsewhere now."""
        home = home or await self._home(courier_id)
        if home is None:
            return Done(_NOT_ON_SHIFT, None)
        answer = await self._edge.actors.ask(home.shard, kind, key, message)
        if isinstance(answer, Refused):
            moved = await self._home(courier_id)
            if moved is not None and moved.shard != home.shard:
                home = moved
                answer = await self._edge.actors.ask(home.shard, kind, key, message)
        if isinstance(answer, Refused):
            return Done(_refusal(answer), home)
        return Done(ACCEPTED, home)

    async def _start(self, courier_id: CourierId, action: frames.StartShift) -> Done:
        where = LatLng(action.lat, action.lng)
        try:
            ground = await start_shift(
                self._edge, courier_id, where, action.ends_at, action.load_max
            )
        except Declined as declined:
            if declined.code in _PASSING or declined.retry_s is not None:
                raise Unavailable(declined.detail) from declined
            return Done(Outcome(declined.code, declined.detail), await self._home(courier_id))
        return Done(ACCEPTED, Home(ground.shard, is_on_shift=True))

    async def _home(self, courier_id: CourierId) -> Home | None:
        return (await self._acts.homes([courier_id])).get(courier_id)


def _refusal(refused: Refused) -> Outcome:
    """Return the outcome of a refusal; what is another's is told as what does not exist."""
    if refused.code in _PASSING:
        raise Unavailable(refused.detail or refused.code)
    if refused.code is Code.NOT_YOURS:
        return Outcome(Code.NOT_FOUND, "there is no such thing")
    return Outcome(refused.code, refused.detail)


class _Batch:
    """Outcomes that are written together, and who waits for that."""

    __slots__ = ("acts", "done", "error")

    def __init__(self) -> None:
        self.acts: list[Kept] = []
        self.done = trio.Event()
        self.error = ""


class ActLedger:
    """Keeps outcomes, those of many sessions by one statement."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._batch = _Batch()
        self._has_some = trio.Event()

    async def keep(self, act: Kept) -> None:
        """Return once the outcome is written; raises `DatabaseUnreachable` if it may not be."""
        batch = self._batch
        batch.acts.append(act)
        self._has_some.set()
        await batch.done.wait()
        if batch.error:
            raise DatabaseUnreachable(batch.error)

    async def run(self) -> None:
        """Write what has come, again and again, until cancelled."""
        while True:
            await self._has_some.wait()
            batch, self._batch = self._batch, _Batch()
            self._has_some = trio.Event()
            try:
                for start in range(0, len(batch.acts), KEEP_MAX):
                    await self._acts.keep(batch.acts[start : start + KEEP_MAX])
            except (DatabaseUnreachable, DatabaseRefused) as error:
                batch.error = str(error)
            finally:
                batch.done.set()


def kept(courier_id: CourierId, device_id: DeviceId, act: frames.Act, outcome: Outcome) -> Kept:
    """Return an act as it is kept with its outcome."""
    return Kept(
        courier_id=courier_id,
        device_id=device_id,
        counter=act.counter,
        acted_at=Instant(act.at),
        action=str(type(act.action).__struct_config__.tag),
        outcome=outcome,
    )
