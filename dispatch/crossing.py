"""A courier on his way from one shard to another.

He leaves only with empty hands: no route, no offer. The step that makes him GONE here tells himself
in the other shard to go on, and both are in one commit, so that he is never nowhere for good; that
message comes once and only there he can be given work, so that he is never in two places. Whoever
asks for him where he was is told where he went. His crossings are counted, which tells the latest
word from one that was long on its way.
"""

from msgspec import structs

from dispatch.courier_state import (
    LEGAL,
    Courier,
    CourierCrossed,
    Cross,
    Settle,
    Stage,
)
from dispatch.ids import Instant
from dispatch.step import Accepted, Code, Record, Reply, Step, TellAcross, refuse


def crossed(courier: Courier, message: Cross, now: Instant) -> Step[Courier | None]:
    """Leave for the other shard, if he has nothing to do here."""
    stage = LEGAL[courier.stage].get(Cross)
    if courier.stage is Stage.GONE:
        is_done = courier.shard == message.shard
        return Step(courier, (Reply(Accepted()),)) if is_done else _moved(courier)
    if stage is None:
        return refuse(courier, Code.NOT_LEGAL_NOW, f"the courier is {courier.stage}")
    if courier.route or courier.offer_id is not None:
        return refuse(courier, Code.NOT_LEGAL_NOW, "the courier has work here")
    gone = structs.replace(
        courier,
        stage=stage,
        heading=None,
        shard=message.shard,
        version=courier.version + 1,
        crossings=courier.crossings + 1,
    )
    settling = Settle(
        courier_id=gone.courier_id,
        market_id=message.market_id,
        point=message.point,
        ends_at=gone.ends_at,
        load_max=gone.load_max,
        version=gone.version,
        crossings=gone.crossings,
        work=gone.work,
    )
    across = TellAcross("courier", gone.courier_id, settling, message.shard)
    return Step(gone, (Record(_fact(gone, now)), across, Reply(Accepted())))


def settled(courier: Courier | None, message: Settle, now: Instant) -> Step[Courier | None]:
    """Go on with the shift here, unless that was done or is out of date."""
    if courier is not None and message.crossings <= courier.crossings:
        return Step(courier, (Reply(Accepted()),))
    if courier is not None and Settle not in LEGAL[courier.stage]:
        return Step(structs.replace(courier, crossings=message.crossings), (Reply(Accepted()),))
    here = Courier(
        courier_id=message.courier_id,
        market_id=message.market_id,
        stage=Stage.ON,
        ends_at=message.ends_at,
        load_max=message.load_max,
        point=message.point,
        leaves_at=now,
        recent=courier.recent if courier else (),
        version=max(message.version, courier.version if courier else 0) + 1,
        crossings=message.crossings,
        work=message.work,
    )
    return Step(here, (Record(_fact(here, now)), Reply(Accepted())))


def _moved(courier: Courier) -> Step[Courier | None]:
    return refuse(courier, Code.MOVED, f"{courier.shard}")


def _fact(courier: Courier, now: Instant) -> CourierCrossed:
    return CourierCrossed(
        courier_id=courier.courier_id, shard=courier.shard, crossings=courier.crossings, at=now
    )
