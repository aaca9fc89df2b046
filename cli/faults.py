"""How a command ends when the user, not the program, is at fault."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import typer

from dispatch.matching.solvers import SOLVERS
from node.endings import told_at_the_end
from simulations.mdrp import BadInstance
from simulations.spec import BadSpec

USAGE = 2


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong in one sentence on stderr and exit with code 2."""
    typer.echo(f"dispatch: {sentence}", err=True)
    raise typer.Exit(USAGE)


def checked_policy(name: str) -> str:
    """Return the name of a policy there is, or refuse."""
    if name not in SOLVERS:
        refuse(f"there is no policy {name!r}; name one of {', '.join(SOLVERS)}")
    return name


@contextmanager
def told_plainly() -> Generator[None]:
    """Turn what ends a node, or a command that needs its servers, into one sentence."""
    said: tuple[str, int] | None = None

    def tell(sentence: str, code: int) -> None:
        nonlocal said
        said = (sentence, code)

    with told_at_the_end(tell):
        yield
    if said is not None:
        typer.echo(f"dispatch: {said[0]}", err=True)
        raise typer.Exit(said[1])


@contextmanager
def said_plainly() -> Generator[None]:
    """Turn the errors a user can mend into one sentence."""
    try:
        yield
    except (BadInstance, BadSpec) as error:
        refuse(str(error))
