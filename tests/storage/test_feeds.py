"""Feed messages sorted by person get the numbers that they would get one by one."""

from hypothesis import given
from hypothesis import strategies as st

from dispatch.journal import FeedRow
from storage.feeds import Feeds

PERSONS = st.sampled_from(["ann", "bob", "cid", "dan"])


@given(persons=st.lists(PERSONS, max_size=30), heads=st.dictionaries(PERSONS, st.integers(0, 99)))
def test_numbers_are_those_of_a_counter_for_each_person(
    persons: list[str], heads: dict[str, int]
) -> None:
    feeds = Feeds([FeedRow(person, b"x") for person in persons])
    names, counts, *_ = feeds.columns()
    newest = [heads.get(name, 0) + count for name, count in zip(names, counts, strict=True)]

    numbers = feeds.numbers(newest)

    counters = dict(heads)
    expected: list[int] = []
    for person in persons:
        counters[person] = counters.get(person, 0) + 1
        expected.append(counters[person])
    assert list(numbers) == expected
    assert names == sorted(set(persons))
