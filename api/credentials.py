"""What people and programs sign in with, over HTTP: their devices, a tenant's API keys and clients.

Devices are one's own; keys and clients belong to a tenant, and a name of anything else answers as
what does not exist. A key or a secret is shown in the answer that made it and never again, and that
answer is not kept. Nobody can give a key or a client more than he may do himself.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api.access import an_id
from api.cursors import Stretch, page
from api.denials import accounts_of, declining
from api.endpoint import Call, Endpoints
from api.replies import Page, Reply
from api.times import WrittenTime, rfc3339
from dispatch.ids import DeviceId
from services.accounts.integrators import NewClient, check_scopes
from services.accounts.principal import Principal, Scope
from wire.accounts import ApiKeyRow, ClientRow, DeviceRow, Discreet

URIS_MAX = 10
KEYS = "api_keys"
CLIENTS = "clients"

type Title = Annotated[str, Meta(min_length=1, max_length=64)]
type Uri = Annotated[str, Meta(min_length=1, max_length=2048)]

credentials = Endpoints("Credentials", "The devices, keys and clients that sign in.")


class DeviceView(Struct, frozen=True, kw_only=True):
    """A device that one has signed in with."""

    device_id: DeviceId
    name: str
    created_at: WrittenTime
    seen_at: WrittenTime
    is_signed_in: bool
    is_this: bool


class DeviceName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device is to be called."""

    name: Title


class NewApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that is to be made; it can have no scope that its maker has not."""

    name: Title
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=32)]
    is_live: bool = False


class ApiKeyView(Discreet, frozen=True, kw_only=True, omit_defaults=True):
    """A key; `api_key` is the key itself, and is there only in the answer that made it."""

    key_id: str
    name: str
    hint: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: WrittenTime
    api_key: str | None = None


class NewClientBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client that is to be made: public for apps of people, else with a secret."""

    name: Title
    is_public: bool = False
    redirect_uris: Annotated[tuple[Uri, ...], Meta(max_length=URIS_MAX)] = ()
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=32)] = ()


class ClientView(Discreet, frozen=True, kw_only=True, omit_defaults=True):
    """A client; `client_secret` is there only in the answer that made it."""

    client_id: str
    name: str
    is_public: bool
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    created_at: WrittenTime
    client_secret: str | None = None


@credentials.get("/v1/devices", scope=Scope.ACCOUNT_READ)
async def list_devices(call: Call) -> Reply[Page[DeviceView]]:
    """List the devices that one has signed in with."""
    found = await accounts_of(call.edge).people.devices(call.principal)
    shown = tuple([_device(device, call.principal) for device in found])
    return Reply(value=Page(items=shown, has_more=False))


@credentials.patch("/v1/devices/{device_id}", scope=Scope.ACCOUNT_WRITE)
async def name_device(call: Call[DeviceName]) -> Reply[None]:
    """Give one of one's devices another name."""
    device_id = DeviceId(an_id(call.path["device_id"]))
    with declining():
        people = accounts_of(call.edge).people
        await people.name_device(call.principal, device_id, call.body.name)
    return Reply(value=None)


@credentials.delete("/v1/devices/{device_id}", scope=Scope.ACCOUNT_WRITE)
async def forget_device(call: Call) -> Reply[None]:
    """Forget one of one's devices, which signs it out."""
    device_id = DeviceId(an_id(call.path["device_id"]))
    with declining():
        await accounts_of(call.edge).people.forget_device(call.principal, device_id)
    return Reply(value=None)


@credentials.post("/v1/api_keys", scope=Scope.TENANT_ADMIN, status=201, keeps_answer=False)
async def create_api_key(call: Call[NewApiKey]) -> Reply[ApiKeyView]:
    """Make an API key of one's tenant; it is shown this once."""
    told = call.body
    with declining():
        check_scopes(call.principal, told.scopes)
        row, text = await accounts_of(call.edge).integrators.create_api_key(
            call.principal.tenant_id,
            key_id=call.new_id("key"),
            name=told.name,
            scopes=told.scopes,
            is_live=told.is_live,
            created_by=call.principal.subject,
        )
    return Reply(value=_api_key(row, text))


