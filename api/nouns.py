"""All that is served over HTTP: the nouns, in the order in which the documents tell of them.

`ROUTES` add what is no answer to a program: pages for people, and streams of events.
"""

from collections.abc import Callable, Sequence

from quart_trio import QuartTrio

from api import front, sign_in
from api import tracking as links
from api.accounts import accounts
from api.connect import connect
from api.couriers import couriers
from api.credentials import credentials
from api.decisions import decisions
from api.deliveries import deliveries
from api.delivery_routes import delivery_routes
from api.feed import feed
from api.health import health
from api.journal import journal
from api.kitchens import kitchens
from api.machines import machines
from api.offers import offers
from api.orders import orders
from api.ports import Edge
from api.pulse import pulse
from api.restaurants import restaurants
from api.shifts import shifts
from api.statistics import statistics
from api.tokens import tokens
from api.tracking import tracking
from api.zones import zones

NOUNS = (
    orders,
    deliveries,
    delivery_routes,
    restaurants,
    kitchens,
    couriers,
    shifts,
    offers,
    feed,
    tracking,
    zones,
    journal,
    decisions,
    tokens,
    accounts,
    credentials,
    connect,
    machines,
    health,
    statistics,
    pulse,
)

ROUTES: Sequence[Callable[[QuartTrio, Edge], None]] = (
    sign_in.routes,
    front.routes,
    links.routes,
)
