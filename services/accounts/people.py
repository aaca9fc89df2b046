"""The people of a tenant: how they come to have an account, and what they can change in it.

Anybody can register as a customer, and learns nothing by it: an address that is known already is
answered like a new one, in the same time, and nothing is changed. Whoever has forgotten that he had
an account finds out when he signs in. Everybody else is made by an administrator.

A password or a role that changes ends the person's other sessions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, structs

from dispatch.ids import CourierId, DeviceId, Instant, RestaurantId, TenantId
from dispatch.step import Code
from services.accounts import totp
from services.accounts.claims import RESTAURANTS_MAX
from services.accounts.denied import Denied, not_there, wrong_credentials
from services.accounts.passwords import Passwords
from services.accounts.ports import Stores
from services.accounts.principal import Principal, Role
from services.accounts.rules import PERSONS, SECOND_FACTOR, email_of, may_make, weakness
from services.accounts.sign_in import SignIn
from services.accounts.vault import Vault
from wire.accounts import Bucket, DeviceRow, Discreet, UserRow

NOWHERE = "invalid"
"""The domain of addresses that stand in for none (RFC 2606)."""

type Name = Annotated[str, Meta(min_length=1, max_length=120)]
type Email = Annotated[str, Meta(min_length=3, max_length=254)]
type Phone = Annotated[str, Meta(pattern=r"^(\+[1-9]\d{6,14})?$")]
type Address = Annotated[str, Meta(max_length=280)]
type Password = Annotated[str, Meta(min_length=8, max_length=256)]
type Id = Annotated[str, Meta(min_length=1, max_length=64)]
type Restaurants = Annotated[tuple[RestaurantId, ...], Meta(max_length=RESTAURANTS_MAX)]


class NewPerson(Discreet, frozen=True, kw_only=True):
    """Somebody who is to have an account. Without a password only others can sign him in."""

    role: Role
    name: Name
    email: Email | None = None
    password: Password | None = None
    phone: Phone = ""
    address: Address = ""
    restaurant_ids: Restaurants = ()


class Change(Discreet, frozen=True, kw_only=True):
    """What of an account is to be otherwise; what is not named stays."""

    name: Name | UnsetType = UNSET
    phone: Phone | UnsetType = UNSET
    address: Address | UnsetType = UNSET


class StaffChange(Change, frozen=True, kw_only=True):
    """What an administrator can change besides."""

    restaurant_ids: Restaurants | UnsetType = UNSET
    is_blocked: bool | UnsetType = UNSET


class Enrolment(Discreet, frozen=True, kw_only=True):
    """A TOTP secret for an authenticator app: as text, and as the address of a QR code."""

    secret: str
    uri: str


class RecoveryCodes(Discreet, frozen=True, kw_only=True):
    """Codes for a lost phone, each good once; shown this once."""

    recovery_codes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class People:
    """The accounts of all people."""

    stores: Stores
    vault: Vault
    passwords: Passwords
    sign_in: SignIn
    clock: Callable[[], Instant]
    entropy: Callable[[int], bytes]

    async def register(self, tenant_id: TenantId, person: NewPerson, user_id: str) -> None:
        """Make a customer, unless there is an account of that address; nobody is told which."""
        await self.create(tenant_id, person, user_id=user_id)

    async def create(
        self,
        tenant_id: TenantId,
        person: NewPerson,
        *,
        user_id: str,
        courier_id: CourierId | None = None,
    ) -> UserRow | None:
        """Make an account; None when the address or the id is taken."""
        row = await self.row(tenant_id, person, user_id=user_id, courier_id=courier_id)
        return row if (await self.stores.users.create_users([row]))[0] else None

    async def create_many(self, rows: Sequence[UserRow]) -> None:
        """Make several accounts."""
        if not all(await self.stores.users.create_users(rows)):
            raise Denied(Code.ALREADY_EXISTS, "some of them have an account already")

    async def row(
        self,
        tenant_id: TenantId,
        person: NewPerson,
        *,
        user_id: str,
        courier_id: CourierId | None = None,
    ) -> UserRow:
        """Return an account that is to be made; raises Denied for what it cannot be."""
        email = f"{user_id}@{NOWHERE}" if person.email is None else email_of(person.email)
        if email is None:
            raise Denied(Code.INVALID, "this is no e-mail address")
        if person.role not in PERSONS or (person.restaurant_ids and person.role != Role.RESTAURANT):
            raise Denied(Code.INVALID, "only staff of restaurants have restaurants")
        kept = ""
        if person.password is not None:
            self._check(person.password, email, person.name)
            kept = await self.passwords.hashed(person.password)
        return UserRow(
            user_id=user_id,
            tenant_id=tenant_id,
            role=person.role,
            email=email,
            name=person.name,
            phone=person.phone,
            address=person.address,
            password_hash=kept,
            courier_id=courier_id if person.role is Role.COURIER else None,
            restaurant_ids=person.restaurant_ids,
            created_at=self.clock(),
        )

    async def load(self, tenant_id: TenantId, user_id: str) -> UserRow:
        """Return a person of the tenant; raises Denied for one who is not."""
        user = await self.stores.users.find_user(tenant_id, user_id)
        if user is None:
            raise not_there()
        return user

    async def me(self, principal: Principal) -> UserRow:
        """Return the account of whoever asks; raises Denied for who is no person."""
        return await self.load(principal.tenant_id, principal.subject)

    async def page(
        self, tenant_id: TenantId, after: str, limit: int, role: Role | None
    ) -> tuple[UserRow, ...]:
        """Return people of the tenant by their ids."""
        return await self.stores.users.fetch_users(tenant_id, after, limit, role)

    async def change(self, user: UserRow, change: Change) -> UserRow:
        """Change an account. One that is blocked, or works elsewhere, is signed out everywhere."""
        told = {name: getattr(change, name) for name in change.__struct_fields__}
        after = structs.replace(
            user, **{name: value for name, value in told.items() if value is not UNSET}
        )
        if after.restaurant_ids and after.role != Role.RESTAURANT:
            raise Denied(Code.INVALID, "only staff of restaurants have restaurants")
        await self.stores.users.save_user(after)
        may_before = (user.is_blocked, user.restaurant_ids)
        if may_before != (after.is_blocked, after.restaurant_ids):
            await self.sign_in.end_all(user.user_id, reason="rights changed")
        return after

    def check_maker(self, maker: Principal, role: str) -> None:
        """Raise Denied unless the one may make, change and sign in accounts of the role."""
        if not may_make(maker.role, Role(role)):
            raise Denied(Code.FORBIDDEN, f"accounts of the role {role} are not yours to make")

    async def change_password(self, principal: Principal, before: str, after: str) -> None:
        """Change one's password, and end all of one's sessions but this."""
        user = await self.me(principal)
        await self._prove_again(user, before)
        self._check(after, user.email, user.name)
        hashed = await self.passwords.hashed(after)
        if not await self.stores.users.save_password(user.user_id, user.password_hash, hashed):
            raise Denied(Code.NOT_LEGAL_NOW, "the password was changed meanwhile")
        await self.sign_in.end_all(user.user_id, principal.session_id, "password changed")

    async def enrol(self, principal: Principal, password: str) -> Enrolment:
        """Begin with a second factor: it counts once it is confirmed."""
        user = await self.me(principal)
        await self._prove_again(user, password)
        if user.totp_confirmed:
            told = "there is a second factor: remove it before you take another"
            raise Denied(Code.NOT_LEGAL_NOW, told)
        text = totp.a_secret(self.entropy)
        sealed = self.vault.seal(text.encode(), f"totp {user.user_id}")
        await self.stores.users.save_totp(user.with_totp(sealed))
        return Enrolment(secret=text, uri=totp.enrolment_uri(text, user.email))

    async def confirm(self, principal: Principal, code: str) -> RecoveryCodes:
        """Confirm the second factor by a first code of it."""
        user = await self.me(principal)
        if user.totp_confirmed or user.totp_sealed is None:
            raise Denied(Code.NOT_LEGAL_NOW, "there is no second factor to confirm")
        bucket = await self._counted(user)
        if not await self.sign_in.takes_code(user, code):
            raise Denied(Code.INVALID, "the code is wrong: is the clock of the phone right?")
        await self.stores.attempts.forgive([bucket])
        user = await self.me(principal)
        codes = totp.recovery_codes(self.entropy)
        digests = tuple(totp.recovery_digest(code) for code in codes)
        confirmed = structs.replace(user, totp_confirmed=True, recovery_digests=digests)
        await self.stores.users.save_totp(confirmed)
        return RecoveryCodes(recovery_codes=codes)

    async def disenrol(self, principal: Principal, password: str, code: str) -> None:
        """Remove the second factor, where it is not required."""
        user = await self.me(principal)
        if Role(user.role) in SECOND_FACTOR:
            raise Denied(Code.FORBIDDEN, "your role needs a second factor")
        await self._prove_again(user, password)
        if user.totp_confirmed and not await self.sign_in.takes_code(user, code):
            raise wrong_credentials()
        await self.stores.users.save_totp(user.with_totp(None))

    async def reset_second_factor(self, user: UserRow) -> Enrolment:
        """Give somebody another second factor that counts at once: for operators at the machine."""
        text = totp.a_secret(self.entropy)
        sealed = self.vault.seal(text.encode(), f"totp {user.user_id}")
        confirmed = structs.replace(user.with_totp(sealed), totp_confirmed=True)
        await self.stores.users.save_totp(confirmed)
        await self.sign_in.end_all(user.user_id, reason="second factor replaced")
        return Enrolment(secret=text, uri=totp.enrolment_uri(text, user.email))

    async def devices(self, principal: Principal) -> tuple[DeviceRow, ...]:
        """Return one's devices."""
        limit = self.sign_in.terms.devices_max
        return await self.stores.sessions.fetch_devices(principal.subject, limit)

    async def name_device(self, principal: Principal, device_id: DeviceId, name: str) -> None:
        """Give one of one's devices another name."""
        if not await self.stores.sessions.name_device(principal.subject, device_id, name):
            raise not_there()

    async def forget_device(self, principal: Principal, device_id: DeviceId) -> None:
        """Forget one of one's devices, which signs it out."""
        ended = await self.stores.sessions.forget_device(principal.subject, device_id)
        if ended is None:
            raise not_there()
        self.sign_in.noted(ended)

    def _check(self, password: str, email: str, name: str) -> None:
        if (why := weakness(password, known=(email, name))) is not None:
            raise Denied(Code.INVALID, why)

    async def _prove_again(self, user: UserRow, password: str) -> None:
        """Raise Denied unless it is the person's password; counted like signing in."""
        bucket = await self._counted(user)
        if not await self.passwords.is_right(user.password_hash, password):
            raise wrong_credentials()
        await self.stores.attempts.forgive([bucket])

    async def _counted(self, user: UserRow) -> Bucket:
        bucket = Bucket(
            name=f"again-{user.user_id}", lockout=self.sign_in.terms.by_pair, is_reset=True
        )
        wait_s = await self.stores.attempts.begin([bucket])
        if wait_s > 0:
            told = "too many attempts: wait before the next one"
            raise Denied(Code.RATE_LIMITED, told, oauth="slow_down", retry_s=wait_s)
        return bucket


def check_not_staff(role: str) -> None:
    """Raise Denied for a role that nobody can act in but its owner."""
    if Role(role) in SECOND_FACTOR:
        raise Denied(Code.FORBIDDEN, f"nobody can act as somebody else of the role {role}")
