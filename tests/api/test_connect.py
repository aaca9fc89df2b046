"""Connecting: whoever asks is sent to the best door for the place where he is."""

from collections.abc import Sequence

from api.connect import connect
from api.ports import Door
from dispatch.ids import ShardId
from dispatch.lease import NodeId
from tests.api.stage import CENTRE, SHARD, on_stage


class TwoDoors:
    """A cluster of two nodes, of which the second has the shard."""

    def best(self, shard: ShardId | None) -> Sequence[Door]:
        one = Door(node=NodeId("node-1"), address="10.0.0.1:80", load=0.0)
        two = Door(node=NodeId("node-2"), address="10.0.0.2:80", load=0.5)
        return (two, one) if shard == SHARD else (one, two)


class NoDoors:
    """A cluster that has just begun."""

    def best(self, shard: ShardId | None) -> Sequence[Door]:
        del shard
        return ()


async def test_a_courier_is_sent_to_the_node_that_has_his_shard(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [connect], doors=TwoDoors()) as stage:
        here = await stage.asked("GET", f"/v1/connect?lat={CENTRE.lat}&lng={CENTRE.lng}")
        anywhere = await stage.asked("GET", "/v1/connect")
        at_sea = await stage.asked("GET", "/v1/connect?lat=0&lng=0")

    assert here[1]["market_id"] == "copenhagen"
    assert here[1]["doors"][0] == {
        "node": "node-2",
        "http": "http://10.0.0.2:80",
        "courier": "ws://10.0.0.2:80/v1/courier",
        "stream": "ws://10.0.0.2:80/v1/stream",
    }
    for told in (anywhere, at_sea):
        assert told[1]["market_id"] is None
        assert [one["node"] for one in told[1]["doors"]] == ["node-1", "node-2"]


async def test_half_a_place_is_no_place_and_no_door_is_told_so(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [connect], doors=NoDoors()) as stage:
        half = await stage.asked("GET", "/v1/connect?lat=55")
        off = await stage.asked("GET", "/v1/connect?lat=155&lng=0")
        none = await stage.asked("GET", "/v1/connect")

    assert [one[0] for one in (half, off, none)] == [422, 422, 503]
    assert none[1]["retryable"] is True


async def test_who_comes_by_tls_is_sent_on_by_tls(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [connect]) as stage:
        secure = await stage.asked("GET", "/v1/connect", scheme="https")
        plain = await stage.asked("GET", "/v1/connect", {"X-Forwarded-Proto": "https"})

    (door,) = secure[1]["doors"]
    assert (door["http"], door["stream"]) == ("https://127.0.0.1:1", "wss://127.0.0.1:1/v1/stream")
    assert door["courier"].startswith("wss://")
    assert plain[1]["doors"][0]["http"] == "http://127.0.0.1:1"
