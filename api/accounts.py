"""Accounts over HTTP: one's own, and those of a tenant's people.

Registering as a customer is open to everybody and answers always alike: 202 whether or not there is
an account of that address already, in the same time, because a 409 would tell anybody who is a
customer here. Whoever had an account finds out by signing in. An administrator, who may see the
list of his people anyway, is told by a 409.

Everything else is done in the name of whoever asks: his own account, or the people of his tenant; a
name of anything else answers as what does not exist. Tokens are shown once, and answers that hold
one are not kept. What people and programs sign in with is in `api/credentials.py`.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from api.access import an_id
from api.cursors import Stretch, page
from api.denials import accounts_of, declining
from api.endpoint import Call, Endpoints
from api.replies import Declined, Page, Reply
from api.times import WrittenTime, rfc3339
from dispatch.ids import CourierId, DeviceId, RestaurantId
from dispatch.step import Code
from services.accounts.people import (
    Address,
    Change,
    Email,
    Enrolment,
    Name,
    NewPerson,
    Password,
    Phone,
    RecoveryCodes,
    StaffChange,
    check_not_staff,
)
from services.accounts.principal import Role, Scope
from services.accounts.sign_in import Tokens
from storage import restaurants
from wire.accounts import Discreet, UserRow

BATCH_MAX = 200
USERS = "users"

type ClientId = Annotated[str, Meta(min_length=1, max_length=64)]
type Code6 = Annotated[str, Meta(min_length=6, max_length=32)]

accounts = Endpoints("Accounts", "Who can sign in, with what, and what they may do.")


class NewCustomer(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who registers with an app; `client_id` is the app's."""

    client_id: ClientId
    email: Email
    password: Password
    name: Name
    phone: Phone = ""
    address: Address = ""


class Registered(Struct, frozen=True, kw_only=True):
    """What everybody hears who registers."""

    next: str = "sign in"


class PersonView(Struct, frozen=True, kw_only=True):
    """An account, as its owner and his administrator see it."""

    user_id: str
    role: Role
    email: str
    name: str
    phone: str
    address: str
    courier_id: CourierId | None
    restaurant_ids: tuple[RestaurantId, ...]
    has_second_factor: bool
    is_blocked: bool
    created_at: WrittenTime


