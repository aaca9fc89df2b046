"""The keys of access tokens: who signs with what, and what is believed. By pyjwt and cryptography.

All nodes share the keys through a store. A key is published before it signs and believed after it
has stopped, so that no token is refused while keys change. What a token says about itself is never
trusted: the algorithm is ours (EdDSA), the key is one of ours, found by its name in our own table;
an address or a key that a token brings along is not looked at.

A node that does not know a key looks again, but not more often than once in a while, whoever asks.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence

import jwt
import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct, structs

from dispatch.ids import Instant, prefixed
from services.accounts.claims import AUDIENCE, Claims
from services.accounts.ports import SigningKeys
from services.accounts.rules import KeyTerms, rotation
from services.accounts.vault import Vault
from wire.accounts import SigningKeyRow

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
TOKEN_CHARS_MAX = 8_192
KID_CHARS_MAX = 64
ENTROPY_BYTES = 10
_REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti", "sid"]


class Jwk(Struct, frozen=True, kw_only=True):
    """A public key, as RFC 8037 writes it."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = ALGORITHM
    use: str = "sig"


class Jwks(Struct, frozen=True):
    """All keys that are believed, or will be soon."""

    keys: tuple[Jwk, ...]


class KeyRing:
    """The signing keys as this node knows them. `opening` must be done before the first use."""

    def __init__(
        self,
        keys: SigningKeys,
        vault: Vault,
        *,
        issuer: str,
        clock: Callable[[], Instant],
        entropy: Callable[[int], bytes],
        terms: KeyTerms,
        look_again_s: float,
    ) -> None:
        self.issuer = issuer
        self._keys = keys
        self._vault = vault
        self._clock = clock
        self._entropy = entropy
        self._terms = terms
        self._look_again_s = look_again_s
        self._looked_at = -look_again_s
        self._rows: Sequence[SigningKeyRow] = ()
        self._public: Mapping[str, Ed25519PublicKey] = {}
        self._signer: tuple[str, Ed25519PrivateKey] | None = None
        self._looking = trio.Lock()

    @property
    def kids(self) -> frozenset[str]:
        """The names of the keys that are believed."""
        return frozenset(self._public)

    async def reload(self) -> None:
        """Read the keys, and do what is due with them until nothing is."""
        async with self._looking:
            await self._read()
            if await self._rotate(self._terms):
                await self._read()

    async def rotate(self) -> None:
        """Make the next key, or, when it has been published for long enough, have it sign."""
        async with self._looking:
            await self._read()
            await self._rotate(structs.replace(self._terms, active_s=0.0))
            await self._read()

    async def look_for(self, kid: str) -> None:
        """Look whether there is a key of that name by now, unless somebody has just looked."""
        async with self._looking:
            now_s = trio.current_time()
            if kid in self._public or now_s - self._looked_at < self._look_again_s:
                return
            self._looked_at = now_s
            await self._read()

    def sign(self, claims: Claims) -> str:
        """Return the token that says this."""
        assert self._signer, "the ring was not opened"
        kid, key = self._signer
        headers = {"kid": kid, "typ": TYPE}
        return jwt.encode(msgspec.to_builtins(claims), key, ALGORITHM, headers)

    def find_claims(self, token: str) -> Claims | None:
        """Return what a token says, if it is one of ours and holds."""
        key = self._public.get(kid_of(token) or "")
        if key is None:
            return None
        try:
            told = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                # Times are compared below, by the clock that the node goes by.
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            claims = msgspec.convert(told, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError):
            return None
        return claims if claims.exp * 1000 > self._clock() else None

    def published(self) -> Jwks:
        """Return the public keys: those that sign, will sign, and have signed of late."""
        return Jwks(tuple([_jwk(row) for row in self._rows]))

    def states(self) -> list[tuple[str, str]]:
        """Return the keys that are not gone, and what each is."""
        return [(row.kid, row.state) for row in self._rows]

    async def _read(self) -> None:
        self._rows = await self._keys.fetch()
        self._public = {
            row.kid: Ed25519PublicKey.from_public_bytes(row.public_key)
            for row in self._rows
            if row.state != "next"
        }
        self._signer = next(
            (signer for row in self._rows if (signer := self._find_signer(row)) is not None), None
        )

    def _find_signer(self, row: SigningKeyRow) -> tuple[str, Ed25519PrivateKey] | None:
        if row.state != "active":
            return None
        opened = self._vault.find(row.sealed, _purpose(row.kid))
        return None if opened is None else (row.kid, Ed25519PrivateKey.from_private_bytes(opened))

    async def _rotate(self, terms: KeyTerms) -> bool:
        """Do what is due; False when nothing was."""
        due = rotation(self._rows, terms, can_sign=self._signer is not None)
        for kid in due.drop:
            await self._keys.drop(kid)
        if due.retire is not None:
            await self._keys.promote(due.retire, due.activate)
        for state in due.create:
            await self._keys.create(self._a_key(state))
        return bool(due.drop or due.create or due.retire)

    def _a_key(self, state: str) -> SigningKeyRow:
        private = Ed25519PrivateKey.generate()
        kid = prefixed("sgn", self._clock(), self._entropy(ENTROPY_BYTES))
        return SigningKeyRow(
            kid=kid,
            state=state,
            public_key=private.public_key().public_bytes_raw(),
            sealed=self._vault.seal(private.private_bytes_raw(), _purpose(kid)),
        )


def kid_of(token: str) -> str | None:
    """Return the name of the key that a token says it is signed with; None for what is no token."""
    if len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError):
        return None
    kid = head.get("kid")
    fits = isinstance(kid, str) and len(kid) <= KID_CHARS_MAX and head.get("typ") == TYPE
    return kid if fits and head.get("alg") == ALGORITHM else None


def _purpose(kid: str) -> str:
    return f"signing key {kid}"


def _jwk(row: SigningKeyRow) -> Jwk:
    return Jwk(kid=row.kid, x=urlsafe_b64encode(row.public_key).decode().rstrip("="))
