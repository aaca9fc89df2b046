"""The principal: who stands behind a request or a socket, and what he may do.

It is read from a token or a key alone, without asking any store, and says nothing that would be
private in a log. A scope says which doors are open; whether an object behind the door is his is
decided object by object in `api/access.py`, by the tenant and by the ids that stand here.
"""

from enum import StrEnum

from msgspec import Struct

from dispatch.ids import CourierId, DeviceId, RestaurantId, TenantId


class Role(StrEnum):
    """What somebody is to the business. Wire names; never renamed."""

    ANONYMOUS = "anonymous"
    CUSTOMER = "customer"
    COURIER = "courier"
    RESTAURANT = "restaurant"
    SUPPORT = "support"
    ADMIN = "admin"
    INTEGRATOR = "integrator"


class Scope(StrEnum):
    """What a token opens. Wire names; never renamed."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    RESTAURANTS_READ = "restaurants:read"
    RESTAURANTS_WRITE = "restaurants:write"
    COURIERS_READ = "couriers:read"
    COURIERS_WRITE = "couriers:write"
    ZONES_WRITE = "zones:write"
    EVENTS_READ = "events:read"
    FEED_READ = "feed:read"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    TENANT_ADMIN = "tenant:admin"


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks.

    `subject` is the person's (`usr_`) or the client's (`cli_`) id, `feeds` the persons whose feeds
    he may follow (himself, his restaurants), `session_id` what signing out ends.
    """

    subject: str
    role: Role
    tenant_id: TenantId
    scopes: frozenset[Scope] = frozenset()
    courier_id: CourierId | None = None
    restaurant_ids: frozenset[RestaurantId] = frozenset()
    device_id: DeviceId | None = None
    session_id: str = ""
    expires_at: int = 0
    """Instant until which the token holds; 0 for one that does not end by itself."""

    @property
    def is_staff(self) -> bool:
        """Whether he works for the whole tenant: support or administration."""
        return self.role in {Role.SUPPORT, Role.ADMIN}


ANONYMOUS = Principal(subject="", role=Role.ANONYMOUS, tenant_id=TenantId(""))
