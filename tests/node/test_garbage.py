"""How much a node's collector looks at: a little at a time, and survivors never again."""

import gc
from collections.abc import Iterator

import pytest

from node.garbage import YOUNG_MAX, set_survivors_aside


@pytest.fixture
def collected() -> Iterator[None]:
    """Leave the collector of this process as it was."""
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*threshold)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


@pytest.mark.usefixtures("collected")
def test_the_young_are_looked_at_before_there_are_many_of_them() -> None:
    set_survivors_aside()
    kept = [[number] for number in range(3 * YOUNG_MAX)]

    young = gc.get_count()[0]

    assert len(kept) == 3 * YOUNG_MAX
    assert young <= YOUNG_MAX


@pytest.mark.usefixtures("collected")
def test_what_outlived_a_full_collection_is_not_looked_at_again() -> None:
    set_survivors_aside()
    set_survivors_aside()
    kept = [[number] for number in range(100)]
    frozen = gc.get_freeze_count()

    gc.collect(1)
    early = gc.get_freeze_count()
    gc.collect()

    assert early == frozen
    assert gc.get_freeze_count() >= frozen + len(kept)
    assert not any(one is kept for one in gc.get_objects())
