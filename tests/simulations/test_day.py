"""What a recorder makes of what it is told."""

import pytest
from msgspec import json

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, after
from simulations import day as days
from simulations.day import Day, DayRecorder, DayTooLong, OrderRecord, Outcome, Setting, Tally

START = Instant(1_000_000_000)
ORDER, COURIER = OrderId("ord_1"), CourierId("crr_1")


def a_recorder(*placed: str) -> DayRecorder:
    recorder = DayRecorder(Setting(city="A", policy="insert", seed=1, starts_at=START))
    for order_id in placed:
        recorder.place(an_order(order_id))
    return recorder


def an_order(order_id: str) -> OrderRecord:
    return OrderRecord(
        order_id=OrderId(order_id),
        restaurant_id=RestaurantId("rst_1"),
        x_m=0.0,
        y_m=0.0,
        placed_at=START,
        promised_at=after(START, 1_800),
    )


def closed(recorder: DayRecorder) -> Day:
    return recorder.day(after(START, 7_200), (), wall_s=1.0, cpu_s=1.0)


def test_a_delivered_order_keeps_all_its_instants() -> None:
    recorder = a_recorder("ord_1")

    recorder.assign(ORDER, COURIER, after(START, 10))
    recorder.ready(ORDER, after(START, 600))
    recorder.pick_up(ORDER, after(START, 700))
    recorder.deliver(ORDER, after(START, 1_500))

    order = closed(recorder).orders[0]
    assert order.outcome is Outcome.DELIVERED
    assert order.courier_id == COURIER
    instants = (order.assigned_at, order.ready_at, order.picked_up_at, order.delivered_at)
    assert instants == tuple(after(START, seconds) for seconds in (10, 600, 700, 1_500))


def test_the_tally_counts_what_has_happened_so_far() -> None:
    recorder = a_recorder("ord_1", "ord_2", "ord_3", "ord_4")

    recorder.assign(ORDER, COURIER, START)
    recorder.pick_up(ORDER, START)
    recorder.deliver(ORDER, after(START, 2_000))
    recorder.assign(OrderId("ord_2"), COURIER, START)
    recorder.close(OrderId("ord_3"), Outcome.STARVED)

    assert recorder.tally == Tally(
        placed=4,
        open_orders=2,
        waiting=1,
        delivered=1,
        late=1,
        lost=1,
        click_to_door_s_mean=2_000.0,
    )


def test_an_order_that_lost_its_courier_waits_again_however_often_that_is_said() -> None:
    recorder = a_recorder("ord_1")
    recorder.assign(ORDER, COURIER, START)

    recorder.unassign(ORDER)
    recorder.unassign(ORDER)

    assert recorder.tally.waiting == 1
    assert closed(recorder).orders[0].assigned_at is None


def test_a_reassigned_order_waits_no_more_than_before() -> None:
    recorder = a_recorder("ord_1")
    recorder.assign(ORDER, COURIER, START)

    recorder.assign(ORDER, CourierId("crr_2"), after(START, 60))

    assert recorder.tally.waiting == 0
    assert closed(recorder).orders[0].courier_id == "crr_2"


def test_a_sample_counts_the_orders_itself() -> None:
    recorder = a_recorder("ord_1", "ord_2")
    recorder.assign(ORDER, COURIER, START)

    recorder.sample(after(START, 300), on_shift=5, busy=1, quiet=0)

    (sample,) = recorder.samples
    assert (sample.open_orders, sample.waiting, sample.on_shift, sample.busy) == (2, 1, 5, 1)


@pytest.mark.parametrize("outcome", [Outcome.OPEN, Outcome.DELIVERED])
def test_an_order_cannot_be_closed_as_open_or_delivered(outcome: Outcome) -> None:
    recorder = a_recorder("ord_1")

    with pytest.raises(AssertionError, match="does not close"):
        recorder.close(ORDER, outcome)


def test_an_ended_order_cannot_end_again() -> None:
    recorder = a_recorder("ord_1")
    recorder.close(ORDER, Outcome.CANCELED)

    with pytest.raises(AssertionError, match="already"):
        recorder.close(ORDER, Outcome.STARVED)


def test_an_order_cannot_be_picked_up_before_it_was_assigned() -> None:
    recorder = a_recorder("ord_1")
    recorder.assign(ORDER, COURIER, after(START, 60))

    with pytest.raises(AssertionError, match="before it was assigned"):
        recorder.pick_up(ORDER, START)


def test_a_day_with_too_many_orders_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "ORDERS_MAX", 1)
    recorder = a_recorder("ord_1")

    with pytest.raises(DayTooLong, match="simulate fewer"):
        recorder.place(an_order("ord_2"))


def test_a_day_can_be_written_down_and_read_again(evening: Day) -> None:
    written = json.encode(evening)

    assert json.decode(written, type=Day) == evening
