"""What must hold whatever breaks: each invariant a sentence, and a function that looks for more.

A function yields what it saw that breaks its sentence, which is its docstring's first line. The
first group is asked after each commit, the second whenever a node answers a client, the third about
what devices heard and who holds a shard, and the last when all faults are over and everything has
come to its end. Money is not part of the system yet; the ledger that must add up is the tokens'.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from actors.codec import encode
from dispatch import offer, order, route
from dispatch.courier import Arrive, Collect, Courier, Cross, Deliver, Stage, StartShift
from dispatch.delivery import Cancel
from dispatch.ids import ShardId
from dispatch.journal import Checkpoint, LeaseLost, Recovered
from dispatch.kitchen import FINISHED, Accept, MarkReady, OrderStatus
from dispatch.offer import Offer, Take
from dispatch.order import Order, Place
from dispatch.order_state import OrderMoved
from simulations.faults.chronicle import Applied, Change, Chronicle, Said, State, Tenancy
from simulations.faults.purse import Mint, Pay, Purse
from simulations.legality import DELIVERY_REACH, ORDER_REACH

type Findings = Iterator[str]


def sentence(invariant: Callable[..., Findings]) -> str:
    """Return what an invariant claims."""
    return (invariant.__doc__ or "").partition("\n")[0].removesuffix(".")


def one_courier_per_order(chronicle: Chronicle, applied: Applied) -> Findings:
    """An order has one committed courier at a time, and one who ever carries it."""
    for _, courier in applied.of(Courier):
        for order_id in (*courier.carried, *courier.recent):
            holder = chronicle.bags.setdefault(order_id, courier.courier_id)
            if holder != courier.courier_id:
                yield f"{order_id} was in the bags of {holder} and {courier.courier_id}"
    for change in applied.changes:
        yield from _courier_changes(chronicle.moved.get(change.name), change)


def _courier_changes(last: OrderMoved | None, change: Change) -> Findings:
    for fact in change.facts:
        was, now = last.courier_id if last else None, fact.courier_id
        if was is not None and now is not None and was != now:
            yield f"{fact.order_id} went from {was} to {now} without being free between"
        last = fact


def one_place_per_courier(chronicle: Chronicle, applied: Applied) -> Findings:
    """A courier works in one shard at a time."""
    for (shard, kind, key), courier in applied.of(Courier):
        if courier.stage is Stage.GONE:
            continue
        for other in chronicle.epochs:
            there = chronicle.find(Courier, (other, kind, key))
            if other != shard and there is not None and there.stage is not Stage.GONE:
                yield f"{key} is {courier.stage} in shard {shard} and {there.stage} in {other}"


def load_within_capacity(chronicle: Chronicle, applied: Applied) -> Findings:
    """No courier's route ever holds more than he can carry, or cannot be driven."""
    del chronicle
    for _, courier in applied.of(Courier):
        sizes = {task.order_id: task.size for task in courier.tasks}
        if not route.is_sound(courier.route, courier.carried):
            yield f"the route of {courier.courier_id} cannot be driven: {courier.route}"
        elif route.load_peak(courier.route, sizes) > courier.load_max:
            yield f"{courier.courier_id} is to carry more than {courier.load_max}"


def one_live_offer_per_order(chronicle: Chronicle, applied: Applied) -> Findings:
    """An order stands in one open offer at a time."""
    for (shard, _, key), asked in applied.of(Offer):
        if asked.stage is not offer.Stage.OPEN:
            continue
        for task in asked.tasks:
            about = chronicle.find(Order, (shard, "order", task.order_id))
            rival = chronicle.find_open_offer(shard, task.order_id, besides=asked.offer_id)
            if rival is not None and about is not None and not order.is_finished(about):
                yield f"{task.order_id} is offered by {rival} and {key}"


def statuses_along_legal(chronicle: Chronicle, applied: Applied) -> Findings:
    """An order moves only along its LEGAL tables, and never out of an end."""
    del chronicle
    for change in applied.changes:
        before, after = change.before, change.after
        if not isinstance(before, Order) or not isinstance(after, Order):
            continue
        if before.status in FINISHED and after != before:
            yield f"{after.order_id} had ended and changed: {before} became {after}"
        if after.status not in ORDER_REACH[before.status]:
            yield f"{after.order_id} went from {before.status} to {after.status}"
        held, holds = before.delivery.status, after.delivery.status
        if holds not in DELIVERY_REACH[held]:
            yield f"the delivery of {after.order_id} went from {held} to {holds}"


def facts_tell_the_story(chronicle: Chronicle, applied: Applied) -> Findings:
    """The journal has the facts of an order in their order, up to where it stands."""
    for change in applied.changes:
        if isinstance(change.after, Order):
            yield from _contradictions(chronicle.moved.get(change.name), change, change.after)


def _contradictions(last: OrderMoved | None, change: Change, after: Order) -> Findings:
    for fact in change.facts:
        if last is not None and fact.status not in ORDER_REACH[last.status]:
            yield f"the journal has {fact.order_id} {last.status}, then {fact.status}"
        last = fact
    if last is not None and last.status is not after.status:
        yield f"{after.order_id} is {after.status}, its last fact says {last.status}"


def dead_owners_write_nothing(chronicle: Chronicle, applied: Applied) -> Findings:
    """A batch of an owner before the present one changes nothing."""
    batch = applied.batch
    newest = chronicle.epochs.get(batch.shard, 0)
    if batch.epoch != newest:
        yield f"shard {batch.shard} took a batch of epoch {batch.epoch} in epoch {newest}"


