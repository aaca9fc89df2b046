"""Signing in over HTTP, staying signed in, and signing out: what works, and what must not."""

from base64 import b64encode
from collections.abc import Mapping

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs
from werkzeug.datastructures import Headers

from services.accounts import totp
from services.accounts.rules import challenge_of
from tests.api.tenants import CHEAP, PASSWORD, Tenant, a_tenant, bearer
from wire.accounts import Lockout

VERIFIER = "a-verifier-of-forty-three-characters-or-more"
CALLBACK = "https://app.example.com/signed-in"


async def test_who_registers_can_sign_in_and_see_his_account(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        told = await tenant.signed_in(email)
        status, me, _ = await tenant.stage.asked(
            "GET", "/v1/accounts/me", bearer(told["access_token"])
        )

    assert status == 200
    assert (me["email"], me["role"], me["courier_id"]) == (email, "customer", None)
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert told["device_id"].startswith("dev_")


async def test_a_known_address_registers_like_a_new_one_and_nothing_changes(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        await tenant.registered(" ANN@example.com ", "another-heron-77")
        by_first, _, _ = await tenant.by_password(email)
        by_second, _, _ = await tenant.by_password(email, "another-heron-77")

    assert (by_first, by_second) == (200, 400)


async def test_whatever_was_wrong_the_answer_is_the_same(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        wrong = await tenant.by_password(email, "not-the-password")
        nobody = await tenant.by_password("nobody@example.com")
        nonsense = await tenant.by_password("no address \x7f")

    assert wrong[:2] == nobody[:2] == nonsense[:2]
    assert (wrong[0], wrong[1]["error"]) == (400, "invalid_grant")


async def test_a_token_is_believed_until_it_expires(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        token = (await tenant.signed_in(await tenant.registered()))["access_token"]
        tenant.moment.later(890)
        before = await tenant.me(token)
        tenant.moment.later(11)
        afterwards = await tenant.me(token)

    assert (before, afterwards) == (200, 401)


async def test_a_token_of_another_making_is_refused(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        good = (await tenant.signed_in(await tenant.registered()))["access_token"]
        refused = {name: await tenant.me(token) for name, token in _forged(tenant, good).items()}
        is_good = await tenant.me(good)

    assert is_good == 200
    assert set(refused.values()) == {401}, refused


def _forged(tenant: Tenant, good: str) -> Mapping[str, str]:
    """Tokens that say what a good one says, and are each wrong in one way."""
    ring, head = tenant.service.ring, jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    told = ring.find_claims(good)
    assert told is not None
    public = msgspec.json.decode(msgspec.json.encode(ring.published()))["keys"][0]["x"]
    stranger = Ed25519PrivateKey.generate()
    names = {"kid": head["kid"], "typ": "at+jwt"}
    body, signature = good.rpartition(".")[::2]

    def signed(**names: str) -> str:
        return jwt.encode(claims, stranger, "EdDSA", names)

    return {
        "unsigned": jwt.encode(claims, None, "none", names),  # pyright: ignore[reportArgumentType]
        "signed with the public key as a secret": jwt.encode(claims, public, "HS256", names),
        "signed by a stranger": signed(**names),
        "of an unknown key": signed(**names | {"kid": "sgn_unknown"}),
        "of a path for a key": signed(**names | {"kid": "../../etc/passwd"}),
        "with a key of its own": signed(**names, jwk="{}", jku="https://example.com/keys"),
        "without a key": signed(typ="at+jwt"),
        "of another type": ring_signed(tenant, claims, "JWT"),
        "changed": f"{body}x.{signature}",
        "for another audience": ring.sign(structs.replace(told, aud="another")),
        "of another issuer": ring.sign(structs.replace(told, iss="another")),
        "of no session": ring_signed(tenant, claims | {"sid": ""}, "at+jwt"),
        "expired": ring.sign(structs.replace(told, exp=told.iat - 1)),
        "no token": "a.b.c",
        "too long": "e" * 10_000,
    }


def ring_signed(tenant: Tenant, claims: Mapping[str, object], kind: str) -> str:
    """A token that our own key signs, of a form that our own hand never gives it."""
    signer = tenant.service.ring._signer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert signer is not None
    return jwt.encode(dict(claims), signer[1], "EdDSA", {"kid": signer[0], "typ": kind})


async def test_the_published_keys_verify_what_was_signed(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        token = (await tenant.signed_in(await tenant.registered()))["access_token"]
        _, keys, headers = await tenant.stage.asked("GET", "/.well-known/jwks.json")
        _, server, _ = await tenant.stage.asked("GET", "/.well-known/oauth-authorization-server")

    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["EdDSA"], audience="dispatch", issuer=server["issuer"])
    assert claims["role"] == "customer"
    assert "d" not in keys["keys"][0]
    assert headers["Cache-Control"].startswith("public")
    assert server["code_challenge_methods_supported"] == ["S256"]


async def test_a_refresh_token_is_good_once(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        first = await tenant.signed_in(await tenant.registered())
        status, second = await tenant.refreshed(first["refresh_token"])
        me = await tenant.me(second["access_token"])

    assert (status, me) == (200, 200)
    assert second["refresh_token"] != first["refresh_token"]
    assert second["device_id"] == first["device_id"]


async def test_a_replayed_refresh_token_ends_the_whole_family(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        first = await tenant.signed_in(await tenant.registered())
        _, second = await tenant.refreshed(first["refresh_token"])
        before = await tenant.me(second["access_token"])
        replayed, told = await tenant.refreshed(first["refresh_token"])
        latest, _ = await tenant.refreshed(second["refresh_token"])
        afterwards = await tenant.me(second["access_token"])

    assert (before, replayed, latest, afterwards) == (200, 400, 400, 401)
    assert told["error"] == "invalid_grant"


async def test_a_made_up_refresh_token_ends_nobodys_session(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        good = (await tenant.signed_in(await tenant.registered()))["refresh_token"]
        session, _, _ = good.split(".")
        made_up = await tenant.refreshed(f"{session}.{'A' * 43}.{'B' * 43}")
        nonsense = await tenant.refreshed("rt_nonsense")
        still, _ = await tenant.refreshed(good)

    assert (made_up[0], nonsense[0], still) == (400, 400, 200)


async def test_a_refresh_token_that_another_client_brings_was_stolen(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        other = await _client(tenant, is_public=True)
        good = (await tenant.signed_in(await tenant.registered()))["refresh_token"]
        stolen = await tenant.refreshed(good, client_id=other["client_id"])
        afterwards, _ = await tenant.refreshed(good)

    assert (stolen[0], stolen[1]["error"]) == (401, "invalid_client")
    assert afterwards == 400


async def test_signing_out_everywhere_ends_every_session_at_once(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        here, there = await tenant.signed_in(email), await tenant.signed_in(email)
        by_here = bearer(here["access_token"])
        status, _, _ = await tenant.stage.asked(
            "POST", "/v1/accounts/me/sign_out", by_here, {"everywhere": True}
        )
        old = [await tenant.me(one["access_token"]) for one in (here, there)]
        refreshed = [(await tenant.refreshed(one["refresh_token"]))[0] for one in (here, there)]
        anew = await tenant.me((await tenant.signed_in(email))["access_token"])

    assert (status, old, refreshed, anew) == (204, [401, 401], [400, 400], 200)


async def test_signing_out_here_leaves_other_devices_signed_in(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        here, there = await tenant.signed_in(email), await tenant.signed_in(email)
        by_here = bearer(here["access_token"])
        await tenant.stage.asked("POST", "/v1/accounts/me/sign_out", by_here, {})
        after_it = [await tenant.me(one["access_token"]) for one in (here, there)]

    assert after_it == [401, 200]


async def test_a_revoked_token_of_either_kind_ends_its_session(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        one, two = await tenant.signed_in(email), await tenant.signed_in(email)
        for token in (one["refresh_token"], two["access_token"], "nonsense"):
            status, _, _ = await tenant.stage.asked(
                "POST", "/v1/oauth/revoke", None, {"token": token}
            )
            assert status == 200
        after_it = [await tenant.me(told["access_token"]) for told in (one, two)]

    assert after_it == [401, 401]


async def test_a_token_can_be_narrower_and_never_wider_than_its_role(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        narrow = await tenant.signed_in(email, scope="orders:read tenant:admin nonsense")
        _, renewed = await tenant.refreshed(
            narrow["refresh_token"], scope="orders:read account:read"
        )
        me = await tenant.me(narrow["access_token"])

    assert narrow["scope"] == renewed["scope"] == "orders:read"
    assert me == 403


async def test_too_many_attempts_must_wait_whatever_they_try(database: str, redis_url: str) -> None:
    terms = structs.replace(CHEAP, by_pair=Lockout(free=2, s_max=900, kept_s=900))
    async with a_tenant(database, redis_url, terms) as tenant:
        email = await tenant.registered()
        tries = [(await tenant.by_password(email, "not-the-password"))[0] for _ in range(3)]
        nobody = [(await tenant.by_password("nobody@example.com"))[0] for _ in range(4)]
        status, told, headers = await tenant.by_password(email)

    assert tries == [400, 400, 400]
    assert nobody == [400, 400, 400, 429]
    assert (status, told["error"], headers["Retry-After"]) == (429, "slow_down", "1")


async def test_a_device_that_the_account_knows_is_not_kept_out_by_strangers(
    database: str, redis_url: str
) -> None:
    terms = structs.replace(CHEAP, by_pair=Lockout(free=2, s_max=900, kept_s=900))
    async with a_tenant(database, redis_url, terms) as tenant:
        email = await tenant.registered()
        device_id = (await tenant.signed_in(email))["device_id"]
        tries = [(await tenant.by_password(email, "not-the-password"))[0] for _ in range(5)]
        known = await tenant.signed_in(email, device_id=device_id)
        stranger, _, _ = await tenant.by_password(email)

    assert tries == [400, 400, 400, 429, 429]
    assert known["device_id"] == device_id
    assert stranger == 429


async def test_a_client_speaks_for_itself_by_its_secret(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        made = await _client(tenant, scopes=["orders:read", "restaurants:read"])
        name, text = made["client_id"], made["client_secret"]
        basic = {"Authorization": f"Basic {b64encode(f'{name}:{text}'.encode()).decode()}"}
        by_basic = await tenant.token(basic, grant_type="client_credentials")
        by_body = await tenant.token(
            None,
            grant_type="client_credentials",
            client_id=name,
            client_secret=text,
            scope="orders:read orders:write",
        )
        wrong = await tenant.token(
            None, grant_type="client_credentials", client_id=name, client_secret=text[::-1]
        )
        public = await tenant.token(
            None, grant_type="client_credentials", client_id=tenant.made.client_id
        )
        principal = await tenant.service.find_principal(by_body[1]["access_token"])

    assert by_basic[1]["scope"] == "orders:read restaurants:read"
    assert by_body[1]["scope"] == "orders:read"
    assert "refresh_token" not in by_body[1]
    assert (wrong[0], wrong[1]["error"]) == (401, "invalid_client")
    assert (public[0], public[1]["error"]) == (400, "unauthorized_client")
    assert principal is not None
    assert (principal.subject, principal.tenant_id) == (name, tenant.made.tenant_id)


async def test_a_revoked_client_and_its_tokens_are_refused(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        made = await _client(tenant, scopes=["restaurants:read"])
        told = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
        _, tokens, _ = await tenant.token(None, grant_type="client_credentials", **told)
        before = await tenant.service.find_principal(tokens["access_token"])
        await tenant.stage.asked("DELETE", f"/v1/clients/{made['client_id']}", tenant.by_key)
        afterwards = await tenant.service.find_principal(tokens["access_token"])
        again, _, _ = await tenant.token(None, grant_type="client_credentials", **told)

    assert before is not None
    assert afterwards is None
    assert again == 401


async def test_a_form_is_read_like_json(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        shown = await tenant.stage.client.post(
            "/v1/oauth/token", form=form | {"client_id": tenant.made.client_id}
        )
        none = await tenant.stage.client.post("/v1/oauth/token", form={"grant_type": "implicit"})
        told = [msgspec.json.decode(await one.get_data(as_text=False)) for one in (shown, none)]

    assert (shown.status_code, none.status_code) == (200, 400)
    assert shown.headers["Cache-Control"] == "no-store"
    assert told[1]["error"] == "unsupported_grant_type"


async def test_no_answer_with_a_token_is_kept_under_a_key(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        body = {"grant_type": "password", "username": email, "password": PASSWORD}
        told = body | {"client_id": tenant.made.client_id}
        answers = [await tenant.token({"Idempotency-Key": "k-1"}, **told) for _ in range(2)]
        kept = await tenant.stage.edge.database.call(
            lambda there: there.fetchval("select count(*) from idempotency")
        )

    assert answers[0][1]["access_token"] != answers[1][1]["access_token"]
    assert kept == 0


async def test_the_second_factor_is_asked_for_and_each_code_is_good_once(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        by_me = bearer((await tenant.signed_in(email))["access_token"])
        _, enrolment, _ = await tenant.stage.asked(
            "POST", "/v1/accounts/me/totp", by_me, {"password": PASSWORD}
        )
        first = totp.code_at(enrolment["secret"], tenant.moment())
        confirmed, recovery, _ = await tenant.stage.asked(
            "POST", "/v1/accounts/me/totp/confirm", by_me, {"code": first}
        )
        without = await tenant.by_password(email)
        replayed = await tenant.by_password(email, otp=first)
        tenant.moment.later(60)
        code = totp.code_at(enrolment["secret"], tenant.moment())
        fresh = [(await tenant.by_password(email, otp=code))[0] for _ in range(2)]
        spare = recovery["recovery_codes"][0]
        by_spare = [(await tenant.by_password(email, otp=spare))[0] for _ in range(2)]

    assert confirmed == 200
    assert (without[0], without[1]["error"]) == (400, "mfa_required")
    assert (replayed[0], replayed[1]["error"]) == (400, "invalid_grant")
    assert fresh == [200, 400]
    assert by_spare == [200, 400]


async def test_a_code_of_the_page_is_good_once_for_its_own_client(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        client = await _client(tenant, is_public=True, redirect_uris=[CALLBACK])
        codes = [await _code(tenant, client["client_id"]) for _ in range(4)]
        good = {"client_id": client["client_id"], "redirect_uri": CALLBACK}
        other_client = {"client_id": tenant.made.client_id, "redirect_uri": CALLBACK}
        other_place = good | {"redirect_uri": f"{CALLBACK}/"}
        status, told, _ = await _redeemed(tenant, codes[0], VERIFIER, **good)
        before = await tenant.me(told["access_token"])
        refused = [
            await _redeemed(tenant, codes[1], VERIFIER.replace("a", "b"), **good),
            await _redeemed(tenant, codes[1], VERIFIER, **good),
            await _redeemed(tenant, codes[2], VERIFIER, **other_client),
            await _redeemed(tenant, codes[3], VERIFIER, **other_place),
            await _redeemed(tenant, codes[0], VERIFIER, **good),
        ]
        afterwards = await tenant.me(told["access_token"])

    assert (status, before) == (200, 200)
    assert [(one[0], one[1]["error"]) for one in refused] == [(400, "invalid_grant")] * 5
    assert afterwards == 401, "a code that comes twice ends the session it began"


async def _client(tenant: Tenant, **told: object) -> dict[str, str]:
    status, made, _ = await tenant.stage.asked(
        "POST", "/v1/clients", tenant.by_key, {"name": "Another app", **told}
    )
    assert status == 201, made
    return made


async def _code(tenant: Tenant, client_id: str) -> str:
    """A code as the page gives it."""
    email = await tenant.registered()
    sign_in = tenant.service.sign_in
    client = await sign_in.client(client_id, "")
    user = await tenant.service.stores.users.find_user_by_email(client.tenant_id, email)
    assert user is not None
    return await sign_in.issue_code(client, user, CALLBACK, challenge_of(VERIFIER), None)


async def _redeemed(
    tenant: Tenant, code: str, verifier: str, **told: str
) -> tuple[int, dict[str, str], Headers]:
    return await tenant.token(
        None, grant_type="authorization_code", code=code, code_verifier=verifier, **told
    )
