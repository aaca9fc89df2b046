"""The offer: a courier is invited to carry a bundle, for a while.

An offer claims its orders and its courier before anybody is asked, so that no order stands in two
live offers and no courier in two. What it cannot claim it does without; without its courier or
without any order it is withdrawn. Taking it is the commit of this machine: the courier is answered
only after that, and the orders are told in the same batch. A direct offer is taken the moment all
is claimed: that is how a market assigns whose couriers do not choose.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, structs

from dispatch.delivery import Assign, Claim, CloseOffer
from dispatch.ids import CourierId, Instant, OfferId, OrderId, after
from dispatch.invitation import Ask, Claimed, Disengage, Engage, Invite, Unclaimed
from dispatch.policy import Policy
from dispatch.route import Task
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse

CLAIM_S_MAX = 5.0


class Stage(StrEnum):
    """Where an offer stands."""

    CLAIMING = "claiming"
    OPEN = "open"
    TAKEN = "taken"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


class Open(Struct, frozen=True, tag="offer.open", kw_only=True):
    """A round invites a courier to these orders. `versions` are the orders' as the round saw them.

    `sequence` is the order of all drop-offs of the trip, those the courier already has included.
    """

    offer_id: OfferId
    courier_id: CourierId
    courier_version: int
    tasks: tuple[Task, ...]
    versions: tuple[int, ...]
    sequence: tuple[OrderId, ...] = ()
    is_direct: bool = False


class Take(Struct, frozen=True, tag="offer.take"):
    """The courier says yes."""

    courier_id: CourierId


class Decline(Struct, frozen=True, tag="offer.decline"):
    """The courier says no; it costs him nothing."""

    courier_id: CourierId


class Complete(Struct, frozen=True, tag="offer.complete"):
    """Never sent: the moment at which everything has been claimed and the courier is asked."""


class Assume(Struct, frozen=True, tag="offer.assume"):
    """Never sent: the moment at which a direct offer, wholly claimed, is taken."""


class Withdraw(Struct, frozen=True, tag="offer.withdraw"):
    """Never sent: the moment at which nothing is left to offer, or nobody to offer it to."""


class OfferClosed(Struct, frozen=True, tag="offer_closed", kw_only=True):
    """A fact: the offer came to its end."""

    offer_id: OfferId
    courier_id: CourierId
    order_ids: tuple[OrderId, ...]
    stage: Stage
    at: Instant


type Fact = OfferClosed
type Message = Open | Claimed | Unclaimed | Take | Decline | Wake

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.CLAIMING: {
        Claimed: Stage.CLAIMING,
        Unclaimed: Stage.CLAIMING,
        Complete: Stage.OPEN,
        Assume: Stage.TAKEN,
        Withdraw: Stage.WITHDRAWN,
        Wake: Stage.WITHDRAWN,
    },
    Stage.OPEN: {
        Take: Stage.TAKEN,
        Decline: Stage.DECLINED,
        Wake: Stage.LAPSED,
        Unclaimed: Stage.OPEN,
        Withdraw: Stage.WITHDRAWN,
    },
    Stage.TAKEN: {},
    Stage.DECLINED: {},
    Stage.LAPSED: {},
    Stage.WITHDRAWN: {},
}


class Offer(Struct, frozen=True, kw_only=True):
    """One invitation. `unanswered` are the orders and the courier who have yet to be claimed."""

    offer_id: OfferId
    courier_id: CourierId
    tasks: tuple[Task, ...]
    sequence: tuple[OrderId, ...]
    is_direct: bool
    stage: Stage = Stage.CLAIMING
    unanswered: tuple[str, ...]
    expires_at: Instant


def wakes_at(offer: Offer) -> Instant | None:
    """Return when the claiming, or the courier's time to answer, is over."""
    return offer.expires_at if offer.stage in _LIVE else None


def is_finished(offer: Offer) -> bool:
    """Tell whether the offer is closed."""
    return offer.stage not in _LIVE


_LIVE = frozenset({Stage.CLAIMING, Stage.OPEN})


def step(offer: Offer | None, message: Message, now: Instant, policy: Policy) -> Step[Offer | None]:
    """Return what the message does to the offer."""
    if offer is None:
        return _opened(message, now) if isinstance(message, Open) else _unheard(message)
    match message:
        case Open():
            return Step(offer, (Reply(Accepted()),))
        case Wake():
            return _woken(offer, now)
        case Claimed() | Unclaimed():
            return _answered(offer, message, now, policy)
        case Take() | Decline():
            return _decided(offer, message, now)


def _unheard(message: Message) -> Step[Offer | None]:
    """Refuse the courier of an offer that does not exist; nobody else can be waiting for it."""
    if isinstance(message, Take | Decline):
        return refuse(None, Code.NOT_FOUND, "there is no such offer")
    return Step(None)


def _opened(message: Open, now: Instant) -> Step[Offer | None]:
    assert len(message.tasks) == len(message.versions) > 0
    orders = tuple(task.order_id for task in message.tasks)
    offer = Offer(
        offer_id=message.offer_id,
        courier_id=message.courier_id,
        tasks=message.tasks,
        sequence=message.sequence or orders,
        is_direct=message.is_direct,
        unanswered=(message.courier_id, *orders),
        expires_at=after(now, CLAIM_S_MAX),
    )
    invite = Invite(
        offer_id=offer.offer_id,
        courier_id=offer.courier_id,
        version=message.courier_version,
        tasks=message.tasks,
    )
    claims = tuple(
        Tell(
            "order",
            order_id,
            Claim(
                offer_id=offer.offer_id,
                order_id=order_id,
                courier_id=offer.courier_id,
                version=version,
            ),
        )
        for order_id, version in zip(orders, message.versions, strict=True)
    )
    return Step(offer, (Tell("courier", offer.courier_id, invite), *claims))


