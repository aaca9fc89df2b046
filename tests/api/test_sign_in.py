"""The sign-in page: it gives codes to whom they are for, and sends nobody anywhere else."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

from quart import Response

from services.accounts.rules import challenge_of
from tests.api.tenants import PASSWORD, Tenant, a_tenant

PATH = "/v1/oauth/authorize"
CALLBACK = "https://app.example.com/signed-in?from=us"
VERIFIER = "a-verifier-of-forty-three-characters-or-more"


async def a_client(tenant: Tenant, name: str = "The <app>") -> str:
    body = {"name": name, "is_public": True, "redirect_uris": [CALLBACK]}
    _, client, _ = await tenant.stage.asked("POST", "/v1/clients", tenant.by_key, body)
    return client["client_id"]


def asked(client_id: str, **rest: str) -> dict[str, str]:
    """What a client asks for."""
    return {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "state": "a state & more",
    } | rest


async def opened(tenant: Tenant, told: dict[str, str]) -> tuple[Response, str]:
    shown = await tenant.stage.client.get(f"{PATH}?{urlencode(told)}")
    return shown, await shown.get_data(as_text=True)


async def sent(tenant: Tenant, page: str, **form: str) -> tuple[Response, str]:
    """Send the form of a page."""
    found = re.search(r'name="wanted" value="([^"]+)"', page)
    wanted = {"wanted": unescape(found.group(1))} if found else {}
    shown = await tenant.stage.client.post(PATH, form=wanted | form)
    return shown, await shown.get_data(as_text=True)


def sent_back(shown: Response) -> dict[str, str]:
    """What the client hears, once the person has been sent back to it."""
    assert shown.status_code == 303
    location = urlsplit(shown.headers["Location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK.partition("?")[0]
    return dict(parse_qsl(location.query))


async def test_who_signs_in_on_the_page_is_sent_back_with_a_code_that_works(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email, client_id = await tenant.registered(), await a_client(tenant)
        _, page = await opened(tenant, asked(client_id))
        told = sent_back((await sent(tenant, page, email=email, password=PASSWORD))[0])
        status, tokens, _ = await tenant.token(
            None,
            grant_type="authorization_code",
            client_id=client_id,
            redirect_uri=CALLBACK,
            code=told["code"],
            code_verifier=VERIFIER,
        )

    assert (told["from"], told["state"], told["iss"]) == ("us", "a state & more", "dispatch")
    assert (status, tokens["token_type"]) == (200, "Bearer")


async def test_the_page_can_neither_run_anything_nor_be_framed(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        shown, page = await opened(tenant, asked(await a_client(tenant)))

    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example.com" in policy
    assert "script" not in policy + page
    assert "The &lt;app&gt;" in page
    cookie = shown.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", f"Path={PATH}"))


async def test_nobody_is_sent_where_the_client_has_not_registered(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        client_id = await a_client(tenant)
        wrong = [
            asked(client_id, redirect_uri=CALLBACK + "x"),
            asked(client_id, redirect_uri="https://evil.example.com/"),
            asked(client_id, redirect_uri=""),
            asked("cli_unknown"),
            asked("\x00"),
            {},
        ]
        told = [(await opened(tenant, one))[0] for one in wrong]

    assert [one.status_code for one in told] == [400] * len(wrong)
    assert [one.headers.get("Location") for one in told] == [None] * len(wrong)


async def test_without_a_good_challenge_there_is_no_code(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        client_id = await a_client(tenant)
        wrong = [
            asked(client_id, code_challenge=""),
            asked(client_id, code_challenge_method="plain"),
            asked(client_id, code_challenge="short"),
            asked(client_id, response_type="token"),
        ]
        told = [sent_back((await opened(tenant, one))[0]) for one in wrong]

    assert [one["error"] for one in told] == ["invalid_request"] * 3 + ["unsupported_response_type"]
    assert all("code" not in one and one["state"] for one in told)


async def test_a_wrong_password_shows_the_form_again(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email, client_id = await tenant.registered(), await a_client(tenant)
        _, page = await opened(tenant, asked(client_id))
        wrong, again = await sent(tenant, page, email=email, password="wrong")  # noqa: S106
        nobody, other = await sent(tenant, page, email="x@example.com", password=PASSWORD)
        right, _ = await sent(tenant, again, email=email, password=PASSWORD)

    assert (wrong.status_code, nobody.status_code) == (400, 400)
    assert "is wrong" in again
    assert "is wrong" in other
    assert "code" in sent_back(right)


async def test_a_form_from_elsewhere_is_refused(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email, client_id = await tenant.registered(), await a_client(tenant)
        _, page = await opened(tenant, asked(client_id))
        form = {"email": email, "password": PASSWORD}
        elsewhere = replace(tenant.stage, client=tenant.stage.app.test_client())
        without_cookie, _ = await sent(replace(tenant, stage=elsewhere), page, **form)
        made_up, _ = await sent(tenant, "", wanted="bWFkZSB1cA==", **form)
        nonsense, _ = await sent(tenant, "", wanted="\udc80".encode("utf-8", "replace").decode())
        _, page = await opened(tenant, asked(client_id))
        tenant.moment.later(601)
        too_old, _ = await sent(tenant, page, **form)

    told = (without_cookie, made_up, nonsense, too_old)
    assert [one.status_code for one in told] == [400] * 4
