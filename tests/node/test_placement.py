"""Shards are spread fairly over the nodes that live, and no more of them move than have to."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from dispatch.ids import ShardId
from dispatch.lease import LeaseRow, NodeId, NodeRow, View
from node.placement import (
    GAP_SHARE_MAX,
    SHARE_MAX,
    SHARE_MIN,
    WEIGHT_MIN,
    Decision,
    Patience,
    Standing,
    decided,
    placed,
    rank,
)

ANN, BOB, CAT = NodeId("ann"), NodeId("bob"), NodeId("cat")
PATIENCE = Patience(grace_s=2.0, settled_s=1.0, hand_overs_max=2)
HOUR_S = 3600.0

type Owners = Mapping[ShardId, NodeId]

loads = st.lists(st.floats(0, 1), max_size=40)
node_counts = st.integers(1, 8)


def nodes(count: int) -> list[NodeRow]:
    return [alive(NodeId(f"node{at}")) for at in range(count)]


def alive(node: NodeId) -> NodeRow:
    return NodeRow(node=node, address="", version="")


def dead(node: NodeId) -> NodeRow:
    return NodeRow(node=node, address="", version="", is_alive=False)


def leaving(node: NodeId) -> NodeRow:
    return NodeRow(node=node, address="", version="", is_leaving=True)


def leases(of: Sequence[float], owners: Owners | None = None) -> list[LeaseRow]:
    return [
        LeaseRow(shard=ShardId(at), node=(owners or {}).get(ShardId(at)), left_s=1.0, load=load)
        for at, load in enumerate(of)
    ]


def free(shard: int, for_s: float = 0.0) -> LeaseRow:
    return LeaseRow(shard=ShardId(shard), left_s=-for_s)


def held(shard: int, node: NodeId, left_s: float = 2.0) -> LeaseRow:
    return LeaseRow(shard=ShardId(shard), node=node, left_s=left_s)


def borne(rows: Sequence[LeaseRow], hosts: Sequence[NodeRow], owners: Owners) -> list[float]:
    weights = {host.node: 0.0 for host in hosts}
    for row in rows:
        weights[owners[row.shard]] += WEIGHT_MIN + row.load
    return list(weights.values())


def moved(before: Owners, after: Owners) -> list[ShardId]:
    return [shard for shard, node in before.items() if after[shard] != node]


def settled(of: Sequence[float], hosts: Sequence[NodeRow]) -> Owners:
    """Return where shards of these loads come to rest, from nowhere."""
    return placed(leases(of), hosts)


def test_without_a_living_node_nothing_is_placed() -> None:
    assert placed(leases([0.1, 0.2]), [dead(ANN), leaving(BOB)]) == {}


def test_a_rank_is_the_same_for_ever() -> None:
    assert rank(ANN, ShardId(7)) == 0xA708F271B96858E5


@given(loads, node_counts)
def test_every_shard_has_a_place_and_the_order_of_the_rows_does_not_matter(
    of: list[float], count: int
) -> None:
    rows, hosts = leases(of), nodes(count)

    owners = placed(rows, hosts)

    assert set(owners) == {row.shard for row in rows}
    assert placed(rows[::-1], hosts[::-1]) == owners


@given(st.integers(0, 60), node_counts)
def test_equal_shards_are_spread_evenly(shards: int, count: int) -> None:
    owners = settled([0.0] * shards, nodes(count))

    counts = [list(owners.values()).count(node.node) for node in nodes(count)]
    assert max(counts) - min(counts) <= 1


@given(loads, st.data(), node_counts)
def test_nobody_bears_more_than_fair_unless_no_move_would_help(
    of: list[float], draw: st.DataObject, count: int
) -> None:
    hosts = nodes(count)
    start = {ShardId(at): draw.draw(st.sampled_from(hosts)).node for at in range(len(of))}
    rows = leases(of, start)

    owners = placed(rows, hosts)

    weights = borne(rows, hosts, owners)
    most, least = max(weights), min(weights)
    fair = sum(weights) / count
    is_level = most <= SHARE_MAX * fair + 1e-6 and least >= SHARE_MIN * fair - 1e-6
    heaviest = {host.node: weight for host, weight in zip(hosts, weights, strict=True)}
    movable = [
        WEIGHT_MIN + row.load
        for row in rows
        if heaviest[owners[row.shard]] >= most - 1e-6
        and WEIGHT_MIN + row.load < GAP_SHARE_MAX * (most - least) - 1e-6
    ]
    assert is_level or not movable


@given(st.integers(0, 60), st.integers(1, 7))
def test_a_node_that_joins_takes_its_part_and_nothing_else_moves(shards: int, count: int) -> None:
    even = [0.0] * shards
    before = settled(even, nodes(count))

    after = placed(leases(even, before), nodes(count + 1))

    newest = nodes(count + 1)[-1].node
    taken = moved(before, after)
    assert {after[shard] for shard in taken} <= {newest}
    assert len(taken) <= -(-shards // (count + 1))


@given(st.integers(0, 60), st.integers(2, 8))
def test_only_the_shards_of_a_node_that_goes_move(shards: int, count: int) -> None:
    even = [0.0] * shards
    before = settled(even, nodes(count))

    after = placed(leases(even, before), nodes(count)[:-1])

    gone = nodes(count)[-1].node
    assert {before[shard] for shard in moved(before, after)} <= {gone}


@given(loads, node_counts, st.data())
def test_small_changes_of_load_move_shards_at_most_once(
    of: list[float], count: int, draw: st.DataObject
) -> None:
    hosts = nodes(count)
    other = [load * draw.draw(st.floats(0.9, 1.1)) for load in of]
    owners = settled(of, hosts)
    for wave in (other, of):
        owners = placed(leases(wave, owners), hosts)

    waves = [placed(leases(wave, owners), hosts) for wave in (other, of)]

    assert waves == [owners, owners]


@given(loads, node_counts)
def test_shards_that_are_handed_over_are_not_taken_back(of: list[float], count: int) -> None:
    before = settled(of, nodes(count))
    plan = placed(leases(of, before), nodes(count + 1))
    movers = moved(before, plan)[: Patience().hand_overs_max]

    between = {shard: node for shard, node in before.items() if shard not in movers}
    then = placed(leases(of, between), nodes(count + 1))

    assert all(then[shard] != before[shard] for shard in movers)


def test_a_node_claims_what_is_free_and_placed_on_it() -> None:
    view = View((alive(ANN), alive(BOB)), (free(1), free(2)))

    claims = [decided(view, Standing(node=node), PATIENCE).claims for node in (ANN, BOB)]

    assert sorted(claims) == [(ShardId(1),), (ShardId(2),)]


def test_a_node_claims_what_ran_out_or_belongs_to_the_dead() -> None:
    rows = (held(1, BOB, left_s=-0.1), held(2, BOB), held(3, CAT), held(4, NodeId("unknown")))
    view = View((alive(ANN), dead(BOB), leaving(CAT)), rows)

    decision = decided(view, Standing(node=ANN), PATIENCE)

    assert decision == Decision(claims=(ShardId(1), ShardId(2), ShardId(4)))


def test_a_shard_that_nobody_takes_is_taken_after_a_grace_wherever_it_belongs() -> None:
    for_s = {1: 1.9, 2: 2.1, 3: 1.9, 4: 2.1}
    view = View((alive(ANN), alive(BOB)), tuple(free(*lease) for lease in for_s.items()))
    owners = placed(view.leases, view.nodes)

    claims = decided(view, Standing(node=ANN), PATIENCE).claims

    late = {shard for shard in owners if for_s[shard] > PATIENCE.grace_s}
    assert set(claims) == late | {shard for shard, node in owners.items() if node == ANN}
    assert set(claims) != set(owners)


def test_a_node_does_not_claim_what_it_runs_or_has_yet_to_let_go() -> None:
    view = View((alive(ANN),), (held(1, ANN), held(2, ANN, left_s=-HOUR_S), free(3, for_s=HOUR_S)))
    standing = Standing(node=ANN, hosted=frozenset({ShardId(1), ShardId(3)}))

    assert decided(view, standing, PATIENCE).claims == ()


def test_a_node_that_leaves_claims_nothing() -> None:
    view = View((leaving(ANN),), (free(1, for_s=HOUR_S),))

    assert decided(view, Standing(node=ANN, is_leaving=True), PATIENCE) == Decision()


def test_a_shard_that_another_has_is_lost() -> None:
    view = View((alive(ANN), alive(BOB)), (held(1, BOB), free(2)))
    standing = Standing(node=ANN, hosted=frozenset({ShardId(1), ShardId(2)}))

    decision = decided(view, standing, PATIENCE)

    assert decision.losses == (ShardId(1), ShardId(2))


def test_a_node_hands_over_a_few_at_a_time_to_one_it_has_seen_for_a_while() -> None:
    hosted = frozenset(map(ShardId, range(8)))
    view = View((alive(ANN), alive(BOB)), tuple(held(shard, ANN) for shard in range(8)))
    at_first = Standing(node=ANN, hosted=hosted, seen_s={ANN: HOUR_S, BOB: 0.9})
    later = Standing(node=ANN, hosted=hosted, seen_s={ANN: HOUR_S, BOB: 1.1})

    decisions = [decided(view, standing, PATIENCE) for standing in (at_first, later)]

    assert [len(decision.hand_overs) for decision in decisions] == [0, PATIENCE.hand_overs_max]


def test_what_is_being_handed_over_counts_against_the_limit() -> None:
    hosted = frozenset(map(ShardId, range(8)))
    view = View((alive(ANN), alive(BOB)), tuple(held(shard, ANN) for shard in range(8)))
    plan = placed(view.leases, view.nodes)
    first = next(shard for shard, node in plan.items() if node == BOB)
    standing = Standing(node=ANN, hosted=hosted, stopping=frozenset({first}), seen_s={BOB: HOUR_S})

    hand_overs = decided(view, standing, PATIENCE).hand_overs

    assert len(hand_overs) == PATIENCE.hand_overs_max - 1
    assert first not in hand_overs
