"""What the process that reads an extract is asked, and what it answers."""

from msgspec import Struct

from streets.folder import City

LAYERS = "layers.geojsonl"
"""The map's features, beside the city until its tiles are made of them."""


class Request(Struct, frozen=True, kw_only=True):
    """What to make of which file, where, and with how much memory."""

    source: str
    folder: str
    name: str
    timezone: str = ""
    """Empty to have it guessed."""
    has_tiles: bool
    memory_bytes_max: int


class Report(Struct, frozen=True, kw_only=True, tag="report"):
    """The city that was made, and what is worth a remark about it."""

    city: City
    remarks: tuple[str, ...]


class Flaw(Struct, frozen=True, tag="flaw"):
    """Why there is no city, in a sentence for whoever gave the file."""

    sentence: str


type Answer = Report | Flaw
