"""Rules that every endpoint follows, held against all that are served."""

import ast
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from api import access
from api.endpoint import Endpoint
from api.nouns import NOUNS
from api.openapi import path_names
from api.replies import STATUS, TITLE
from dispatch.step import Code

ENDPOINTS = [endpoint for noun in NOUNS for endpoint in noun.declared]
PUBLIC = {"name", "market_id"}
"""Variables of paths that name what everybody may see: a machine, a market."""
ASKED_WITH_THE_TENANT = {"api.accounts"}
"""Whose objects a service gives out to their own tenant only."""


def module_of(endpoint: Endpoint) -> ModuleType:
    """The module that declares an endpoint."""
    module = inspect.getmodule(endpoint.act)
    assert module is not None
    return module


@cache
def functions(module: ModuleType) -> dict[str, ast.AST]:
    """The functions of a module by their names."""
    tree = ast.parse(inspect.getsource(module))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def touched(module: ModuleType, name: str, seen: set[tuple[str, str]]) -> Iterator[object]:
    """What a function names, and what the functions of `api` name that it calls."""
    if (module.__name__, name) in seen or name not in functions(module):
        return
    seen.add((module.__name__, name))
    for node in ast.walk(functions(module)[name]):
        if isinstance(node, ast.Name) and node.id in vars(module):
            value = vars(module)[node.id]
            yield value
            if inspect.isfunction(value) and value.__module__.startswith("api."):
                yield from touched(sys.modules[value.__module__], value.__name__, seen)


def goes_through_access(endpoint: Endpoint) -> bool:
    """Tell whether an endpoint, or what `api` does for it, asks `api.access`."""
    return any(
        value is access or (inspect.isfunction(value) and value.__module__ == access.__name__)
        for value in touched(module_of(endpoint), endpoint.name, set())
    )


def test_every_endpoint_that_names_an_object_gets_it_from_access() -> None:
    named = [one for one in ENDPOINTS if set(path_names(one.path)) - PUBLIC]

    around = [
        f"{module_of(one).__name__}.{one.name}"
        for one in named
        if module_of(one).__name__ not in ASKED_WITH_THE_TENANT and not goes_through_access(one)
    ]

    assert len(named) > 20
    assert around == []


def test_every_endpoint_says_in_a_sentence_what_it_does() -> None:
    silent = [
        one.name
        for one in ENDPOINTS
        if not re.match(r"[A-Z][^\n]{8,}[.:]", one.told.partition("\n")[0])
    ]

    assert silent == []


def test_no_two_endpoints_share_a_name_or_a_place() -> None:
    names = Counter(one.name for one in ENDPOINTS)
    places = Counter((one.verb, one.path) for one in ENDPOINTS)

    assert [name for name, count in names.items() if count > 1] == []
    assert [place for place, count in places.items() if count > 1] == []


def test_every_refusal_has_a_status_and_every_status_a_title() -> None:
    assert set(STATUS) == set(Code)
    assert set(TITLE) == set(STATUS.values())
