"""The page docs/wire.md, written from the frames and events themselves.

A test holds the file against `page()` and says how to write it anew, so that it cannot tell of a
field that is not there.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from api.asyncapi import CHANNELS, CLOSES, EVENTS, INTRODUCTION, components
from api.schemas import Json, first_sentence, members, rest, spelled, tag, told
from wire.events import AnyEvent
from wire.frames import AnyAction

RULES = """\
- Times are milliseconds since the Unix epoch, UTC. Degrees are WGS 84.
- A field with a default may be left out; fields that you do not know are to be passed over.
- Each `message` of a feed is numbered without a gap. Acknowledge by `ack`; after a reconnect say in
  `hello` which one you saw last. One that comes twice has the same number.
- Each `act` is numbered by the device, counts once however often it is sent, and is answered by
  `done` once it is committed. What was done offline is sent later, in order.
- Positions are not numbered: the latest wins, and nothing is sent again.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    found = components()
    yield from ("# On the wire", "", INTRODUCTION.strip(), "", RULES.strip(), "")
    for channel in CHANNELS:
        yield from (f"## `{channel.address}`", "", channel.told, "")
        yield f"The client sends {_listed(channel.takes)}."
        yield from (f"The server sends {_listed(channel.gives)}.", "")
    sent = dict.fromkeys(kind for channel in CHANNELS for kind in channel.takes)
    yield from _section("Frames of a client", sent, found)
    yield from _section("What a courier does", members(AnyAction), found, "The `action` of an act.")
    given = dict.fromkeys(kind for channel in CHANNELS for kind in channel.gives)
    yield from _section("Frames of the server", [one for one in given if one not in sent], found)
    yield from _section("Events", EVENTS, found, "What the `event` of a message can be.")
    parts = sorted(set(found) - _told_by_tag() - {AnyEvent.__name__})
    yield from ("## Parts", "")
    for name in parts:
        yield from _part(f"### {name}", found[name])
    yield from ("## Close codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {int(code)} | {sentence} |" for code, sentence in sorted(CLOSES.items()))


def _told_by_tag() -> set[str]:
    kinds = [*EVENTS, *members(AnyAction)]
    kinds += [kind for channel in CHANNELS for kind in (*channel.takes, *channel.gives)]
    return {kind.__name__ for kind in kinds}


def _listed(kinds: Iterable[type[Struct]]) -> str:
    return ", ".join(f"`{tag(kind)}`" for kind in kinds)


def _section(
    title: str, kinds: Iterable[type[Struct]], found: Json, sentence: str = ""
) -> Iterator[str]:
    yield from (f"## {title}", "")
    if sentence:
        yield from (sentence, "")
    for kind in kinds:
        yield from (f"### `{tag(kind)}`", "", first_sentence(told(kind)))
        yield from ("", more) if (more := rest(told(kind))) else ()
        yield from _fields(found[kind.__name__])
        yield ""


def _part(title: str, schema: Json) -> Iterator[str]:
    yield from (title, "")
    if "description" in schema:
        yield schema["description"]
    if "properties" in schema:
        yield from (*_fields(schema), "")
    else:
        yield from ("", f"{spelled(schema)}.", "")


def _fields(schema: Json) -> Iterator[str]:
    fields = {name: one for name, one in schema["properties"].items() if name != "type"}
    if not fields:
        return
    required = schema.get("required", ())
    yield from ("", "| field | what | default |", "|---|---|---|")
    for name, one in fields.items():
        default = "" if name in required else f"`{_json(one.get('default'))}`"
        yield f"| `{name}` | {spelled(one)} | {default} |"


def _json(default: object) -> str:
    return msgspec.json.encode(default).decode()
