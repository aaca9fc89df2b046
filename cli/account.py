"""`dispatch account`: tenants, their administrators, and what only a machine's owner may do.

What is printed is shown this once; nothing of it can be read again.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
import trio
import typer

from cli.equipment import equipped
from cli.faults import refuse, told_plainly
from dispatch.ids import TenantId
from node.accounts import AdminExists, NewAdmin, NewTenant, account_service, add_admin, bootstrap
from node.config import from_environment
from node.stores import stored
from services.accounts.denied import Denied
from services.accounts.people import Enrolment
from services.accounts.service import AccountService

app = typer.Typer(no_args_is_help=True, help="Make tenants and their administrators.")

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's id (tnt_...).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("add-tenant")
def add_tenant(
    name: Annotated[str, typer.Argument(help="The business, as people know it.")],
    as_json: AsJson = False,
) -> None:
    """Make a tenant, the client of its apps, and an API key that may do everything."""
    with told_plainly():
        made = trio.run(_add_tenant, name)
    _print(
        made,
        as_json,
        (
            f"tenant {made.tenant_id}",
            f"client_id of its apps: {made.client_id}",
            f"API key, shown this once: {made.api_key}",
            "add an administrator of it with:",
            f"dispatch account add-admin E-MAIL --tenant {made.tenant_id}",
        ),
    )


@app.command("add-admin")
def add_administrator(
    email: Annotated[str, typer.Argument(help="What he signs in by.")],
    tenant: Tenant,
    as_json: AsJson = False,
) -> None:
    """Make an administrator of a tenant, with a password and a second factor."""
    with told_plainly():
        made = trio.run(_add_admin, email, TenantId(tenant))
    _print(
        made,
        as_json,
        (
            f"administrator {made.user_id}: {made.email}",
            f"password, shown this once: {made.password}",
            f"secret for the authenticator app: {made.second_factor.secret}",
            made.second_factor.uri,
        ),
    )


@app.command("reset-second-factor")
def reset_second_factor(
    email: Annotated[str, typer.Argument(help="Whose it is.")],
    tenant: Tenant,
    as_json: AsJson = False,
) -> None:
    """Give somebody who lost his phone and his recovery codes another second factor."""
    with told_plainly():
        made = trio.run(_reset, email, TenantId(tenant))
    _print(made, as_json, (f"secret for the authenticator app: {made.secret}", made.uri))


@app.command("rotate-key")
def rotate_key() -> None:
    """Go on to the next key that signs access tokens.

    The first time makes and publishes it; ten minutes later, when every node has seen it, a second
    time has it sign. Tokens signed before stay good for as long as they would have.
    """
    with told_plainly():
        states = trio.run(_rotate)
    typer.echo(", ".join(f"{kid} is {state}" for kid, state in states))


def _print(made: msgspec.Struct, as_json: bool, lines: tuple[str, ...]) -> None:
    typer.echo(msgspec.json.encode(made) if as_json else "\n".join(lines))


@asynccontextmanager
async def _accounts() -> AsyncGenerator[AccountService]:
    """The accounts of the cluster that the settings name, sealed as its nodes seal them."""
    settings = from_environment()
    if not settings.is_embedded and settings.cluster_secret is None:
        refuse("CLUSTER_SECRET is not set: accounts are sealed under it, the same on all nodes")
    async with equipped(settings) as config, stored(config) as stores:
        assert config.cluster_secret, "our own servers have one"
        service = account_service(
            stores.database,
            stores.redis,
            cluster=config.cluster_name,
            secret=config.cluster_secret,
        )
        yield service


async def _add_tenant(name: str) -> NewTenant:
    async with _accounts() as service:
        return await bootstrap(service, name)


async def _add_admin(email: str, tenant_id: TenantId) -> NewAdmin:
    async with _accounts() as service:
        await _check_tenant(service, tenant_id)
        try:
            return await add_admin(service, tenant_id, email)
        except (AdminExists, Denied) as error:
            refuse(error.detail if isinstance(error, Denied) else str(error))


async def _reset(email: str, tenant_id: TenantId) -> Enrolment:
    async with _accounts() as service:
        user = await service.stores.users.find_user_by_email(tenant_id, email)
        if user is None:
            refuse(f"nobody of tenant {tenant_id} has the address {email}")
        return await service.people.reset_second_factor(user)


async def _check_tenant(service: AccountService, tenant_id: TenantId) -> None:
    if not await service.stores.users.has_tenant(tenant_id):
        refuse(f"there is no tenant {tenant_id}: make one with `dispatch account add-tenant NAME`")


async def _rotate() -> list[tuple[str, str]]:
    async with _accounts() as service:
        await service.ring.reload()
        await service.ring.rotate()
        return service.ring.states()
