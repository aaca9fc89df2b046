"""Rows and columns paired at the least cost in all, compiled: the assignment problem, sparse.

A row is paired with one of the columns it has an arc to, or stays alone at a price of its own; a
column takes one row at most. Rows come in one after the other, each along the shortest path of
exchanges that makes room for it, by Dijkstra's algorithm over reduced costs as Jonker and Volgenant
(1987) have it. Most rows find a free column at once, so a thousand of them take less than a
millisecond. Ties are broken by the order of the arcs.
"""

from typing import NamedTuple

import numpy as np

from dispatch.matching.compiled import compiled
from dispatch.matching.snapshot import NOBODY, Bools, Floats, Ints


class Arcs(NamedTuple):
    """R rows and what their pairs cost: E arcs, those of one row together."""

    first: Ints
    """(R + 1,) where the arcs of each row begin."""
    row: Ints
    """(E,)"""
    column: Ints
    """(E,)"""
    cost_s: Floats
    """(E,)"""
    alone_s: Floats
    """(R,) what it costs to leave a row alone."""


class _Pairs(NamedTuple):
    """What is paired so far, and the tree of the paths that are looked at. K columns."""

    price_s: Floats
    """(K,) what a column is worth to those who want it, never above nothing."""
    row_of: Ints
    """(K,)"""
    arc_of: Ints
    """(R,)"""
    far_s: Floats
    """(K,) how far a column is from the row that comes in,"""
    by: Ints
    """(K,) and the last arc on the way there."""
    seen: Ints
    """(K,) the columns that have been reached, the settled ones first."""
    is_settled: Bools
    """(K,)"""


@compiled
def cheapest_pairs(arcs: Arcs, columns: int) -> Ints:
    """Return (R,) the arc by which each row is paired, NOBODY where it stays alone."""
    rows = arcs.alone_s.shape[0]
    pairs = _Pairs(
        price_s=np.zeros(columns),
        row_of=np.full(columns, NOBODY),
        arc_of=np.full(rows, NOBODY),
        far_s=np.full(columns, np.inf),
        by=np.full(columns, NOBODY),
        seen=np.zeros(columns, dtype=np.int64),
        is_settled=np.zeros(columns, dtype=np.bool_),
    )
    for row in range(rows):
        _let_in(arcs, pairs, row)
    return pairs.arc_of


@compiled
def _let_in(arcs: Arcs, pairs: _Pairs, begin: int) -> None:
    """Pair one more row, along the shortest path to a free column or to a row left alone."""
    row, behind_s = begin, 0.0
    reached = settled = 0
    end_s, last_row, last_column = np.inf, NOBODY, NOBODY
    while True:
        if arcs.alone_s[row] - behind_s < end_s:
            end_s, last_row, last_column = arcs.alone_s[row] - behind_s, row, NOBODY
        for arc in range(arcs.first[row], arcs.first[row + 1]):
            column = arcs.column[arc]
            far_s = arcs.cost_s[arc] - pairs.price_s[column] - behind_s
            # What is settled stays so, whatever the rounding of sums says.
            if far_s >= min(end_s, pairs.far_s[column]) or pairs.is_settled[column]:
                continue
            if pairs.by[column] == NOBODY:
                pairs.seen[reached] = column
                reached += 1
            pairs.far_s[column], pairs.by[column] = far_s, arc
            if pairs.row_of[column] == NOBODY:
                end_s, last_column = far_s, column
        place = _nearest(pairs, settled, reached, end_s)
        if place == NOBODY:
            break
        column = pairs.seen[place]
        pairs.seen[place], pairs.seen[settled] = pairs.seen[settled], column
        pairs.is_settled[column] = True
        settled += 1
        row = int(pairs.row_of[column])
        behind_s = arcs.cost_s[pairs.arc_of[row]] - pairs.price_s[column] - pairs.far_s[column]
    for place in range(settled):
        column = pairs.seen[place]
        pairs.price_s[column] += pairs.far_s[column] - end_s
    _exchange(arcs, pairs, begin, last_row, last_column)
    for place in range(reached):
        column = pairs.seen[place]
        pairs.far_s[column], pairs.by[column] = np.inf, NOBODY
        pairs.is_settled[column] = False


@compiled
def _nearest(pairs: _Pairs, settled: int, reached: int, end_s: float) -> int:
    """Return the place among those seen of the nearest column not settled, if before the end."""
    nearest, nearest_s = NOBODY, end_s
    for place in range(settled, reached):
        if pairs.far_s[pairs.seen[place]] < nearest_s:
            nearest, nearest_s = place, pairs.far_s[pairs.seen[place]]
    return nearest


@compiled
def _exchange(arcs: Arcs, pairs: _Pairs, begin: int, last_row: int, last_column: int) -> None:
    """Give every row on the path its next column, from the end of the path to its beginning."""
    column = last_column
    if column == NOBODY:
        arc = pairs.arc_of[last_row]
        pairs.arc_of[last_row] = NOBODY
        if last_row == begin:
            return
        column = arcs.column[arc]
    row = NOBODY
    while row != begin:
        arc = pairs.by[column]
        row = arcs.row[arc]
        before = pairs.arc_of[row]
        pairs.arc_of[row], pairs.row_of[column] = arc, row
        column = arcs.column[before] if before != NOBODY else NOBODY
