"""The sign-in page: where a client sends its user, and gets a code back by the browser.

A page without a script. What the client asked for goes through the browser sealed, bound to a
cookie that only this page sets, and for ten minutes: a form from anywhere else, or for another
client, is refused. Nobody is sent to an address that the client has not registered, letter by
letter; as long as that is in doubt, the page tells the person what is wrong instead.

Only codes with PKCE by S256 are given (RFC 7636, RFC 9700), and the answer says who gave it
(RFC 9207).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Awaitable, Callable
from math import ceil
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import trio
from msgspec import Meta, Struct
from quart import Response, request
from quart_trio import QuartTrio

from api.denials import accounts_of
from api.limits import neighbourhood
from api.markup import Content, Markup, element, page
from api.ports import Edge
from dispatch.ids import Instant, after
from dispatch.step import Code
from services.accounts.denied import Denied
from services.accounts.rules import is_challenge
from services.accounts.sign_in import Asker, Proof
from storage.database import DatabaseUnreachable
from wire.accounts import ClientRow, Discreet

PATH = "/v1/oauth/authorize"
STYLE_PATH = "/v1/oauth/sign-in.css"
PAGE_S = 600.0
PAGE_ACT_S = 15.0
NONCE_BYTES = 16
COOKIE = "sign_in"
PURPOSE = "sign-in page"
WRITTEN_CHARS_MAX = 16_384
FIELDS_MAX = 16

_STYLE = (Path(__file__).parent / "sign_in.css").read_bytes()
_NONCE = re.compile(r"[0-9a-f]{32}")

type Text = Annotated[str, Meta(max_length=512)]
type Act = Callable[[Edge], Awaitable[Response]]


class Wanted(Struct, frozen=True, kw_only=True):
    """What a client asks for (RFC 6749, 4.1.1, and RFC 7636, 4.3)."""

    client_id: Text = ""
    redirect_uri: Annotated[str, Meta(max_length=2048)] = ""
    response_type: Text = ""
    code_challenge: Text = ""
    code_challenge_method: Text = ""
    scope: Text = ""
    state: Text = ""


class Form(Discreet, frozen=True, kw_only=True):
    """What a person sends; `wanted` is what the client asked for, sealed."""

    wanted: Annotated[str, Meta(max_length=WRITTEN_CHARS_MAX)] = ""
    email: Text = ""
    password: Text = ""
    otp: Text = ""


class Sealed(Struct, frozen=True, kw_only=True):
    """What a form carries back: what was asked for, by which browser, and until when."""

    wanted: Wanted
    nonce: str
    expires_at: Instant


class Stray(Exception):
    """The person cannot be sent back; the sentence tells him why."""


def routes(app: QuartTrio, edge: Edge) -> None:
    """Serve the page."""

    async def show() -> Response:
        return await _tried(edge, _shown)

    async def take() -> Response:
        return await _tried(edge, _taken)

    async def style() -> Response:
        return Response(_STYLE, content_type="text/css")

    app.add_url_rule(PATH, "sign-in page", show, methods=["GET"])
    app.add_url_rule(PATH, "sign-in", take, methods=["POST"])
    app.add_url_rule(STYLE_PATH, "sign-in style", style, methods=["GET"])


async def _tried(edge: Edge, act: Act) -> Response:
    """Do it within its time and limits; what goes wrong is told on a page."""
    address = f"ip:{neighbourhood(request.remote_addr or '')}"
    left = await edge.limits.take(address, "write")
    if not left.is_allowed:
        return _told("Too many requests from this address. Wait a moment.", 429, left.retry_s)
    try:
        with trio.fail_after(PAGE_ACT_S):
            return await act(edge)
    except Stray as stray:
        return _told(str(stray), 400)
    except (DatabaseUnreachable, trio.TooSlowError):
        return _told("Signing in does not work at the moment. Try again in a minute.", 503, 5.0)


async def _shown(edge: Edge) -> Response:
    """Show the form, or send the person back with what the client got wrong."""
    wanted = _read(request.args.to_dict(), Wanted)
    client = await _client(edge, wanted)
    if (fault := _fault(wanted)) is not None:
        return _sent_back(edge, wanted, error=fault[0], error_description=fault[1])
    return _form(edge, wanted, client)


async def _taken(edge: Edge) -> Response:
    """Take the form: send the person back with a code, or show it again."""
    written = await request.get_data(cache=False, as_text=False)
    assert isinstance(written, bytes)
    form = _read(_fields(written), Form)
    wanted = _opened(edge, form.wanted)
    client = await _client(edge, wanted)
    proof = Proof(email=form.email, password=form.password, otp=form.otp)
    sign_in = accounts_of(edge).sign_in
    try:
        user = await sign_in.prove(
            client.tenant_id, proof, Asker(address=request.remote_addr or "")
        )
    except Denied as denied:
        return _form(edge, wanted, client, denied)
    code = await sign_in.issue_code(
        client, user, wanted.redirect_uri, wanted.code_challenge, wanted.scope or None
    )
    return _sent_back(edge, wanted, code=code)


def _fields(written: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(written.decode(), max_num_fields=FIELDS_MAX))
    except ValueError as error:  # Not UTF-8, or too many fields.
        raise Stray("This form cannot be read. Begin again in the app.") from error


def _read[S: Struct](given: dict[str, str], kind: type[S]) -> S:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Stray("Something here is too long. Begin again in the app.") from error


async def _client(edge: Edge, wanted: Wanted) -> ClientRow:
    """Return the client, if it may have the person sent back to where it says."""
    client = await accounts_of(edge).sign_in.find_client(wanted.client_id)
    if client is None:
        raise Stray("The app that sent you here is not known.")
    if wanted.redirect_uri not in client.redirect_uris:
        raise Stray("The app that sent you here wants you sent to an address it has not named.")
    return client


def _fault(wanted: Wanted) -> tuple[str, str] | None:
    """Return what the client got wrong, as OAuth names it."""
    if wanted.response_type != "code":
        return "unsupported_response_type", "the response_type is code"
    if wanted.code_challenge_method != "S256" or not is_challenge(wanted.code_challenge):
        return "invalid_request", "send a code_challenge by code_challenge_method S256"
    return None


def _opened(edge: Edge, written: str) -> Wanted:
    """Return what the form was for, if this page gave it to this browser."""
    try:
        sealed = urlsafe_b64decode(written.encode())
        plain = accounts_of(edge).vault.find(sealed, PURPOSE)
        form = msgspec.msgpack.decode(plain or b"", type=Sealed)
    except (Error, UnicodeError, msgspec.MsgspecError) as error:
        raise Stray("This form is not one of ours. Begin again in the app.") from error
    if form.expires_at < edge.now() or form.nonce != request.cookies.get(COOKIE):
        raise Stray("This form is too old, or was opened elsewhere. Begin again in the app.")
    return form.wanted


def _form(edge: Edge, wanted: Wanted, client: ClientRow, denied: Denied | None = None) -> Response:
    """Return the page with the form, for this browser alone."""
    nonce = _nonce(edge)
    sealed = Sealed(wanted=wanted, nonce=nonce, expires_at=after(edge.now(), PAGE_S))
    written = accounts_of(edge).vault.seal(msgspec.msgpack.encode(sealed), PURPOSE)
    form = element(
        "form",
        element("input", type="hidden", name="wanted", value=urlsafe_b64encode(written).decode()),
        _field("E-mail", name="email", type="email", autocomplete="username", autofocus=True),
        _field("Password", name="password", type="password", autocomplete="current-password"),
        _field(
            "Code of your authenticator app, if you have one",
            is_required=False,
            name="otp",
            autocomplete="one-time-code",
            inputmode="numeric",
        ),
        element("button", "Sign in", type="submit"),
        method="post",
        action=PATH,
    )
    wrong = (
        None if denied is None else element("p", _sentence(denied), class_="wrong", role="alert")
    )
    status, retry_s = (200, None) if denied is None else _status(denied)
    shown = _page(
        status, element("p", f"to go on to {client.name}"), wrong, form, back_to=wanted.redirect_uri
    )
    shown.set_cookie(
        COOKIE,
        nonce,
        max_age=round(PAGE_S),
        path=PATH,
        secure=_is_secure(),
        httponly=True,
        samesite="Strict",
    )
    return _waiting(shown, retry_s)


def _field(label: str, *, is_required: bool = True, **attributes: str | bool) -> Markup:
    field = element("input", required=is_required, maxlength="256", **attributes)
    return element("label", label, field)


def _sentence(denied: Denied) -> str:
    match denied.oauth:
        case "mfa_required":
            return "A code of your authenticator app, or a recovery code, is needed too."
        case "slow_down":
            return f"Too many attempts. Wait {ceil(denied.retry_s or 1)} seconds."
        case "temporarily_unavailable":
            return "Too many people are signing in at once. Try again in a moment."
        case _:
            return "The e-mail address, the password or the code is wrong."


def _status(denied: Denied) -> tuple[int, float | None]:
    by_code = {Code.RATE_LIMITED: 429, Code.OVERLOADED: 503}
    return by_code.get(denied.code, 400), denied.retry_s


def _nonce(edge: Edge) -> str:
    """Return what this browser is known by, so that several of its forms are good at once."""
    known = request.cookies.get(COOKIE, "")
    return known if _NONCE.fullmatch(known) else edge.entropy(NONCE_BYTES).hex()


def _sent_back(edge: Edge, wanted: Wanted, **told: str) -> Response:
    """Send the person back to the client, with a code or an error."""
    query = told | {"iss": accounts_of(edge).ring.issuer}
    if wanted.state:
        query["state"] = wanted.state
    joint = "&" if urlsplit(wanted.redirect_uri).query else "?"
    location = f"{wanted.redirect_uri}{joint}{urlencode(query)}"
    return Response(b"", 303, {"Location": location, "Cache-Control": "no-store"})


def _told(sentence: str, status: int, retry_s: float | None = None) -> Response:
    return _waiting(_page(status, element("p", sentence, class_="wrong", role="alert")), retry_s)


def _waiting(shown: Response, retry_s: float | None) -> Response:
    if retry_s is not None:
        shown.headers["Retry-After"] = str(max(1, ceil(retry_s)))
    return shown


def _page(status: int, *body: Content, back_to: str = "") -> Response:
    """Return a page that nothing can be put into, and that can be put into nothing."""
    written = page("Sign in", STYLE_PATH, element("main", element("h1", "Sign in"), *body))
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
            # Browsers hold a form to this also where its answer sends them on.
            f" form-action 'self' {_source(back_to)}".rstrip()
        ),
        "X-Frame-Options": "DENY",
    }
    return Response(written, status, headers, content_type="text/html; charset=utf-8")


def _source(uri: str) -> str:
    """Return where a URI leads, as a content security policy names it."""
    parts = urlsplit(uri)
    return (
        f"{parts.scheme}://{parts.netloc}" if parts.netloc else parts.scheme and f"{parts.scheme}:"
    )


def _is_secure() -> bool:
    return request.scheme == "https"
