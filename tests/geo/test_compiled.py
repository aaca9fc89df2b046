"""Kernels compile at once, and survive a cache that an older version of their module left."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

KERNEL = """
from typing import NamedTuple

from geo.compiled import compiled_for


class {argument}(NamedTuple):
    value: float


@compiled_for({argument}(1.0))
def doubled(argument):
    return {factor} * argument.value


answer = doubled({argument}(21.0))
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Loader":
    """Return what writes and imports a module with a kernel, at one path every time."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Loader(tmp_path / f"{tmp_path.name}.py")


class Loader:
    """Writes and imports one module, anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, argument: str, factor: float) -> ModuleType:
        self.path.write_text(KERNEL.format(argument=argument, factor=factor))
        importlib.invalidate_caches()
        try:
            return importlib.import_module(self.path.stem)
        finally:
            sys.modules.pop(self.path.stem, None)


def test_a_kernel_is_compiled_when_its_module_is_imported(load: Loader) -> None:
    module = load("Amount", 2.0)

    assert module.answer == 42.0
    assert len(module.doubled.signatures) == 1


def test_a_kernel_refuses_other_types_instead_of_compiling_again(load: Loader) -> None:
    module = load("Share", 2.0)

    with pytest.raises(TypeError, match="No matching definition"):
        module.doubled("21")


def test_a_cache_that_names_a_class_of_an_older_version_is_forgotten(load: Loader) -> None:
    load("Former", 2.0)

    module = load("Latter", 20.0)

    assert module.answer == 420.0
    assert list(load.path.parent.glob("__pycache__/*.nbi"))
