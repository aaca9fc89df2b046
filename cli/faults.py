"""How a command ends when the user, not the program, is at fault."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import typer

from simulations.city import BadSpec
from simulations.mdrp import BadInstance

USAGE = 2


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong in one sentence on stderr and exit with code 2."""
    typer.echo(f"dispatch: {sentence}", err=True)
    raise typer.Exit(USAGE)


@contextmanager
def said_plainly() -> Generator[None]:
    """Turn the errors a user can mend into one sentence."""
    try:
        yield
    except (BadInstance, BadSpec) as error:
        refuse(str(error))
