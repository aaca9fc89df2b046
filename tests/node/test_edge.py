"""The edge of a node that leaves: its devices are told where to go on, and nothing is missing."""

import signal

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from cli.equipment import secret
from dispatch.ids import DeviceId
from node.accounts import account_service, bootstrap
from node.config import Config
from node.fleet import Fleet, Member
from node.stores import Stores, stored
from services.accounts.people import NewPerson
from services.accounts.principal import Role
from wire.frames import CloseCode, GoTo, Hello, Notation, ServerFrame, Welcome

PERSON = "usr_dora"


async def a_token(stores: Stores, cluster_secret: str) -> str:
    """Return the token of a customer of a tenant that is made for it."""
    service = account_service(
        stores.database, stores.redis, cluster=stores.cluster, secret=cluster_secret
    )
    await service.opening()
    tenant = await bootstrap(service, "tested")
    person = NewPerson(role=Role.CUSTOMER, name="Dora")
    await service.people.create(tenant.tenant_id, person, user_id=PERSON)
    return (await service.sign_in.token_for(tenant.tenant_id, PERSON)).access_token


def door(member: Member) -> str:
    """Return where a node serves clients."""
    assert member.announcement is not None
    return member.announcement.door


async def listen(
    socket: WebSocketConnection, heard: list[ServerFrame], process: trio.Process
) -> None:
    """Note what is heard; once welcome, have the node leave."""
    while True:
        frame = msgspec.json.decode(await socket.get_message(), type=ServerFrame)
        heard.append(frame)
        if isinstance(frame, Welcome):
            process.send_signal(signal.SIGTERM)


@pytest.mark.slow
async def test_a_node_that_leaves_sends_its_devices_to_another(
    database: str, redis_url: str
) -> None:
    config = Config(database_url=database, redis_url=redis_url, cluster_secret=secret())
    assert config.cluster_secret is not None
    heard: list[ServerFrame] = []

    with trio.fail_after(90):
        async with stored(config) as stores, trio.open_nursery() as nursery:
            fleet = Fleet(config, 2)
            nursery.start_soon(fleet.run)
            await fleet.ready()
            leaving, staying = fleet.members
            token = await a_token(stores, config.cluster_secret)
            host, _, port = door(leaving).partition(":")
            # The stream is ours to close: the client leaves it open when the server closes first.
            stream = await trio.open_tcp_stream(host, int(port))
            socket = await wrap_client_stream(
                nursery, stream, door(leaving), "/v1/stream", subprotocols=[Notation.JSON]
            )
            hello = Hello(token=token, device_id=DeviceId("dev_1"))
            await socket.send_message(msgspec.json.encode(hello).decode())
            with pytest.raises(ConnectionClosed) as closed:
                await listen(socket, heard, leaving.process)
            await trio.aclose_forcefully(stream)
            expected = door(staying)
            fleet.leave()

    directions = [frame for frame in heard if isinstance(frame, GoTo)]
    assert [one.address for one in directions] == [expected]
    assert closed.value.reason is not None
    assert closed.value.reason.code == CloseCode.RESTART
