"""The numbers of accounts: how long things hold, how often is looked, how much is kept."""

from msgspec import Struct

from services.accounts.rules import KeyTerms
from wire.accounts import Lockout


class HashTerms(Struct, frozen=True, kw_only=True):
    """What an argon2id hash costs: OWASP's advice, some 35 ms of a core and 19 MiB."""

    rounds: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1
    at_once_max: int = 2
    """Hashes made at the same time; more would only keep other work waiting."""
    waiting_max: int = 64
    """Hashes that wait for their turn; one more is refused."""


class AccountTerms(Struct, frozen=True, kw_only=True):
    """How accounts are run."""

    token_s: int = 900
    """Time for which an access token holds."""
    idle_s: float = 30 * 86_400.0
    """Time for which a session lives without its refresh token being used."""
    session_s_max: float = 180 * 86_400.0
    """Time after which a person has to sign in again in any case."""
    code_s: float = 60.0
    """Time for which an authorization code is good."""
    devices_max: int = 20
    """Devices of a person; the one not seen for longest makes room."""
    reload_s: float = 30.0
    """Time between two looks at the signing keys."""
    look_again_s: float = 1.0
    """Least time between two looks that strange tokens are the cause of."""
    poll_s: float = 2.0
    """Time between two looks at which sessions ended: so long an access token outlives its own on
    other nodes."""
    believed_s: float = 5.0
    """Time for which an API key is believed without looking again."""
    believed_max: int = 20_000
    """Tokens and keys that are remembered as good."""
    ended_max: int = 100_000
    """Ended sessions that are remembered."""
    keys: KeyTerms = KeyTerms()
    hashes: HashTerms = HashTerms()
    by_pair: Lockout = Lockout(free=5, s_max=900.0, kept_s=3_600.0)
    """For one account from one address, or from one device that it knows."""
    by_address: Lockout = Lockout(free=50, s_max=900.0, kept_s=3_600.0)
    """For all accounts from one address."""
    by_account: Lockout = Lockout(free=100, s_max=60.0, kept_s=3_600.0)
    """For one account from anywhere, but for devices that it knows."""


TERMS = AccountTerms()
