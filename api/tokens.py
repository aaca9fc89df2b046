"""Tokens over HTTP: OAuth 2 for people and integrators, and the keys that verify what it gives.

`POST /v1/oauth/token` is the one endpoint that answers its refusals in RFC 6749's own form
(`error`, `error_description`) instead of a problem: every OAuth client in the world reads that form
here, and none reads the other. 400 is for whatever is wrong with a grant, 401 for a client that
cannot prove itself, 429 for too many attempts, 503 for too much at once; `mfa_required` says that a
second factor is missing. What is wrong before it is OAuth at all (no JSON, too large) is a problem
as everywhere.

No answer that holds a secret is kept, so that an `Idempotency-Key` does nothing here.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any
from urllib.parse import unquote_plus

from msgspec import Meta, Struct

from api.denials import accounts_of, declining
from api.endpoint import Call, Endpoints
from api.replies import Reply
from dispatch.step import Code
from services.accounts.denied import Denied, wrong_client
from services.accounts.keyring import ALGORITHM, Jwks
from services.accounts.principal import Scope
from services.accounts.sign_in import Asker, Proof, Tokens
from wire.accounts import ClientRow, Discreet

KEYS_S = 300
"""Time for which readers may keep the published keys; a new one is published for longer."""

type Text = Annotated[str, Meta(max_length=512)]
type Token = Annotated[str, Meta(max_length=8192)]

tokens = Endpoints("Tokens", "Signing in by OAuth 2, staying signed in, and signing out.")


class TokenRequest(Discreet, frozen=True, kw_only=True):
    """What a client asks for a token with; which fields count depends on `grant_type`.

    A field that is empty counts as one that is missing (RFC 6749, 3.2).
    """

    grant_type: Text = ""
    client_id: Text = ""
    client_secret: Text = ""
    username: Text = ""
    password: Text = ""
    otp: Text = ""
    code: Text = ""
    redirect_uri: Annotated[str, Meta(max_length=2048)] = ""
    code_verifier: Text = ""
    refresh_token: Token = ""
    scope: Text = ""
    device_id: Text = ""
    device_name: Text = ""


class OAuthProblem(Struct, frozen=True, kw_only=True):
    """Why there is no token (RFC 6749, 5.2)."""

    error: str
    error_description: str


class Revocation(Discreet, frozen=True, kw_only=True):
    """A token of either kind that is to be good no more."""

    token: Token
    token_type_hint: Text = ""


class Revoked(Struct, frozen=True):
    """Nothing to tell: the standard wants 200 with whatever body."""


class Endings(Struct, frozen=True, kw_only=True):
    """How far signing out goes."""

    everywhere: bool = False


class ServerMetadata(Struct, frozen=True, kw_only=True):
    """What this server can do (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    scopes_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = ("query",)
    grant_types_supported: tuple[str, ...] = (
        "authorization_code",
        "password",
        "client_credentials",
        "refresh_token",
    )
    token_endpoint_auth_methods_supported: tuple[str, ...] = (
        "none",
        "client_secret_basic",
        "client_secret_post",
    )
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    access_token_signing_alg_values_supported: tuple[str, ...] = (ALGORITHM,)


@tokens.post(
    "/v1/oauth/token",
    codes=(Code.MALFORMED, Code.OVERLOADED),
    takes_form=True,
    keeps_answer=False,
    refuses_with=OAuthProblem,
)
async def issue_token(call: Call[TokenRequest]) -> Reply[Tokens]:
    """Give an access token for a password, a code, a client's secret or a refresh token.

    A refresh token is good once: keep the new one that comes with each answer. One that is used
    again ends its session, since somebody else may have it.
    """
    try:
        return Reply(value=await _granted(call), headers={"Pragma": "no-cache"})
    except Denied as denied:
        return _refused(denied)


@tokens.post("/v1/oauth/revoke", takes_form=True, keeps_answer=False)
async def revoke_token(call: Call[Revocation]) -> Reply[Revoked]:
    """End the session of a refresh or an access token.

    Who has a token may end it. One that is not good is answered alike (RFC 7009).
    """
    await accounts_of(call.edge).sign_in.revoke(call.body.token)
    return Reply(value=Revoked())


@tokens.post("/v1/accounts/me/sign_out", scope=Scope.ACCOUNT_WRITE)
async def sign_out(call: Call[Endings]) -> Reply[None]:
    """End this session, or all of one's sessions on all devices."""
    sign_in = accounts_of(call.edge).sign_in
    with declining():
        if call.body.everywhere:
            await sign_in.end_all(call.principal.subject)
        else:
            await sign_in.end(call.principal.session_id)
    return Reply(value=None)


@tokens.get("/v1/oauth/jwks")
async def show_keys(call: Call) -> Reply[Jwks]:
    """Show the public keys of access tokens: of today's, tomorrow's, and those still believed."""
    return _keys(call)


@tokens.get("/.well-known/jwks.json")
async def show_known_keys(call: Call) -> Reply[Jwks]:
    """Show the public keys of access tokens, where others look for them."""
    return _keys(call)


@tokens.get("/.well-known/oauth-authorization-server")
async def show_server(call: Call) -> Reply[ServerMetadata]:
    """Show what this authorization server can do, and where (RFC 8414)."""
    base = _base(call)
    told = ServerMetadata(
        issuer=accounts_of(call.edge).ring.issuer,
        authorization_endpoint=f"{base}/v1/oauth/authorize",
        token_endpoint=f"{base}/v1/oauth/token",
        revocation_endpoint=f"{base}/v1/oauth/revoke",
        jwks_uri=f"{base}/v1/oauth/jwks",
        scopes_supported=tuple(scope.value for scope in Scope),
    )
    # The addresses are made of what the asker calls this server: nobody else is to be shown them.
    return Reply(value=told, headers={"Cache-Control": "no-store"})


async def _granted(call: Call[TokenRequest]) -> Tokens:
    asked, sign_in = call.body, accounts_of(call.edge).sign_in
    match asked.grant_type:
        case "password":
            proof = Proof(email=asked.username, password=asked.password, otp=asked.otp)
            client = await _client(call)
            return await sign_in.by_password(client, proof, _asker(call), asked.scope or None)
        case "authorization_code":
            client = await _client(call)
            return await sign_in.by_code(
                client, asked.code, asked.redirect_uri, asked.code_verifier, _asker(call)
            )
        case "client_credentials":
            return sign_in.by_client(await _client(call), asked.scope or None)
        case "refresh_token":
            client_id, client_secret = _credentials(call)
            return await sign_in.by_refresh(
                asked.refresh_token, client_id, client_secret, asked.scope or None
            )
        case "":
            raise Denied(Code.MALFORMED, "say which grant_type it is")
        case _:
            told = "a grant_type is password, authorization_code, client_credentials, refresh_token"
            raise Denied(Code.MALFORMED, told, oauth="unsupported_grant_type")


async def _client(call: Call[TokenRequest]) -> ClientRow:
    client_id, client_secret = _credentials(call)
    if not client_id:
        raise Denied(Code.MALFORMED, "say which client this is, by client_id")
    return await accounts_of(call.edge).sign_in.client(client_id, client_secret)


def _credentials(call: Call[TokenRequest]) -> tuple[str, str]:
    """Return a client's id and secret, by HTTP Basic or from the body."""
    kind, _, told = call.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return call.body.client_id, call.body.client_secret
    try:
        client_id, colon, client_secret = b64decode(told, validate=True).decode().partition(":")
    except (Error, UnicodeDecodeError):
        client_id = colon = client_secret = ""
    if not colon or call.body.client_secret or call.body.client_id not in {"", client_id}:
        raise wrong_client()
    return unquote_plus(client_id), unquote_plus(client_secret)


def _asker(call: Call[TokenRequest]) -> Asker:
    told = call.body
    return Asker(address=call.peer, device_id=told.device_id, device_name=told.device_name)


def _refused(denied: Denied) -> Reply[Any]:
    """Return a refusal in the form that OAuth clients read."""
    status, headers = 400, dict[str, str]()
    match denied.code:
        case Code.RATE_LIMITED:
            status = 429
        case Code.OVERLOADED:
            status = 503
        case _ if denied.oauth == "invalid_client":
            status, headers = 401, {"WWW-Authenticate": 'Basic realm="dispatch"'}
        case _:
            pass
    if denied.retry_s is not None:
        headers["Retry-After"] = str(max(1, ceil(denied.retry_s)))
    told = OAuthProblem(error=denied.oauth, error_description=denied.detail)
    return Reply(value=told, status=status, headers=headers)


def _keys(call: Call) -> Reply[Jwks]:
    headers: Mapping[str, str] = {"Cache-Control": f"public, max-age={KEYS_S}"}
    return Reply(value=accounts_of(call.edge).ring.published(), headers=headers)


def _base(call: Call) -> str:
    """Return how the client reached this server."""
    scheme = "https" if call.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{call.headers.get('host', 'localhost')}"