def _woken(offer: Offer, now: Instant) -> Step[Offer | None]:
    due = wakes_at(offer)
    return Step(offer) if due is None or now < due else _closed(offer, Wake(), now)


def _answered(
    offer: Offer, message: Claimed | Unclaimed, now: Instant, policy: Policy
) -> Step[Offer | None]:
    """Note who is in and who is out, and go on when the last one has answered."""
    if isinstance(message, Claimed) and not _wants(offer, message):
        return _let_go(offer, message)
    if type(message) not in LEGAL[offer.stage]:
        return Step(offer)
    heard = _without(offer, message.name) if isinstance(message, Unclaimed) else offer
    is_refused = isinstance(message, Unclaimed) and message.name == offer.courier_id
    if is_refused or not heard.tasks:
        return _closed(heard, Withdraw(), now)
    unanswered = tuple(name for name in offer.unanswered if name != message.name)
    heard = structs.replace(heard, unanswered=unanswered)
    if heard == offer:
        return Step(offer)
    if offer.stage is Stage.OPEN:
        return Step(heard, (_ask(heard),))
    return Step(heard) if heard.unanswered else _complete(heard, now, policy)


def _without(offer: Offer, name: str) -> Offer:
    left = tuple(task for task in offer.tasks if task.order_id != name)
    return structs.replace(offer, tasks=left)


def _wants(offer: Offer, claimed: Claimed) -> bool:
    """Tell whether the offer has use for him or it: live, or, an order, taken with it."""
    if claimed.name == offer.courier_id:
        return offer.stage in _LIVE
    is_in = any(task.order_id == claimed.name for task in offer.tasks)
    return is_in and (offer.stage in _LIVE or offer.stage is Stage.TAKEN)


def _let_go(offer: Offer, claimed: Claimed) -> Step[Offer | None]:
    """Free what was claimed late, or again. One who took the offer was told that before this."""
    if claimed.name == offer.courier_id:
        return Step(offer, (Tell("courier", offer.courier_id, Disengage(offer.offer_id)),))
    return Step(offer, (Tell("order", claimed.name, CloseOffer(offer.offer_id)),))


def _complete(offer: Offer, now: Instant, policy: Policy) -> Step[Offer | None]:
    if offer.is_direct or policy.offer_s == 0:
        return _closed(offer, Assume(), now)
    asked = structs.replace(
        offer,
        stage=LEGAL[offer.stage][Complete],
        expires_at=after(now, policy.offer_s),
    )
    return Step(asked, (_ask(asked),))


def _ask(offer: Offer) -> Tell:
    """Put the offer, as it now stands, before the courier."""
    ask = Ask(offer_id=offer.offer_id, tasks=offer.tasks, expires_at=offer.expires_at)
    return Tell("courier", offer.courier_id, ask)


def _decided(offer: Offer, message: Take | Decline, now: Instant) -> Step[Offer | None]:
    """Close by the courier's word, if it is his offer and he is in time."""
    if message.courier_id != offer.courier_id:
        return refuse(offer, Code.NOT_YOURS)
    if LEGAL[offer.stage].get(type(message)) is None:
        if offer.stage is _SAID[type(message)]:
            return Step(offer, (Reply(Accepted()),))
        code = Code.OFFER_LAPSED if offer.stage is Stage.LAPSED else Code.OFFER_CLOSED
        return refuse(offer, code)
    if now >= offer.expires_at:
        return refuse(offer, Code.OFFER_LAPSED)
    closed = _closed(offer, message, now)
    return Step(closed.state, (Reply(Accepted()), *closed.effects))


_SAID: Mapping[type[Struct], Stage] = {Take: Stage.TAKEN, Decline: Stage.DECLINED}


def _closed(offer: Offer, cause: Struct, now: Instant) -> Step[Offer | None]:
    """Return the offer's end: the fact, and a word to everybody it had claimed."""
    stage = LEGAL[offer.stage][type(cause)]
    closed = structs.replace(offer, stage=stage)
    fact = OfferClosed(
        offer_id=offer.offer_id,
        courier_id=offer.courier_id,
        order_ids=tuple(task.order_id for task in offer.tasks),
        stage=stage,
        at=now,
    )
    parting = _engaging(closed) if stage is Stage.TAKEN else _releasing(closed)
    return Step(closed, (Record(fact), *parting))


def _engaging(offer: Offer) -> tuple[Effect, ...]:
    engage = Engage(offer_id=offer.offer_id, tasks=offer.tasks, sequence=offer.sequence)
    assign = Assign(offer.offer_id, offer.courier_id)
    return (
        *(Tell("order", task.order_id, assign) for task in offer.tasks),
        Tell("courier", offer.courier_id, engage),
    )


def _releasing(offer: Offer) -> tuple[Effect, ...]:
    declined_by = offer.courier_id if offer.stage in {Stage.DECLINED, Stage.LAPSED} else None
    close = CloseOffer(offer.offer_id, declined_by)
    return (
        *(Tell("order", task.order_id, close) for task in offer.tasks),
        Tell("courier", offer.courier_id, Disengage(offer.offer_id)),
    )
