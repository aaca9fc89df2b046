"""What an access token says, and the principal that it makes. PURE.

A token is read without asking any store, so that it says everything a request needs to know of who
asks. Its names are those of RFC 7519 and RFC 9068 where these have one.
"""

from typing import Annotated

from msgspec import Meta, Struct

from dispatch.ids import CourierId, DeviceId, RestaurantId, TenantId
from services.accounts.principal import Principal, Role, Scope
from wire.accounts import UserRow

AUDIENCE = "dispatch"
RESTAURANTS_MAX = 50
"""Restaurants that one person can work for; a token names them all."""

type Word = Annotated[str, Meta(min_length=1, max_length=256)]


class Claims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of an access token. Times are whole seconds, as the RFC has them."""

    iss: Word
    aud: Word
    sub: Word
    exp: int
    iat: int
    jti: Word
    sid: Word
    tenant_id: TenantId
    role: Role
    scope: str
    client_id: str = ""
    courier_id: CourierId | None = None
    restaurant_ids: Annotated[tuple[RestaurantId, ...], Meta(max_length=RESTAURANTS_MAX)] = ()
    device_id: DeviceId | None = None


def principal_of(claims: Claims) -> Principal:
    """Return whom the token stands for."""
    known = {str(scope) for scope in Scope}
    return Principal(
        subject=claims.sub,
        role=claims.role,
        tenant_id=claims.tenant_id,
        scopes=frozenset(Scope(scope) for scope in claims.scope.split() if scope in known),
        courier_id=claims.courier_id,
        restaurant_ids=frozenset(claims.restaurant_ids),
        device_id=claims.device_id,
        session_id=claims.sid,
        expires_at=claims.exp * 1000,
    )


def person(user: UserRow, scopes: frozenset[Scope]) -> Principal:
    """Return a person as a principal with these scopes."""
    return Principal(
        subject=user.user_id,
        role=Role(user.role),
        tenant_id=user.tenant_id,
        scopes=scopes,
        courier_id=user.courier_id,
        restaurant_ids=frozenset(user.restaurant_ids),
    )


def written(scopes: frozenset[Scope]) -> str:
    """Return scopes as OAuth writes them."""
    return " ".join(sorted(scopes))