@credentials.get("/v1/api_keys", scope=Scope.TENANT_ADMIN)
async def list_api_keys(call: Call[None, Stretch]) -> Reply[Page[ApiKeyView]]:
    """List the API keys of one's tenant that are not revoked."""
    users, after = accounts_of(call.edge).stores.users, call.query.begins_after(KEYS)
    found = await users.fetch_api_keys(call.principal.tenant_id, after, call.query.limit + 1)
    return Reply(value=page(KEYS, found, call.query.limit, lambda key: key.key_id, _api_key))


@credentials.delete("/v1/api_keys/{key_id}", scope=Scope.TENANT_ADMIN)
async def revoke_api_key(call: Call) -> Reply[None]:
    """Revoke an API key of one's tenant."""
    with declining():
        integrators = accounts_of(call.edge).integrators
        await integrators.revoke_api_key(call.principal.tenant_id, an_id(call.path["key_id"]))
    return Reply(value=None)


@credentials.post("/v1/clients", scope=Scope.TENANT_ADMIN, status=201, keeps_answer=False)
async def create_client(call: Call[NewClientBody]) -> Reply[ClientView]:
    """Make an OAuth client of one's tenant; its secret is shown this once."""
    told = call.body
    wanted = NewClient(
        name=told.name,
        is_public=told.is_public,
        redirect_uris=told.redirect_uris,
        scopes=told.scopes,
    )
    with declining():
        if not told.is_public:
            check_scopes(call.principal, told.scopes)
        row, text = await accounts_of(call.edge).integrators.create_client(
            call.principal.tenant_id, wanted, call.new_id("cli")
        )
    return Reply(value=_client(row, text))


@credentials.get("/v1/clients", scope=Scope.TENANT_ADMIN)
async def list_clients(call: Call[None, Stretch]) -> Reply[Page[ClientView]]:
    """List the OAuth clients of one's tenant that are not revoked."""
    users, after = accounts_of(call.edge).stores.users, call.query.begins_after(CLIENTS)
    found = await users.fetch_clients(call.principal.tenant_id, after, call.query.limit + 1)
    return Reply(
        value=page(CLIENTS, found, call.query.limit, lambda client: client.client_id, _client)
    )


@credentials.delete("/v1/clients/{client_id}", scope=Scope.TENANT_ADMIN)
async def revoke_client(call: Call) -> Reply[None]:
    """Revoke an OAuth client of one's tenant, and all its tokens."""
    with declining():
        integrators = accounts_of(call.edge).integrators
        await integrators.revoke_client(call.principal.tenant_id, an_id(call.path["client_id"]))
    return Reply(value=None)


def _device(device: DeviceRow, principal: Principal) -> DeviceView:
    return DeviceView(
        device_id=device.device_id,
        name=device.name,
        created_at=rfc3339(device.created_at),
        seen_at=rfc3339(device.seen_at),
        is_signed_in=device.is_signed_in,
        is_this=device.device_id == principal.device_id,
    )


def _api_key(row: ApiKeyRow, text: str | None = None) -> ApiKeyView:
    return ApiKeyView(
        key_id=row.key_id,
        name=row.name,
        hint=row.hint,
        scopes=row.scopes,
        created_by=row.created_by,
        created_at=rfc3339(row.created_at),
        api_key=text,
    )


def _client(row: ClientRow, text: str | None = None) -> ClientView:
    return ClientView(
        client_id=row.client_id,
        name=row.name,
        is_public=row.secret_digest is None,
        redirect_uris=row.redirect_uris,
        scopes=row.scopes,
        created_at=rfc3339(row.created_at),
        client_secret=text,
    )
