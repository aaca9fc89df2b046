"""Signing in, staying signed in, and signing out.

There is one way to prove who one is (`prove`), for the token endpoint and the sign-in page alike.
An attempt is counted before anything is compared, and every wrong one costs the same time and gets
the same answer, whatever was wrong. A session begins on a device, and lives by its refresh token,
which is good once: one that comes again was stolen or copied, and ends its session, because nobody
can tell which of the two is the thief.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address

from msgspec import UNSET, Struct, UnsetType, structs

from dispatch.ids import DeviceId, Instant, TenantId, prefixed
from dispatch.step import Code
from services.accounts import secret, totp
from services.accounts.claims import AUDIENCE, Claims, written
from services.accounts.denied import Denied, not_there, wrong_client, wrong_credentials, wrong_grant
from services.accounts.keyring import KeyRing
from services.accounts.passwords import Passwords
from services.accounts.ports import Stores
from services.accounts.principal import Role, Scope
from services.accounts.rules import (
    SCOPES,
    SECOND_FACTOR,
    UNPROVEN,
    email_of,
    granted,
    is_challenge,
    is_id,
    is_verified,
)
from services.accounts.terms import AccountTerms
from services.accounts.vault import Vault
from wire.accounts import Bucket, ClientRow, CodeRow, Discreet, EndedRow, SessionRow, UserRow

ENTROPY_BYTES = 10
DEVICE_NAME_CHARS_MAX = 64
DEVICE_ID_CHARS_MAX = 64
WRITTEN_CHARS_MAX = 512


class Tokens(Discreet, frozen=True, kw_only=True):
    """What signing in gives (RFC 6749, 5.1). `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a kind of token.
    refresh_token: str | UnsetType = UNSET
    device_id: DeviceId | UnsetType = UNSET


class Asker(Struct, frozen=True, kw_only=True):
    """Where somebody signs in from: an address, and the device, if it names itself."""

    address: str = ""
    device_id: str = ""
    device_name: str = ""


class Proof(Discreet, frozen=True, kw_only=True):
    """What somebody says who he is by. `otp` is a code of an app, or a recovery code."""

    email: str
    password: str
    otp: str = ""


@dataclass(slots=True, kw_only=True)
class SignIn:
    """Everything that begins, continues or ends a session."""

    stores: Stores
    ring: KeyRing
    vault: Vault
    passwords: Passwords
    terms: AccountTerms
    clock: Callable[[], Instant]
    entropy: Callable[[int], bytes]
    noted: Callable[[Iterable[EndedRow]], None]
    """Has the access tokens of ended sessions refused here at once."""

    async def find_client(self, client_id: str) -> ClientRow | None:
        """Return a client by its name, which may be anything that somebody sent."""
        return await self.stores.users.find_client(client_id) if is_id(client_id) else None

    async def client(self, client_id: str, client_secret: str) -> ClientRow:
        """Return the client that this is; a public one has no secret to prove itself by."""
        client = await self.find_client(client_id)
        if client is None or not _is_proven(client, client_secret):
            raise wrong_client()
        return client

    async def prove(self, tenant_id: TenantId, proof: Proof, asker: Asker) -> UserRow:
        """Return who somebody is; raises Denied, always the same, for whatever is wrong."""
        email = email_of(proof.email) or ""
        users = self.stores.users
        user = await users.find_user_by_email(tenant_id, email)
        user_id = user.user_id if user is not None else ""
        is_known = await self.stores.sessions.has_device(
            user_id, asker.device_id[:DEVICE_ID_CHARS_MAX]
        )
        buckets = self._buckets(tenant_id, email, asker, is_known=is_known)
        wait_s = await self.stores.attempts.begin(buckets)
        if wait_s > 0:
            told = "too many attempts: wait before the next one"
            raise Denied(Code.RATE_LIMITED, told, oauth="slow_down", retry_s=wait_s)
        kept = user.password_hash if user is not None else ""
        is_right = await self.passwords.is_right(kept, proof.password[:WRITTEN_CHARS_MAX])
        if user is None or not is_right or user.is_blocked:
            raise wrong_credentials()
        await self._prove_second(user, proof.otp)
        await self.stores.attempts.forgive(buckets)
        if self.passwords.is_stale(kept):
            await users.save_password(user_id, kept, await self.passwords.hashed(proof.password))
        return user

    async def by_password(
        self, client: ClientRow, proof: Proof, asker: Asker, scope: str | None
    ) -> Tokens:
        """Begin a session of whoever this is."""
        user = await self.prove(client.tenant_id, proof, asker)
        return await self._begin(user, client.client_id, _scopes(user, client, scope), asker)

    async def issue_code(
        self, client: ClientRow, user: UserRow, redirect_uri: str, challenge: str, scope: str | None
    ) -> str:
        """Return a code that this client can make a session of, once and soon."""
        assert redirect_uri in client.redirect_uris, "whoever asks has checked it"
        assert is_challenge(challenge), "whoever asks has checked it"
        code = secret.a_secret(self.entropy)
        scopes = tuple(sorted(_scopes(user, client, scope)))
        row = CodeRow(
            digest=secret.digest_of(code),
            client_id=client.client_id,
            user_id=user.user_id,
            redirect_uri=redirect_uri,
            challenge=challenge,
            scopes=scopes,
        )
        await self.stores.sessions.keep_code(row, self.terms.code_s)
        return code

    async def by_code(
        self, client: ClientRow, code: str, redirect_uri: str, verifier: str, asker: Asker
    ) -> Tokens:
        """Begin the session that a code is good for; a wrong try uses the code up as well."""
        session_id = self._an_id("ses")
        digest = secret.digest_of(code[:WRITTEN_CHARS_MAX])
        taken = await self.stores.sessions.take_code(digest, session_id)
        if not isinstance(taken, CodeRow):
            self.noted(taken)
            raise wrong_grant("the code is wrong, was used or is too old")
        fits = taken.client_id == client.client_id and taken.redirect_uri == redirect_uri
        if not fits or not is_verified(verifier, taken.challenge):
            raise wrong_grant("the code came for another client, redirect URI or verifier")
        user = await self.stores.users.find_user(client.tenant_id, taken.user_id)
        if user is None or user.is_blocked:
            raise wrong_grant("the account is closed")
        scopes = frozenset(Scope(scope) for scope in taken.scopes)
        return await self._begin(user, client.client_id, scopes, asker, session_id)

    async def by_refresh(
        self, token: str, client_id: str, client_secret: str, scope: str | None
    ) -> Tokens:
        """Continue a session: its next tokens for its last refresh token."""
        presented = secret.refresh_of(token)
        if presented is None:
            raise wrong_grant("the refresh token is wrong")
        following = secret.a_secret(self.entropy)
        session = await self.stores.sessions.rotate(
            presented.session_id,
            presented.family_digest,
            presented.digest,
            secret.digest_of(following),
            idle_s=self.terms.idle_s,
            s_max=self.terms.session_s_max,
        )
        if not isinstance(session, SessionRow):
            self.noted(session)
            raise wrong_grant("the refresh token was used, ended or is too old: sign in again")
        user = await self._continuing(session, client_id, client_secret)
        renewed = secret.a_refresh_token(session.session_id, secret.family_of(token), following)
        scopes = granted(Role(user.role), session.scopes, scope) & frozenset(session.scopes)
        return self._tokens(user, session, scopes, renewed)

    def by_client(self, client: ClientRow, scope: str | None) -> Tokens:
        """Return a token of a client for itself; without a session, since it can ask again."""
        if client.secret_digest is None:
            told = "a public client has nobody to speak for but its users"
            raise Denied(Code.FORBIDDEN, told, oauth="unauthorized_client")
        may = granted(Role.INTEGRATOR, client.scopes, scope)
        scopes = frozenset(one for one in may if one in client.scopes)
        claims = self._claims(
            sub=client.client_id,
            sid=client.client_id,
            tenant_id=client.tenant_id,
            role=Role.INTEGRATOR,
            scope=written(scopes),
            client_id=client.client_id,
        )
        return self._signed(claims)

    async def token_for(
        self, tenant_id: TenantId, user_id: str, device_name: str = "signed in by others"
    ) -> Tokens:
        """Begin a session of somebody without his doing; who may ask for it is the asker's care."""
        user = await self.stores.users.find_user(tenant_id, user_id)
        if user is None:
            raise not_there()
        return (await self.tokens_for((user,), device_name))[0]

    async def tokens_for(self, users: Iterable[UserRow], device_name: str) -> tuple[Tokens, ...]:
        """Begin sessions of several people at once, each on a new device."""
        asker = Asker(device_name=device_name)
        begun = [self._a_session(user, "", SCOPES[Role(user.role)], asker) for user in users]
        rows = [(session, device_name) for _, session, _ in begun]
        self.noted(await self._open(rows))
        return tuple(
            [
                self._tokens(user, session, frozenset(map(Scope, session.scopes)), refresh)
                for user, session, refresh in begun
            ]
        )

    async def end(self, session_id: str) -> None:
        """End a session."""
        self.noted(await self.stores.sessions.end(session_id, "signed out"))

    async def end_all(self, user_id: str, but: str = "", reason: str = "signed out") -> None:
        """End all sessions of a person, except perhaps one."""
        self.noted(await self.stores.sessions.end_all(user_id, but, reason))

    async def revoke(self, token: str) -> None:
        """End the session of a token of either kind; of what is none, nothing (RFC 7009)."""
        if (refresh := secret.refresh_of(token)) is not None:
            ended = self.stores.sessions.end_of_token(refresh.session_id, refresh.family_digest)
            self.noted(await ended)
        elif (claims := self.ring.find_claims(token)) is not None:
            await self.end(claims.sid)

    async def _prove_second(self, user: UserRow, code: str) -> None:
        """Raise Denied unless the person has no second factor, or this is it."""
        if not user.totp_confirmed:
            return
        if not code.strip():
            told = "a code of the authenticator app is needed too: send it as `otp`"
            raise Denied(Code.UNAUTHENTICATED, told, oauth="mfa_required")
        if not await self.takes_code(user, code[:DEVICE_ID_CHARS_MAX]):
            raise wrong_credentials()

    async def takes_code(self, user: UserRow, code: str) -> bool:
        """Take a code of a person's second factor, which is then used up."""
        opened = self.vault.find(user.totp_sealed or b"", f"totp {user.user_id}")
        step = None if opened is None else totp.step_of(opened.decode(), code, self.clock())
        if step is not None:
            return await self.stores.users.take_totp_step(user.user_id, step)
        digest = totp.recovery_digest(code)
        return await self.stores.users.take_recovery_digest(user.user_id, digest)

    async def _continuing(self, session: SessionRow, client_id: str, client_secret: str) -> UserRow:
        """Return whose session it is. A token that another client brings than its own is stolen."""
        if session.client_id:
            client = await self.stores.users.find_client(session.client_id)
            is_its_own = client_id in {"", session.client_id}
            if client is None or not is_its_own or not _is_proven(client, client_secret):
                await self.end(session.session_id)
                raise wrong_client()
        user = await self.stores.users.find_user(session.tenant_id, session.user_id)
        if user is None or user.is_blocked:
            await self.end(session.session_id)
            raise wrong_grant("the account is closed")
        return user

    async def _begin(
        self,
        user: UserRow,
        client_id: str,
        scopes: frozenset[Scope],
        asker: Asker,
        session_id: str = "",
    ) -> Tokens:
        is_known = asker.device_id and await self.stores.sessions.has_device(
            user.user_id, asker.device_id[:DEVICE_ID_CHARS_MAX]
        )
        where = asker if is_known else structs.replace(asker, device_id="")
        user, session, refresh = self._a_session(user, client_id, scopes, where, session_id)
        self.noted(await self._open([(session, asker.device_name[:DEVICE_NAME_CHARS_MAX])]))
        return self._tokens(user, session, scopes, refresh)

    def _a_session(
        self,
        user: UserRow,
        client_id: str,
        scopes: frozenset[Scope],
        asker: Asker,
        session_id: str = "",
    ) -> tuple[UserRow, SessionRow, str]:
        """Return a session that is to begin, and its first refresh token."""
        family, first = secret.a_secret(self.entropy), secret.a_secret(self.entropy)
        session = SessionRow(
            session_id=session_id or self._an_id("ses"),
            tenant_id=user.tenant_id,
            user_id=user.user_id,
            device_id=DeviceId(asker.device_id or self._an_id("dev")),
            client_id=client_id,
            scopes=tuple(sorted(scopes)),
            family_digest=secret.digest_of(family),
            refresh_digest=secret.digest_of(first),
        )
        return user, session, secret.a_refresh_token(session.session_id, family, first)

    async def _open(self, sessions: list[tuple[SessionRow, str]]) -> tuple[EndedRow, ...]:
        return await self.stores.sessions.open(
            sessions, idle_s=self.terms.idle_s, devices_max=self.terms.devices_max
        )

    def _tokens(
        self, user: UserRow, session: SessionRow, scopes: frozenset[Scope], refresh: str
    ) -> Tokens:
        if Role(user.role) in SECOND_FACTOR and not user.totp_confirmed:
            scopes &= UNPROVEN
        claims = self._claims(
            sub=user.user_id,
            sid=session.session_id,
            tenant_id=user.tenant_id,
            role=Role(user.role),
            scope=written(scopes),
            client_id=session.client_id,
            courier_id=user.courier_id,
            restaurant_ids=user.restaurant_ids,
            device_id=session.device_id,
        )
        signed = self._signed(claims)
        return structs.replace(signed, refresh_token=refresh, device_id=session.device_id)

    def _claims(self, **told: object) -> Claims:
        now_s = self.clock() // 1000
        stamp = {
            "iss": self.ring.issuer,
            "aud": AUDIENCE,
            "iat": now_s,
            "exp": now_s + self.terms.token_s,
            "jti": self._an_id("tok"),
        }
        return Claims(**stamp, **told)  # pyright: ignore[reportArgumentType]

    def _signed(self, claims: Claims) -> Tokens:
        token = self.ring.sign(claims)
        return Tokens(access_token=token, expires_in=self.terms.token_s, scope=claims.scope)

    def _an_id(self, prefix: str) -> str:
        return prefixed(prefix, self.clock(), self.entropy(ENTROPY_BYTES))

    def _buckets(
        self, tenant_id: TenantId, email: str, asker: Asker, *, is_known: bool
    ) -> tuple[Bucket, ...]:
        """Return what an attempt counts for.

        From a device that the account knows it counts for that device, so that strangers who guess
        at the account keep its owner waiting nowhere but on a new device.
        """
        terms, account = self.terms, f"{tenant_id} {email}"
        address = Bucket(name=_bucket("address", _network(asker.address)), lockout=terms.by_address)
        if is_known:
            device = _bucket("device", f"{account} {asker.device_id}")
            return (Bucket(name=device, lockout=terms.by_pair, is_reset=True), address)
        pair = _bucket("pair", f"{account} {_network(asker.address)}")
        everywhere = Bucket(name=_bucket("account", account), lockout=terms.by_account)
        return (Bucket(name=pair, lockout=terms.by_pair, is_reset=True), address, everywhere)


def _is_proven(client: ClientRow, client_secret: str) -> bool:
    """Tell whether a client has shown its secret, if it has one."""
    if client.secret_digest is None:
        return True
    return compare_digest(secret.digest_of(client_secret[:WRITTEN_CHARS_MAX]), client.secret_digest)


def _scopes(user: UserRow, client: ClientRow, scope: str | None) -> frozenset[Scope]:
    return granted(Role(user.role), client.scopes, scope)


def _bucket(kind: str, name: str) -> str:
    return sha256(f"{kind} {name}".encode()).hexdigest()[:32]


def _network(address: str) -> str:
    """Return what one subscriber has: an IPv4 address, or the first half of an IPv6 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or parsed.exploded[:19])
    return address
