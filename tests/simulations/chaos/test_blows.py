"""Which blows a run deals: the sorts that were asked for, the same for the same seed."""

from collections import Counter
from random import Random

from simulations.chaos.blows import WEIGHTS, Blow, Harm, blows


def test_twenty_blows_have_each_sort_as_often_as_it_weighs() -> None:
    dealt = blows(Harm(), Random(1))

    assert Counter(dealt) == WEIGHTS
    assert len(dealt) == 20


def test_only_what_may_be_harmed_is_struck() -> None:
    dealt = blows(Harm(nodes=False, redis=True, postgres=False, stalls=False), Random(1))

    assert set(dealt) == {Blow.KILL_REDIS}


def test_the_same_seed_deals_the_same_blows() -> None:
    assert blows(Harm(), Random(7)) == blows(Harm(), Random(7))
    assert blows(Harm(), Random(7)) != blows(Harm(), Random(8))
