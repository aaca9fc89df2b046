"""Stations: every street that a vehicle may use is cut up, and nothing is lost by it."""

from collections import Counter

import numpy as np
import pytest

from geo.projection import Projection
from streets.roads import Vehicle
from streets.routing import BadGraph
from streets.stations import STEP_M, stations
from tests.streets.lattices import CENTRE, lattice, untidy


def test_no_part_is_longer_than_a_step_and_together_they_are_the_street() -> None:
    network = lattice(4, block_m=250.0)

    cut = stations(network, Vehicle.BICYCLE)

    assert cut.metres.max() <= STEP_M
    assert np.bincount(cut.arc, cut.metres) == pytest.approx(network.length_m)
    free_s = network.seconds_by(Vehicle.BICYCLE)
    assert np.bincount(cut.arc, cut.seconds) == pytest.approx(free_s, rel=1e-5)


def test_parts_are_as_long_on_the_plane_as_they_say() -> None:
    cut = stations(lattice(5, tagged=untidy(3)), Vehicle.CAR)
    points = Projection(CENTRE).to_points(cut.lat, cut.lng)

    gaps_m = np.hypot(*(points[cut.graph.heads] - points[cut.graph.tails]).T)

    assert gaps_m == pytest.approx(cut.metres, rel=1e-3)


def test_there_and_back_pass_the_same_stations() -> None:
    cut = stations(lattice(3, block_m=250.0), Vehicle.WALK)

    forth = Counter(zip(cut.graph.tails.tolist(), cut.graph.heads.tolist(), strict=True))
    back = Counter(zip(cut.graph.heads.tolist(), cut.graph.tails.tolist(), strict=True))

    assert forth == back
    assert len(cut.lat) == 9 + 12 * 2


def test_the_parts_of_an_arc_lead_from_its_tail_to_its_head() -> None:
    network = lattice(5, block_m=330.0, tagged=untidy(8))
    cut = stations(network, Vehicle.CAR)

    for arc in np.unique(cut.arc).tolist():
        parts = np.flatnonzero(cut.arc == arc)
        tails, heads = cut.graph.tails[parts], cut.graph.heads[parts]
        ends = [cut.lat[tails[0]], cut.lng[tails[0]], cut.lat[heads[-1]], cut.lng[heads[-1]]]
        tail, head = network.tail[arc], network.head[arc]
        assert ends == [network.lat[tail], network.lng[tail], network.lat[head], network.lng[head]]
        assert tails[1:].tolist() == heads[:-1].tolist()


def test_a_street_that_is_shut_to_a_vehicle_has_no_station_of_it() -> None:
    network = lattice(4, tagged=untidy(5))

    walked, driven = stations(network, Vehicle.WALK), stations(network, Vehicle.CAR)

    assert set(driven.arc) == set(np.flatnonzero(np.isfinite(network.seconds_by(Vehicle.CAR))))
    assert len(driven.lat) < len(walked.lat)


def test_a_town_of_footways_has_no_streets_for_cars() -> None:
    network = lattice(3, tagged=lambda _column, _row, _east: {"highway": "footway"})

    with pytest.raises(BadGraph, match="no road of this city is open to the vehicle 'car'"):
        stations(network, Vehicle.CAR)
