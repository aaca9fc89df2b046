"""The search of a round once more, slowly: plain lists, every route priced whole by the rules.

It throws the same dice in the same order as the compiled search and breaks ties alike, so that both
must end with the same plan. What it prices, it asks of `schedule`.
"""

from collections.abc import Sequence
from math import inf, log

import numpy as np
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportUnknownVariableType]

from dispatch.matching.improve import CHUNK, KIN_MAX
from dispatch.matching.insertion import EVEN, EXCHANGES, KIN_SHARE, ROUTES
from dispatch.matching.problem import Problem
from dispatch.matching.schedule import cost_s, course
from dispatch.matching.snapshot import NOBODY
from dispatch.policy import Matching

type Trips = list[list[int]]

IMPOSSIBLE_S = 1e9


class Twin:
    """A plan being searched."""

    def __init__(self, p: Problem, rows: Sequence[Trips], matching: Matching, seed: int) -> None:
        self.p, self.matching = p, matching
        self.rows: list[Trips] = [[list(trip) for trip in trips] for trips in rows]
        self.dice = [1 + seed * 7_919 % places for places in (2_147_483_562, 2_147_483_398)]
        self.kin = [self.kin_of(order) for order in range(len(p.orders))]
        self.had = self.holders()
        self.idle: list[list[int]] = []
        self.after: list[list[int]] = []

    def search(self, iterations: int) -> None:
        best, best_s = self.rows, self.total_s()
        for done in range(iterations):
            if done % CHUNK == 0:
                if self.total_s() < best_s - 1e-6:
                    best, best_s = self.rows, self.total_s()
                self.idle = [self.soonest_idle(one) for one in range(len(self.p.near))]
                self.after = [self.soonest_after(one) for one in range(len(self.p.near))]
                self.deal_anew()
                if self.total_s() < best_s - 1e-6:
                    best, best_s = self.rows, self.total_s()
            before, before_s = self.rows, self.total_s()
            self.rows = [[list(trip) for trip in trips] for trips in before]
            self.had = self.holders()
            is_sound = self.change()
            change_s = self.total_s() - before_s if is_sound else inf
            heat_s = self.matching.temperature_s * (1 - done / iterations)
            if not change_s < -heat_s * log(1 - self.drawn()):
                self.rows = before
        if best_s < self.total_s() - 1e-6:
            self.rows = best

    def deal_anew(self) -> None:
        """Take an order out of every route, and put them all back, at most one into each."""
        self.had = self.holders()
        group = [order for order, courier in enumerate(self.had) if courier == NOBODY]
        for trips in self.rows:
            if trips:
                theirs = [order for trip in trips for order in trip]
                group.append(theirs[self.below(len(theirs))])
        self.take_out(group)
        leave_out_s = self.p.orders["leave_out_s"][group]
        couriers = len(self.rows)
        costs_s = np.full((len(group), couriers + len(group)), IMPOSSIBLE_S)
        costs_s[:, couriers:][np.diag_indices(len(group))] = leave_out_s
        places = dict[tuple[int, int], Trips]()
        for k, order in enumerate(group):
            for courier in self.candidates(order):
                before_s = cost_s(self.p, courier, self.rows[courier])
                for way in self.ways(courier, order):
                    added_s = cost_s(self.p, courier, way) - before_s
                    if added_s < min(costs_s[k, courier], leave_out_s[k]) - 1e-9:
                        costs_s[k, courier] = added_s
                        places[k, courier] = way
        is_chosen = np.zeros(costs_s.shape, dtype=np.bool_)
        is_chosen[linear_sum_assignment(costs_s)] = True
        for k, courier in np.argwhere(is_chosen).tolist():
            if (k, courier) in places:
                self.rows[courier] = places[k, courier]

    def drawn(self) -> float:
        self.dice[0] = 40_014 * self.dice[0] % 2_147_483_563
        self.dice[1] = 40_692 * self.dice[1] % 2_147_483_399
        return (self.dice[0] - self.dice[1]) % 2_147_483_562 / 2_147_483_562

    def below(self, count: int) -> int:
        return int(self.drawn() * count)

    def total_s(self) -> float:
        planned = {order for trips in self.rows for trip in trips for order in trip}
        left_out = [one for one in range(len(self.p.orders)) if one not in planned]
        routes_s = sum(cost_s(self.p, one, trips) for one, trips in enumerate(self.rows))
        return routes_s + float(self.p.orders["leave_out_s"][left_out].sum())

    def holder(self, order: int) -> int:
        for courier, trips in enumerate(self.rows):
            if any(order in trip for trip in trips):
                return courier
        return NOBODY

    def holders(self) -> list[int]:
        return [self.holder(order) for order in range(len(self.p.orders))]

    def kin_of(self, order: int) -> list[int]:
        orders, between_s = self.p.orders, self.p.between_restaurants
        here = orders[order]

        def apart_s(other: int) -> float:
            gap_s = abs(orders["ready_s"][other] - here["ready_s"])
            return float(gap_s + between_s[here["restaurant"], orders["restaurant"][other]])

        others = [other for other in range(len(orders)) if other != order]
        return sorted(others, key=apart_s)[:KIN_MAX]

    def soonest_idle(self, restaurant: int) -> list[int]:
        reach_s = self.p.reach_s[restaurant].tolist()
        idle = [one for one, trips in enumerate(self.rows) if not trips and reach_s[one] < inf]
        return sorted(idle, key=lambda one: reach_s[one])[: self.p.idle_max]

    def soonest_after(self, restaurant: int) -> list[int]:
        found: list[tuple[float, int]] = []
        for courier, trips in enumerate(self.rows):
            if trips:
                *_, last = course(self.p, courier, trips)
                origin = len(self.p.couriers) + trips[-1][-1]
                there_s = last.dropped_off_s[-1] + self.p.dropoff_s / 2
                there_s += float(self.p.to_restaurant[origin, restaurant])
                if there_s <= self.p.couriers["off_s"][courier]:
                    found.append((there_s, courier))
        return [courier for _, courier in sorted(found)[: self.p.after_max]]

    def change(self) -> bool:
        seed = self.below(len(self.p.orders))
        courier, kind = self.holder(seed), self.drawn()
        if courier == NOBODY or kind >= EXCHANGES + ROUTES:
            self.reinsert(self.lift_kin(seed, 1 + self.below(self.matching.removed_max)))
        elif kind >= EXCHANGES:
            group = [order for trip in self.rows[courier] for order in trip]
            self.rows[courier] = []
            self.reinsert(group)
        else:
            other = self.kin[seed][self.below(len(self.kin[seed]))] if self.kin[seed] else seed
            if self.holder(other) in {NOBODY, courier}:
                return False
            return self.exchange(seed, other, is_tail=self.drawn() < EVEN)
        return True

    def lift_kin(self, seed: int, size: int) -> list[int]:
        group = [seed]
        for other in self.kin[seed]:
            if len(group) < size and self.drawn() < KIN_SHARE:
                group.append(other)
        self.take_out(group)
        return group

    def take_out(self, group: Sequence[int]) -> None:
        for courier, trips in enumerate(self.rows):
            left = [[one for one in trip if one not in group] for trip in trips]
            self.rows[courier] = [trip for trip in left if trip]

    def reinsert(self, group: list[int]) -> None:
        while group:
            k = self.below(len(group))
            group[k], group[-1] = group[-1], group[k]
            self.insert(group.pop())

    def insert(self, order: int) -> None:
        best_s, best = float(self.p.orders["leave_out_s"][order]), None
        for courier in self.candidates(order):
            before_s = cost_s(self.p, courier, self.rows[courier])
            for way in self.ways(courier, order):
                added_s = cost_s(self.p, courier, way) - before_s
                if added_s < best_s - 1e-9:
                    best_s, best = added_s, (courier, way)
        if best is not None:
            self.rows[best[0]] = best[1]

    def candidates(self, order: int) -> list[int]:
        p, restaurant = self.p, int(self.p.orders["restaurant"][order])
        theirs = [one for one in range(len(p.orders)) if p.orders["restaurant"][one] == restaurant]
        asked = [self.had[order], *(self.holder(one) for one in theirs)]
        asked += [*p.near[restaurant].tolist(), *self.idle[restaurant], *self.after[restaurant]]
        can = (one for one in asked if one != NOBODY and not p.barred[order, one])
        return list(dict.fromkeys(one for one in can if p.reach_s[restaurant, one] < inf))

    def ways(self, courier: int, order: int) -> list[Trips]:
        """Return the routes with `order` in it, in the sequence in which places are tried."""
        trips, restaurant = self.rows[courier], self.p.orders["restaurant"]
        found: list[tuple[int, int, Trips]] = []
        place = 0
        for k, trip in enumerate(trips):
            found.append((place, 0, [*trips[:k], [order], *trips[k:]]))
            for at in range(len(trip) + 1):
                if restaurant[trip[0]] == restaurant[order]:
                    joined = [*trip[:at], order, *trip[at:]]
                    kind = 1 if at == 0 else 2
                    found.append((place + at, kind, [*trips[:k], joined, *trips[k + 1 :]]))
            place += len(trip)
        found.append((place, 0, [*trips, [order]]))
        return [way for _, _, way in sorted(found, key=lambda one: one[:2])]

    def exchange(self, one: int, other: int, *, is_tail: bool) -> bool:
        here, there = self.holder(one), self.holder(other)
        mine, theirs = self.rows[here], self.rows[there]
        k = next(at for at, trip in enumerate(mine) if one in trip)
        j = next(at for at, trip in enumerate(theirs) if other in trip)
        k_end, j_end = (len(mine), len(theirs)) if is_tail else (k + 1, j + 1)
        self.rows[here] = [*mine[:k], *theirs[j:j_end], *mine[k_end:]]
        self.rows[there] = [*theirs[:j], *mine[k:k_end], *theirs[j_end:]]
        return all(
            cost_s(self.p, courier, self.rows[courier]) < inf
            and not any(self.p.barred[one, courier] for trip in self.rows[courier] for one in trip)
            for courier in (here, there)
        )
