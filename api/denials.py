"""What accounts refuse, as the edge tells it, and the way from a request to the accounts."""

from collections.abc import Generator
from contextlib import contextmanager

from api.ports import Edge
from api.replies import Declined
from services.accounts.denied import Denied
from services.accounts.service import AccountService


def accounts_of(edge: Edge) -> AccountService:
    """Return the accounts of the node."""
    assert isinstance(edge.accounts, AccountService), "this edge has no accounts"
    return edge.accounts


@contextmanager
def declining() -> Generator[None]:
    """Tell a refusal of the accounts as a problem."""
    try:
        yield
    except Denied as denied:
        raise Declined(denied.code, denied.detail, retry_s=denied.retry_s) from denied
