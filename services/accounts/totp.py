"""The second factor: six digits by the time (RFC 6238, by pyotp), and codes for a lost phone.

A code is good for its own half minute and the ones beside it, and a recovery code once; that a code
is taken only once is for the store to hold, which is told the number of the half minute.
"""

from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

from pyotp.totp import TOTP

from dispatch.ids import Instant

STEP_MS = 30_000
STEPS_AROUND = 1
SECRET_BYTES = 20
RECOVERY_BYTES = 10
RECOVERY_CODES = 10
ISSUER = "Dispatch"


def a_secret(entropy: Callable[[int], bytes]) -> str:
    """Return a new secret, in base 32 as phones take it."""
    return b32encode(entropy(SECRET_BYTES)).decode()


def code_at(secret: str, now: Instant) -> str:
    """Return the code of that moment."""
    return TOTP(secret).generate_otp(now // STEP_MS)


def step_of(secret: str, code: str, now: Instant) -> int | None:
    """Return the time step whose code it is; None for one that is wrong or not of now."""
    totp, here = TOTP(secret), now // STEP_MS
    written = code.strip().replace(" ", "").encode()
    steps = range(here - STEPS_AROUND, here + STEPS_AROUND + 1)
    fits = [step for step in steps if compare_digest(totp.generate_otp(step).encode(), written)]
    return fits[-1] if fits else None


def enrolment_uri(secret: str, email: str, issuer: str = ISSUER) -> str:
    """Return the address that an authenticator app reads from a QR code."""
    return TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def recovery_codes(entropy: Callable[[int], bytes]) -> tuple[str, ...]:
    """Return new recovery codes, in groups that can be read out."""
    written = (b32encode(entropy(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES))
    return tuple("-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in written)


def recovery_digest(code: str) -> bytes:
    """Return what is kept of a recovery code, however it is spaced."""
    plain = code.lower().replace("-", "").replace(" ", "").strip()
    return sha256(b"recovery " + plain.encode()).digest()
