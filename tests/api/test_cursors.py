"""A cursor stands for a place in one list, and whatever else is sent is refused by name."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import cursor, key_of, number_of, page
from api.replies import Declined

KEYS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)


@given(KEYS)
def test_a_cursor_gives_its_key_back(key: str) -> None:
    assert key_of("orders", cursor("orders", key)) == key


@given(st.text(min_size=1, max_size=80))
def test_whatever_is_made_up_is_refused(given_: str) -> None:
    with pytest.raises(Declined) as refusal:
        key_of("orders", given_)

    assert refusal.value.flaws[0].pointer == "?/after"


@given(KEYS, st.integers(0, 100), st.characters(codec="ascii"))
def test_a_changed_cursor_gives_no_other_key(key: str, place: int, letter: str) -> None:
    whole = cursor("orders", key)
    at = place % len(whole)
    changed = whole[:at] + letter + whole[at + 1 :]

    try:
        found = key_of("orders", changed)
    except Declined:
        return

    assert found == key


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(Declined):
        key_of("orders", cursor("deliveries", "ord_1"))


@pytest.mark.parametrize("key", ["a'; drop table orders", "a\x00b", "", "x" * 129])
def test_a_forged_key_that_no_list_has_is_refused(key: str) -> None:
    with pytest.raises(Declined):
        key_of("orders", cursor("orders", key))


@pytest.mark.parametrize("key", ["ord_1", "-1", "9" * 19, "٣"])
def test_a_forged_number_is_refused(key: str) -> None:
    with pytest.raises(Declined):
        number_of("events", cursor("events", key))


@pytest.mark.parametrize(
    ("count", "shown", "next_cursor"),
    [(0, 0, None), (2, 2, None), (3, 2, cursor("orders", "ord_1"))],
)
def test_a_page_says_whether_there_is_more(count: int, shown: int, next_cursor: str | None) -> None:
    found = [f"ord_{at}" for at in range(count)]

    told = page("orders", found, 2, str, str)

    assert len(told.items) == shown
    assert told.has_more is (next_cursor is not None)
    assert told.next_cursor == next_cursor
