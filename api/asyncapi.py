"""The AsyncAPI 3 document of the two sockets, made of the frames and events of `wire`.

It is written from the server's side: what the server receives is what a client sends. A frame is
one WebSocket message, in msgpack or in JSON as the subprotocol says; the schema is the same.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from api.openapi import VERSION
from api.schemas import SCHEMAS, Json, first_sentence, members, schemas, tag, told
from wire.events import AnyEvent
from wire.frames import (
    FRAME_BYTES_MAX,
    CloseCode,
    CourierFrame,
    Message,
    Notation,
    ServerFrame,
    StreamFrame,
)

INTRODUCTION = f"""\
Two WebSockets: `/v1/courier` for couriers, `/v1/stream` for everybody else who wants to hear at
once what happens. The client speaks first, with `hello`; the server answers `welcome`, or `problem`
and a close code.

A frame is one message, at most {FRAME_BYTES_MAX} bytes from a client. Name the subprotocol
`{Notation.MSGPACK}` for msgpack in binary messages (also without one), or `{Notation.JSON}` for
JSON in text messages. permessage-deflate is refused.
"""

CLOSES: Mapping[CloseCode, str] = {
    CloseCode.DONE: "All is said; either side may end it so.",
    CloseCode.GOING_AWAY: "The client left.",
    CloseCode.PROTOCOL: "What came was not WebSocket as RFC 6455 has it.",
    CloseCode.UNSUPPORTED: "A text message under msgpack, or a binary one under JSON.",
    CloseCode.NOT_UTF8: "A text message that is not UTF-8.",
    CloseCode.TOO_LARGE: "A frame larger than a client may send.",
    CloseCode.RESTART: "The node leaves: connect to the address of `go_to`, or ask `/v1/connect`.",
    CloseCode.OVERLOADED: "The node has no room, or could not look you up in time: try another.",
    CloseCode.MALFORMED: "A frame that cannot be read, or one that does not belong there.",
    CloseCode.UNAUTHENTICATED: "The token is wrong, or has expired: get a new one, then connect.",
    CloseCode.FORBIDDEN: "The token does not open this socket or this feed.",
    CloseCode.SILENT: "Nothing was heard from the client for too long.",
    CloseCode.REPLACED: "The same device has connected again: that connection counts.",
    CloseCode.TOO_MANY: "More frames than anybody needs: wait before you connect again.",
    CloseCode.TOO_SLOW: "The client did not read: connect again and go on where you were.",
    CloseCode.MOVED: "Your shard moved to another node: connect to the address of `go_to`.",
}
"""What each close code means, and what to do."""


class Channel(Struct, frozen=True, kw_only=True):
    """One socket: its path, and the frames that come in and go out."""

    name: str
    address: str
    told: str
    takes: Sequence[type[Struct]]
    gives: Sequence[type[Struct]]


CHANNELS = (
    Channel(
        name="courier",
        address="/v1/courier",
        told="For a courier's device: his feed, his pings, and what he does.",
        takes=members(CourierFrame),
        gives=members(ServerFrame),
    ),
    Channel(
        name="stream",
        address="/v1/stream",
        told="For customers, restaurants and operations: their feed, and live positions.",
        takes=members(StreamFrame),
        gives=members(ServerFrame),
    ),
)


EVENTS = members(AnyEvent)
"""What a `message` may carry."""


def frames() -> tuple[type[Struct], ...]:
    """Return all frames, each once, what clients send first."""
    sent = [kind for channel in CHANNELS for kind in channel.takes]
    told_back = [kind for channel in CHANNELS for kind in channel.gives]
    return tuple(dict.fromkeys(sent + told_back))


def asyncapi() -> Json:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Dispatch, live", "version": VERSION, "description": INTRODUCTION},
        "defaultContentType": "application/msgpack",
        "servers": {
            "node": {
                "host": "{door}",
                "protocol": "ws",
                "description": "Any node; `GET /v1/connect` names the best one.",
                "variables": {"door": {"default": "127.0.0.1:8080"}},
            }
        },
        "channels": {one.name: _channel(one) for one in CHANNELS},
        "operations": dict([entry for one in CHANNELS for entry in _operations(one)]),
        "components": {
            "messages": {tag(kind): _message(kind) for kind in frames()},
            "schemas": components(),
        },
        "x-close-codes": {str(int(code)): sentence for code, sentence in CLOSES.items()},
    }


def components() -> Json:
    """Return the schemas of all frames and events; what a `message` carries is an `AnyEvent`."""
    told_events, found = schemas([*EVENTS, *frames()])
    found[AnyEvent.__name__] = {
        "title": AnyEvent.__name__,
        "description": "What happened, named by its field `type`.",
        "anyOf": told_events[: len(EVENTS)],
        "discriminator": {
            "propertyName": "type",
            "mapping": {tag(kind): f"{SCHEMAS}{kind.__name__}" for kind in EVENTS},
        },
    }
    found[Message.__name__]["properties"]["event"] = {"$ref": f"{SCHEMAS}{AnyEvent.__name__}"}
    return found


def _channel(channel: Channel) -> Json:
    kinds = dict.fromkeys([*channel.takes, *channel.gives])
    return {
        "address": channel.address,
        "title": channel.name,
        "description": channel.told,
        "messages": {tag(kind): {"$ref": f"#/components/messages/{tag(kind)}"} for kind in kinds},
        "bindings": {"ws": {"method": "GET"}},
    }


def _operations(channel: Channel) -> Sequence[tuple[str, Json]]:
    """Return what happens on a channel, from the server's side."""
    return (
        (f"{channel.name}_receives", _operation(channel, "receive", channel.takes)),
        (f"{channel.name}_sends", _operation(channel, "send", channel.gives)),
    )


def _operation(channel: Channel, action: str, kinds: Sequence[type[Struct]]) -> Json:
    place = f"#/channels/{channel.name}"
    return {
        "action": action,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{tag(kind)}"} for kind in kinds],
    }


def _message(kind: type[Struct]) -> Json:
    return {
        "name": tag(kind),
        "title": kind.__name__,
        "summary": first_sentence(told(kind)),
        "payload": {"$ref": f"{SCHEMAS}{kind.__name__}"},
    }
