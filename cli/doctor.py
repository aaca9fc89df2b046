"""`dispatch doctor`: what stands between this machine and a running node, and what to do about it.

Exit code 1 says that something has to be mended first; with only warnings it is 0.
"""

from typing import Annotated

import msgspec
import trio
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.faults import told_plainly
from node.config import from_environment
from node.doctor import Finding, Outcome, examined

FAILED = 1
STYLES = {Outcome.OK: "green", Outcome.WARN: "yellow", Outcome.FAIL: "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine this machine and its servers, and say what to do."""
    with told_plainly():
        config = from_environment()
        with Console(stderr=True).status("Examining ..."):
            findings = trio.run(examined, config)
    is_well = all(finding.outcome is not Outcome.FAIL for finding in findings)
    if as_json:
        typer.echo(msgspec.json.encode({"is_well": is_well, "findings": findings}))
    else:
        Console().print(_table(findings))
    raise typer.Exit(0 if is_well else FAILED)


def _table(findings: tuple[Finding, ...]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        told = Text(finding.told)
        if finding.advice:
            told.append(f"\n→ {finding.advice}", style="bold")
        table.add_row(
            Text(finding.outcome.upper(), style=STYLES[finding.outcome]), finding.name, told
        )
    return table
