"""What the documents share: JSON schemas of Structs, and the words that their docstrings hold.

A schema is what msgspec says of a type, so the documents say what decoding really checks. Structs
are named once, under `components/schemas`, and referred to.
"""

from collections.abc import Callable, Iterable, Mapping
from inspect import cleandoc
from typing import Any, TypeAliasType, get_args

import msgspec
from msgspec import Struct

type Json = dict[str, Any]
"""A part of a document, ready to be written."""

SCHEMAS = "#/components/schemas/"


def schemas(kinds: Iterable[Any]) -> tuple[list[Json], Json]:
    """Return a schema for each kind, in their order, and the components that these refer to."""
    found = msgspec.json.schema_components(list(kinds), ref_template=SCHEMAS + "{name}")
    # Defaults in them are still Python's: a tuple is a list only once it is written.
    told, components = msgspec.json.decode(msgspec.json.encode(found), type=tuple[list[Json], Json])
    return told, {name: _plain(one) for name, one in sorted(components.items())}


def members(union: TypeAliasType | type[Struct]) -> tuple[type[Struct], ...]:
    """Return the Structs of a union by its alias, or the one Struct that it is."""
    value = union.__value__ if isinstance(union, TypeAliasType) else union
    return get_args(value) or (value,)


def tag(kind: type[Struct]) -> str:
    """Return what the field `type` of a tagged Struct says."""
    return str(kind.__struct_config__.tag)


def first_sentence(text: str) -> str:
    """Return the first line of a docstring."""
    return text.partition("\n")[0]


def rest(text: str) -> str:
    """Return what a docstring says after its first line."""
    return text.partition("\n")[2].strip()


def told(kind: type[Struct]) -> str:
    """Return the docstring of a Struct."""
    return cleandoc(kind.__doc__ or "")


def resolved(schema: Json, components: Mapping[str, Json]) -> Json:
    """Return what a schema refers to, or itself."""
    ref = schema.get("$ref")
    return components[ref.removeprefix(SCHEMAS)] if ref else schema


def _plain(schema: Json) -> Json:
    """Return a schema as readers like it: its docstring without the indentation of the source."""
    if "description" in schema:
        schema["description"] = cleandoc(schema["description"])
    return schema


def spelled(schema: Json, name: Callable[[str], str] = str) -> str:
    """Return a schema in a few words: `string, 1 to 64 characters`; `name` writes a component's."""
    if "$ref" in schema:
        return name(schema["$ref"].removeprefix(SCHEMAS))
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(spelled(one, name) for one in schema["anyOf"])
    match schema.get("type"):
        case "array":
            return _spelled_array(schema, name)
        case "object":
            return _spelled_object(schema, name)
        case "string":
            return schema.get("format") or f"string{_between(schema, 'Length', ' characters')}"
        case "number" | "integer" as kind:
            return f"{kind}{_bounds(schema)}"
        case None:
            return "anything"
        case other:
            return str(other)


def _spelled_object(schema: Json, name: Callable[[str], str]) -> str:
    inside: Json = schema.get("additionalProperties") or {}
    return "object" if "properties" in schema else f"object of {spelled(inside, name)}"


def _spelled_array(schema: Json, name: Callable[[str], str]) -> str:
    if items := schema.get("prefixItems"):
        return f"[{', '.join(spelled(one, name) for one in items)}]"
    inside = spelled(schema.get("items") or {}, name)
    return f"list of {inside}{_between(schema, 'Items', '')}"


def _between(schema: Json, what: str, unit: str) -> str:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f", at least {least}{unit}"
        case None, _:
            return f", at most {most}{unit}"
        case _:
            return f", {least} to {most}{unit}"


def _bounds(schema: Json) -> str:
    named = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    told = [f"{sign} {_number(schema[name])}" for name, sign in named.items() if name in schema]
    return f" {' and '.join(told)}" if told else ""


def _number(number: float) -> str:
    """Return a bound, the largest that is exact in every language by its power."""
    return "2^53" if number == 1 << 53 else str(number)
