"""Small plots made of characters: sparks, hills, bars and a map of braille dots.

Each function returns plain strings of exactly the asked width, so that a caller may lay them out
and colour them. Where there is no Unicode, all but the map are made of ASCII. Nothing here knows
what it plots, and nothing prints.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import Final

from msgspec import Struct

_BRAILLE: Final = 0x2800
_DOT_BITS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille character, by column and then by row, top first."""


class Glyphs(Struct, frozen=True):
    """The characters a terminal can show, each ramp from nothing to full."""

    levels: str
    parts: str
    best: str


UNICODE: Final = Glyphs(" ▁▂▃▄▅▆▇█", " ▏▎▍▌▋▊▉█", "✓")
ASCII: Final = Glyphs(" .:-=+*%#", " #", "*")


def spark(values: Sequence[float], width: int, glyphs: Glyphs = UNICODE) -> str:
    """Return one line whose heights are the values, from 0 to the greatest."""
    return hill(values, width, 1, glyphs)[0]


def hill(
    values: Sequence[float], width: int, height: int, glyphs: Glyphs = UNICODE
) -> tuple[str, ...]:
    """Return `height` lines, top first, filled below the values from 0 to the greatest."""
    columns = resampled(values, width)
    top = max(columns, default=0.0) or 1.0
    steps = len(glyphs.levels) - 1
    levels = [ceil(value / top * height * steps - 1e-9) for value in columns]
    return tuple(
        "".join(glyphs.levels[min(steps, max(0, level - row * steps))] for level in levels)
        for row in reversed(range(height))
    )


def bar(share: float, width: int, glyphs: Glyphs = UNICODE) -> str:
    """Return a bar that fills `share` (0 to 1) of the width; anything above 0 shows."""
    steps = len(glyphs.parts) - 1
    filled = ceil(min(1.0, max(0.0, share)) * width * steps - 1e-9)
    whole, rest = divmod(filled, steps)
    return (glyphs.parts[-1] * whole + (glyphs.parts[rest] if rest else "")).ljust(width)


def resampled(values: Sequence[float], width: int) -> list[float]:
    """Return `width` values: means where there are more of them, repeats where there are fewer."""
    if not values:
        return [0.0] * width
    edges = [column * len(values) / width for column in range(width + 1)]
    spans = ((int(low), max(int(low) + 1, ceil(high))) for low, high in pairwise(edges))
    return [sum(values[low:high]) / len(values[low:high]) for low, high in spans]


class Canvas:
    """A sheet of braille dots, two across and four down in each character, in layers.

    A character shows the dots of all layers and belongs to the highest one in it, so that the rare
    and important thing sets the colour. A mark takes its whole character.
    """

    def __init__(self, width: int, height: int) -> None:
        """Start an empty sheet, in characters."""
        self.width = width
        self.height = height
        self._bits = [[0] * width for _ in range(height)]
        self._layers = [[-1] * width for _ in range(height)]
        self._marks: dict[tuple[int, int], str] = {}

    @property
    def dots(self) -> tuple[int, int]:
        """How many dots there are across and down."""
        return self.width * 2, self.height * 4

    def dot(self, across: int, down: int, layer: int) -> None:
        """Set a dot; one outside the sheet is left out."""
        column, row = across // 2, down // 4
        if 0 <= column < self.width and 0 <= row < self.height:
            self._bits[row][column] |= _DOT_BITS[across % 2][down % 4]
            self._layers[row][column] = max(self._layers[row][column], layer)

    def mark(self, across: int, down: int, layer: int, glyph: str) -> None:
        """Set a whole character at the dot's place; the highest layer's mark stays."""
        column, row = across // 2, down // 4
        inside = 0 <= column < self.width and 0 <= row < self.height
        if inside and (layer >= self._layers[row][column] or (row, column) not in self._marks):
            self._layers[row][column] = max(self._layers[row][column], layer)
            self._marks[row, column] = glyph

    def runs(self) -> list[list[tuple[str, int]]]:
        """Return each line as runs of characters of one layer, -1 where there is nothing."""
        return [self._line(row) for row in range(self.height)]

    def _line(self, row: int) -> list[tuple[str, int]]:
        runs: list[tuple[str, int]] = []
        for column, layer in enumerate(self._layers[row]):
            glyph = self._marks.get((row, column)) or _braille(self._bits[row][column])
            if runs and runs[-1][1] == layer:
                runs[-1] = (runs[-1][0] + glyph, layer)
            else:
                runs.append((glyph, layer))
        return runs


def _braille(bits: int) -> str:
    return chr(_BRAILLE + bits) if bits else " "