class People(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People who are to have accounts, all at once; signed in too, if that is wanted."""

    users: Annotated[tuple[NewPerson, ...], Meta(min_length=1, max_length=BATCH_MAX)]
    signs_in: bool = False


class MadePerson(Discreet, frozen=True, kw_only=True):
    """An account that was just made, with its tokens if it was signed in."""

    user_id: str
    role: Role
    name: str
    courier_id: CourierId | None
    restaurant_ids: tuple[RestaurantId, ...]
    access_token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    device_id: DeviceId | UnsetType = UNSET


class MadePeople(Struct, frozen=True, kw_only=True):
    """All of them, in the order in which they were named."""

    users: tuple[MadePerson, ...]


class WantedUsers(Stretch, frozen=True, kw_only=True):
    """Which people: all, or those of a role."""

    role: Role | None = None


class PasswordChange(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password so far, and the one from now on."""

    password: Annotated[str, Meta(max_length=256)]
    new_password: Password


class NewFactor(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Proof that it is oneself, and not who found one's phone, who takes a second factor."""

    password: Annotated[str, Meta(max_length=256)]


class FirstCode(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code that the authenticator app shows."""

    code: Code6


class Removal(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Proof that it is oneself who gives up the second factor."""

    password: Annotated[str, Meta(max_length=256)]
    code: Code6


@accounts.post("/v1/accounts/customers", status=202, group="sign-in", codes=(Code.OVERLOADED,))
async def register(call: Call[NewCustomer]) -> Reply[Registered]:
    """Register as a customer, then sign in.

    The answer is the same whether or not there was an account of that address already.
    """
    told, service = call.body, accounts_of(call.edge)
    person = NewPerson(
        role=Role.CUSTOMER,
        name=told.name,
        email=told.email,
        password=told.password,
        phone=told.phone,
        address=told.address,
    )
    with declining():
        client = await service.sign_in.client(told.client_id, "")
        await service.people.register(client.tenant_id, person, call.new_id("usr"))
    return Reply(value=Registered())


@accounts.post(
    "/v1/accounts/users",
    scope=Scope.TENANT_ADMIN,
    status=201,
    codes=(Code.ALREADY_EXISTS, Code.OVERLOADED),
)
async def create_user(call: Call[NewPerson]) -> Reply[PersonView]:
    """Make an account of a customer, a courier, of restaurant staff, or of one's own staff."""
    people = accounts_of(call.edge).people
    with declining():
        await _check_new(call, (call.body,))
        user = await people.create(
            call.principal.tenant_id,
            call.body,
            user_id=call.new_id("usr"),
            courier_id=CourierId(call.new_id("crr")),
        )
    if user is None:
        raise Declined(Code.ALREADY_EXISTS, "there is an account of that address")
    return Reply(value=_person(user))


@accounts.post(
    "/v1/accounts/users/batch",
    scope=Scope.TENANT_ADMIN,
    status=201,
    codes=(Code.ALREADY_EXISTS, Code.OVERLOADED),
    keeps_answer=False,
)
async def create_users(call: Call[People]) -> Reply[MadePeople]:
    """Make many accounts at once, and sign them in if that is wanted: for tests and moves.

    Either all are made or, when one of them has an account already, those that had none.
    """
    service, tenant_id = accounts_of(call.edge), call.principal.tenant_id
    with declining():
        await _check_new(call, call.body.users)
        rows = [
            await service.people.row(
                tenant_id,
                person,
                user_id=call.new_id("usr"),
                courier_id=CourierId(call.new_id("crr")),
            )
            for person in call.body.users
        ]
        await service.people.create_many(rows)
        signed_in = (
            await service.sign_in.tokens_for(rows, "made by others") if call.body.signs_in else ()
        )
    given = (*signed_in, *(None for _ in rows))
    made = [_made(row, tokens) for row, tokens in zip(rows, given, strict=False)]
    return Reply(value=MadePeople(users=tuple(made)))


@accounts.get("/v1/accounts/users", scope=Scope.TENANT_ADMIN)
async def list_users(call: Call[None, WantedUsers]) -> Reply[Page[PersonView]]:
    """List the people of one's tenant."""
    people, wanted = accounts_of(call.edge).people, call.query
    after, count = wanted.begins_after(USERS), wanted.limit + 1
    found = await people.page(call.principal.tenant_id, after, count, wanted.role)
    return Reply(value=page(USERS, found, wanted.limit, lambda user: user.user_id, _person))


@accounts.get("/v1/accounts/users/{user_id}", scope=Scope.TENANT_ADMIN)
async def show_user(call: Call) -> Reply[PersonView]:
    """Show one of the people of one's tenant."""
    return Reply(value=_person(await _somebody(call)))


@accounts.patch("/v1/accounts/users/{user_id}", scope=Scope.TENANT_ADMIN)
async def change_user(call: Call[StaffChange]) -> Reply[PersonView]:
    """Change an account of one's tenant; who is blocked or works elsewhere is signed out."""
    service, user = accounts_of(call.edge), await _somebody(call)
    with declining():
        service.people.check_maker(call.principal, user.role)
        if not isinstance(call.body.restaurant_ids, UnsetType):
            await _check_restaurants(call, call.body.restaurant_ids)
        return Reply(value=_person(await service.people.change(user, call.body)))


@accounts.post("/v1/accounts/users/{user_id}/token", scope=Scope.TENANT_ADMIN, keeps_answer=False)
async def sign_somebody_in(call: Call) -> Reply[Tokens]:
    """Sign somebody of one's tenant in, on a new device that he can see among his own.

    Not for staff: nobody can act as an administrator but himself.
    """
    service, user = accounts_of(call.edge), await _somebody(call)
    with declining():
        check_not_staff(user.role)
        return Reply(value=await service.sign_in.token_for(call.principal.tenant_id, user.user_id))


@accounts.get("/v1/accounts/me", scope=Scope.ACCOUNT_READ)
async def show_me(call: Call) -> Reply[PersonView]:
    """Show one's own account."""
    with declining():
        return Reply(value=_person(await accounts_of(call.edge).people.me(call.principal)))


@accounts.patch("/v1/accounts/me", scope=Scope.ACCOUNT_WRITE)
async def change_me(call: Call[Change]) -> Reply[PersonView]:
    """Change one's own name, phone or address."""
    people = accounts_of(call.edge).people
    with declining():
        user = await people.me(call.principal)
        return Reply(value=_person(await people.change(user, call.body)))


@accounts.post(
    "/v1/accounts/me/password",
    scope=Scope.ACCOUNT_WRITE,
    codes=(Code.NOT_LEGAL_NOW, Code.OVERLOADED),
)
async def change_password(call: Call[PasswordChange]) -> Reply[None]:
    """Change one's password, which signs one out on all other devices."""
    told = call.body
    with declining():
        people = accounts_of(call.edge).people
        await people.change_password(call.principal, told.password, told.new_password)
    return Reply(value=None)


@accounts.post(
    "/v1/accounts/me/totp",
    scope=Scope.ACCOUNT_WRITE,
    codes=(Code.NOT_LEGAL_NOW, Code.OVERLOADED),
    keeps_answer=False,
)
async def enrol(call: Call[NewFactor]) -> Reply[Enrolment]:
    """Begin with a second factor: show the answer to an authenticator app, then confirm."""
    with declining():
        people = accounts_of(call.edge).people
        return Reply(value=await people.enrol(call.principal, call.body.password))


@accounts.post(
    "/v1/accounts/me/totp/confirm",
    scope=Scope.ACCOUNT_WRITE,
    codes=(Code.NOT_LEGAL_NOW,),
    keeps_answer=False,
)
async def confirm(call: Call[FirstCode]) -> Reply[RecoveryCodes]:
    """Confirm the second factor; from now on signing in needs it. Keep the recovery codes."""
    with declining():
        people = accounts_of(call.edge).people
        return Reply(value=await people.confirm(call.principal, call.body.code))


@accounts.post("/v1/accounts/me/totp/remove", scope=Scope.ACCOUNT_WRITE, codes=(Code.OVERLOADED,))
async def disenrol(call: Call[Removal]) -> Reply[None]:
    """Give the second factor up, where one's role does not need it."""
    told = call.body
    with declining():
        await accounts_of(call.edge).people.disenrol(call.principal, told.password, told.code)
    return Reply(value=None)


async def _somebody[B](call: Call[B]) -> UserRow:
    """Return the person of one's tenant that the path names."""
    with declining():
        people = accounts_of(call.edge).people
        return await people.load(call.principal.tenant_id, an_id(call.path["user_id"]))


async def _check_new[B](call: Call[B], persons: tuple[NewPerson, ...]) -> None:
    """Raise unless whoever asks may make all of them, for restaurants of his own tenant."""
    people = accounts_of(call.edge).people
    for person in persons:
        people.check_maker(call.principal, person.role)
        await _check_restaurants(call, person.restaurant_ids)


async def _check_restaurants[B](call: Call[B], wanted: tuple[RestaurantId, ...]) -> None:
    for restaurant_id in wanted:
        row = await restaurants.find(call.edge.database, restaurant_id)
        if row is None or row.tenant_id != call.principal.tenant_id:
            raise Declined(Code.INVALID, "restaurant_ids: there is no such restaurant")


def _person(user: UserRow) -> PersonView:
    return PersonView(
        user_id=user.user_id,
        role=Role(user.role),
        email=user.email,
        name=user.name,
        phone=user.phone,
        address=user.address,
        courier_id=user.courier_id,
        restaurant_ids=user.restaurant_ids,
        has_second_factor=user.totp_confirmed,
        is_blocked=user.is_blocked,
        created_at=rfc3339(user.created_at),
    )


def _made(user: UserRow, tokens: Tokens | None) -> MadePerson:
    made = MadePerson(
        user_id=user.user_id,
        role=Role(user.role),
        name=user.name,
        courier_id=user.courier_id,
        restaurant_ids=user.restaurant_ids,
    )
    if tokens is None:
        return made
    return structs.replace(
        made,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        device_id=tokens.device_id,
    )