def messages_count_once(chronicle: Chronicle, applied: Applied) -> Findings:
    """A message between shards takes effect once."""
    batch = applied.batch
    for mark in batch.marks:
        if chronicle.marks[batch.shard, mark] > 1:
            yield f"shard {batch.shard} handled row {mark.sequence} of {mark.source} again"


def tokens_add_up(chronicle: Chronicle, applied: Applied) -> Findings:
    """The tokens in purses and under way are those that were minted."""
    del applied
    under_way = sum(chronicle.under_way.values())
    if chronicle.held + under_way != chronicle.minted:
        yield f"{chronicle.held} held, {under_way} under way, {chronicle.minted} minted"


def feeds_are_numbered_through(chronicle: Chronicle, applied: Applied) -> Findings:
    """A person's feed messages are numbered one after the other."""
    counts: dict[str, int] = {}
    for row, number in zip(applied.batch.feed, applied.committed.feed_numbers, strict=True):
        expected = counts.get(row.person, len(chronicle.feeds.get(row.person, ()))) + 1
        counts[row.person] = expected
        if number != expected:
            yield f"{row.person} was given number {number} after {expected - 1}"


def no_step_fails(chronicle: Chronicle, applied: Applied) -> Findings:
    """Whatever breaks, no actor's step raises, and no message ends as a dead letter."""
    del chronicle
    for letter in applied.batch.dead_letters:
        yield f"{letter.kind} {letter.key} could not be told {letter.message!r}: {letter.error}"


BEFORE_ENTRY = (
    one_courier_per_order,
    statuses_along_legal,
    facts_tell_the_story,
    dead_owners_write_nothing,
    feeds_are_numbered_through,
    no_step_fails,
)
"""Asked while the chronicle still stands as before the batch."""
AFTER_ENTRY = (
    one_place_per_courier,
    load_within_capacity,
    one_live_offer_per_order,
    messages_count_once,
    tokens_add_up,
)
"""Asked once the batch has been entered."""


def accepted_is_committed(chronicle: Chronicle, said: Said) -> Findings:
    """Nobody is told `Accepted` before what he asked for is committed."""
    state = chronicle.states.get((said.shard, said.kind, said.key))
    if said.is_accepted and not _shows(state, said.message):
        yield f"{said.kind} {said.key} accepted {said.message}, and is {state}"


def _shows(state: State | None, message: Struct) -> bool:
    """Tell whether a committed state bears a message out that was once accepted."""
    match state, message:
        case Order(), Place():
            return True
        case Order(status=status), Accept() | MarkReady():
            return status is not OrderStatus.PLACED
        case Order(status=status), Cancel():
            return status is OrderStatus.CANCELED
        case Offer(stage=stage, courier_id=courier_id), Take(taker):
            return stage is offer.Stage.TAKEN and courier_id == taker
        case Courier(), StartShift() | Arrive():
            return True
        case Courier(), Collect(order_ids):
            return set(order_ids) <= {*state.carried, *state.recent}
        case Courier(), Deliver(order_id):
            return order_id in state.recent
        case Courier(), Cross():
            return state.crossings > 0
        case Purse(done=done), Mint(id=id_) | Pay(id=id_):
            return id_ in done
        case _:
            return state is not None


def recovery_finds_everything(
    chronicle: Chronicle, shard: ShardId, recovered: Recovered
) -> Findings:
    """A new owner starts from every state and every row that was committed."""
    found = set(recovered.checkpoints)
    for (home, kind, key), state in chronicle.states.items():
        if home != shard or _is_finished(state):
            continue
        if Checkpoint(kind, key, encode(state)) not in found:
            yield f"{kind} {key} is not recovered as {state}"
    rows = {row.sequence for row in recovered.outbox}
    for home, sequence in chronicle.outbox:
        if home == shard and sequence not in rows:
            yield f"row {sequence} of shard {shard} is gone"


def _is_finished(state: State) -> bool:
    match state:
        case Order():
            return order.is_finished(state)
        case Offer():
            return offer.is_finished(state)
        case _:
            return False


def devices_hear_the_feed(
    chronicle: Chronicle, person: str, number: int, message: bytes
) -> Findings:
    """A device hears under each number what the journal has under it."""
    feed = chronicle.feeds.get(person, [])
    if not 1 <= number <= len(feed):
        yield f"{person} heard number {number} of {len(feed)}"
    elif feed[number - 1] != message:
        yield f"{person} heard {message!r} as number {number}, which is {feed[number - 1]!r}"


def devices_hear_once(chronicle: Chronicle, person: str, cursor: int, number: int) -> Findings:
    """A device that resumes hears every message once, in order."""
    del chronicle
    if number != cursor + 1:
        yield f"{person} heard number {number} after {cursor}"


def one_unfenced_tenancy(chronicle: Chronicle, shard: ShardId) -> Findings:
    """No two nodes have an unfenced tenancy of a shard."""
    holders = [node for node, tenancy in chronicle.tenancies.get(shard, ()) if _is_valid(tenancy)]
    if len(holders) > 1:
        yield f"shard {shard} is held by {' and '.join(map(str, holders))}"


def _is_valid(tenancy: Tenancy) -> bool:
    try:
        tenancy.check()
    except LeaseLost:
        return False
    return True
