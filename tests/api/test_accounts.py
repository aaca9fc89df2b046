"""Accounts over HTTP: one's own, the people of a tenant, keys, clients and devices."""

from typing import Any

import msgspec

from node.accounts import add_admin, bootstrap
from services.accounts import totp
from services.accounts.principal import Principal, Role
from tests.api.tenants import PASSWORD, Tenant, a_tenant, bearer

USERS = "/v1/accounts/users"


async def made(tenant: Tenant, by: str = "", **told: object) -> dict[str, Any]:
    """Have an account made by the tenant's key, or another's."""
    who = bearer(by or tenant.made.api_key)
    body = {"role": "courier", "name": "Bo", "email": "bo@example.com", "password": PASSWORD}
    status, user, _ = await tenant.stage.asked("POST", USERS, who, body | told)
    return {"status": status, **user}


async def principal(tenant: Tenant, token: str) -> Principal:
    found = await tenant.service.find_principal(token)
    assert found is not None
    return found


async def test_a_courier_is_made_by_his_tenant_and_signs_in_as_one(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        user = await made(tenant)
        tokens = await tenant.signed_in("bo@example.com")
        who = await principal(tenant, tokens["access_token"])

    assert user["status"] == 201
    assert who.role is Role.COURIER
    assert who.courier_id == user["courier_id"]
    assert user["courier_id"].startswith("crr_")
    assert (who.subject, who.tenant_id) == (user["user_id"], tenant.made.tenant_id)
    assert (who.device_id, who.session_id[:4]) == (tokens["device_id"], "ses_")


async def test_an_account_made_twice_under_one_key_is_made_once(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        who = {**tenant.by_key, "Idempotency-Key": "k-1"}
        body = {"role": "courier", "name": "Bo", "email": "bo@example.com"}
        first = await tenant.stage.asked("POST", USERS, who, body)
        again = await tenant.stage.asked("POST", USERS, who, body)
        other = await tenant.stage.asked("POST", USERS, tenant.by_key, body)

    assert first[:2] == again[:2]
    assert (other[0], other[1]["code"]) == (409, "already-exists")


async def test_many_accounts_are_made_and_signed_in_at_once(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        people = [{"role": "courier", "name": f"Courier {number}"} for number in range(50)]
        body = {"users": people, "signs_in": True}
        status, told, _ = await tenant.stage.asked("POST", f"{USERS}/batch", tenant.by_key, body)
        who = [await principal(tenant, user["access_token"]) for user in told["users"]]
        renewed, _ = await tenant.refreshed(told["users"][0]["refresh_token"])

    assert (status, renewed) == (201, 200)
    assert [one.courier_id for one in who] == [user["courier_id"] for user in told["users"]]
    assert len({one.device_id for one in who}) == 50


async def test_a_key_makes_no_staff_and_an_admin_does(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        by_key = await made(tenant, role="admin")
        admin = await add_admin(tenant.service, tenant.made.tenant_id, "root@example.com")
        code = totp.code_at(admin.second_factor.secret, tenant.moment())
        tokens = await tenant.signed_in(admin.email, admin.password, otp=code)
        by_admin = await made(tenant, tokens["access_token"], role="support")

    assert by_key["status"] == 403
    assert by_admin["status"] == 201


async def test_staff_without_a_second_factor_can_do_nothing_but_get_one(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        admin = await add_admin(tenant.service, tenant.made.tenant_id, "root@example.com")
        code = totp.code_at(admin.second_factor.secret, tenant.moment())
        root = await tenant.signed_in(admin.email, admin.password, otp=code)
        await made(tenant, root["access_token"], role="support", email="sue@example.com")
        before = await tenant.signed_in("sue@example.com")
        by_sue = bearer(before["access_token"])
        path = "/v1/accounts/me/totp"
        refused = await tenant.stage.asked("POST", path, by_sue, {"password": "not-the-one"})
        _, enrolment, _ = await tenant.stage.asked("POST", path, by_sue, {"password": PASSWORD})
        first = totp.code_at(enrolment["secret"], tenant.moment())
        await tenant.stage.asked("POST", "/v1/accounts/me/totp/confirm", by_sue, {"code": first})
        tenant.moment.later(60)
        second = totp.code_at(enrolment["secret"], tenant.moment())
        afterwards = await tenant.signed_in("sue@example.com", otp=second)

    assert before["scope"] == "account:read account:write"
    assert refused[0] == 401
    assert "orders:read" in afterwards["scope"]


async def test_another_tenants_people_keys_and_clients_do_not_exist(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        others = await bootstrap(tenant.service, "Herons")
        by_others = bearer(others.api_key)
        user = await made(tenant)
        keys = (await tenant.stage.asked("GET", "/v1/api_keys", tenant.by_key))[1]["data"]
        client_id = tenant.made.client_id
        asked = [
            await tenant.stage.asked(verb, path, by_others, body)
            for verb, path, body in (
                ("GET", f"{USERS}/{user['user_id']}", None),
                ("PATCH", f"{USERS}/{user['user_id']}", {"is_blocked": True}),
                ("POST", f"{USERS}/{user['user_id']}/token", None),
                ("DELETE", f"/v1/api_keys/{keys[0]['key_id']}", None),
                ("DELETE", f"/v1/clients/{client_id}", None),
            )
        ]
        listed = (await tenant.stage.asked("GET", USERS, by_others))[1]["data"]
        still = await tenant.signed_in("bo@example.com")

    assert [one[0] for one in asked] == [404] * 5
    assert listed == []
    assert still


async def test_restaurant_staff_works_for_restaurants_of_its_own_tenant_only(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        user = await made(tenant, role="restaurant", restaurant_ids=["rst_of_others"])
        courier = await made(tenant, role="courier", restaurant_ids=["rst_of_others"])

    assert (user["status"], courier["status"]) == (422, 422)


async def test_who_is_blocked_is_out_at_once_and_stays_out(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        user = await made(tenant)
        tokens = await tenant.signed_in("bo@example.com")
        path = f"{USERS}/{user['user_id']}"
        status, told, _ = await tenant.stage.asked(
            "PATCH", path, tenant.by_key, {"is_blocked": True}
        )
        me = await tenant.me(tokens["access_token"])
        refreshed, _ = await tenant.refreshed(tokens["refresh_token"])
        anew, _, _ = await tenant.by_password("bo@example.com")
        unblocked = await tenant.stage.asked("PATCH", path, tenant.by_key, {"is_blocked": False})
        by_then = await tenant.signed_in("bo@example.com")

    assert (status, told["is_blocked"]) == (200, True)
    assert (me, refreshed, anew) == (401, 400, 400)
    assert (unblocked[0], by_then["token_type"]) == (200, "Bearer")


async def test_somebody_is_signed_in_by_his_tenant_unless_he_is_staff(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        user = await made(tenant, password=None, email=None)
        admin = await add_admin(tenant.service, tenant.made.tenant_id, "root@example.com")
        told = [
            await tenant.stage.asked("POST", f"{USERS}/{user_id}/token", tenant.by_key)
            for user_id in (user["user_id"], admin.user_id)
        ]
        me = await tenant.me(told[0][1]["access_token"])

    assert [one[0] for one in told] == [200, 403]
    assert me == 200


async def test_an_api_key_is_shown_once_and_refused_when_revoked(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        body = {"name": "reports", "scopes": ["tenant:admin", "orders:read"]}
        status, key, _ = await tenant.stage.asked("POST", "/v1/api_keys", tenant.by_key, body)
        by_new = bearer(key["api_key"])
        _, listed, _ = await tenant.stage.asked("GET", "/v1/api_keys", by_new)
        path = f"/v1/api_keys/{key['key_id']}"
        revoked = [(await tenant.stage.asked("DELETE", path, by_new))[0] for _ in range(2)]
        afterwards = await tenant.service.find_principal(key["api_key"])
        kept = await tenant.stage.edge.database.call(
            lambda there: there.fetchval("select string_agg(api_key::text, '') from api_key")
        )

    assert status == 201
    assert key["api_key"].startswith("sk_test_")
    assert all("api_key" not in one for one in listed["data"])
    assert revoked == [204, 401]
    assert afterwards is None
    assert key["api_key"] not in kept


async def test_nobody_gives_a_key_or_a_client_more_than_he_has(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        _, narrow, _ = await tenant.stage.asked(
            "POST", "/v1/api_keys", tenant.by_key, {"name": "keys", "scopes": ["tenant:admin"]}
        )
        wider = {"name": "wide", "scopes": ["orders:write"]}
        asked = [
            await tenant.stage.asked("POST", path, bearer(narrow["api_key"]), wider)
            for path in ("/v1/api_keys", "/v1/clients")
        ]
        person = {"name": "a person's", "scopes": ["account:read"]}
        beyond, _, _ = await tenant.stage.asked("POST", "/v1/api_keys", tenant.by_key, person)

    assert [one[0] for one in asked] == [403, 403]
    assert beyond == 403


async def test_a_client_is_not_made_with_a_redirect_that_others_could_hear(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as tenant:
        status, told, _ = await tenant.stage.asked(
            "POST",
            "/v1/clients",
            tenant.by_key,
            {"name": "App", "is_public": True, "redirect_uris": ["http://example.com/"]},
        )

    assert (status, told["code"]) == (422, "invalid")


async def test_ones_devices_are_listed_named_and_forgotten(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        phone = await tenant.signed_in(email, device_name="a phone")
        laptop = await tenant.signed_in(email, device_name="a laptop")
        by_laptop, path = bearer(laptop["access_token"]), f"/v1/devices/{phone['device_id']}"
        named, _, _ = await tenant.stage.asked("PATCH", path, by_laptop, {"name": "my phone"})
        _, listed, _ = await tenant.stage.asked("GET", "/v1/devices", by_laptop)
        forgotten = [(await tenant.stage.asked("DELETE", path, by_laptop))[0] for _ in range(2)]
        by_phone = await tenant.me(phone["access_token"])

    assert (named, forgotten, by_phone) == (204, [204, 404], 401)
    assert {one["name"]: one["is_this"] for one in listed["data"]} == {
        "a laptop": True,
        "my phone": False,
    }


async def test_a_device_of_somebody_else_is_none(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        ann = await tenant.signed_in(await tenant.registered())
        bob = await tenant.signed_in(await tenant.registered("bob@example.com"))
        path, by_bob = f"/v1/devices/{ann['device_id']}", bearer(bob["access_token"])
        named, _, _ = await tenant.stage.asked("PATCH", path, by_bob, {"name": "mine"})
        forgotten, _, _ = await tenant.stage.asked("DELETE", path, by_bob)
        borrowed = await tenant.signed_in("bob@example.com", device_id=ann["device_id"])

    assert (named, forgotten) == (404, 404)
    assert borrowed["device_id"] != ann["device_id"]


async def test_a_changed_password_signs_one_out_elsewhere(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        email = await tenant.registered()
        here, there = await tenant.signed_in(email), await tenant.signed_in(email)
        by_here, path = bearer(here["access_token"]), "/v1/accounts/me/password"
        wrong, _, _ = await tenant.stage.asked(
            "POST", path, by_here, {"password": "not-the-one", "new_password": "heron-lake-19"}
        )
        weak, _, _ = await tenant.stage.asked(
            "POST", path, by_here, {"password": PASSWORD, "new_password": "password123"}
        )
        good, _, _ = await tenant.stage.asked(
            "POST", path, by_here, {"password": PASSWORD, "new_password": "heron-lake-19"}
        )
        after_it = [await tenant.me(one["access_token"]) for one in (here, there)]
        old, _, _ = await tenant.by_password(email)
        new, _, _ = await tenant.by_password(email, "heron-lake-19")

    assert (wrong, weak, good) == (401, 422, 204)
    assert after_it == [200, 401]
    assert (old, new) == (400, 200)


async def test_nobody_changes_his_own_role_or_tenant(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        token = (await tenant.signed_in(await tenant.registered()))["access_token"]
        status, told, _ = await tenant.stage.asked(
            "PATCH",
            "/v1/accounts/me",
            bearer(token),
            {"name": "Ann Heron", "role": "admin", "is_blocked": True, "tenant_id": "tnt_x"},
        )
        listed, _, _ = await tenant.stage.asked("GET", USERS, bearer(token))

    assert (status, listed) == (200, 403)
    assert (told["name"], told["role"], told["is_blocked"]) == ("Ann Heron", "customer", False)


async def test_people_are_listed_page_by_page(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        people = [{"role": "courier", "name": f"Courier {number}"} for number in range(5)]
        await tenant.stage.asked("POST", f"{USERS}/batch", tenant.by_key, {"users": people})
        seen, path = list[str](), f"{USERS}?limit=2&role=courier"
        _, told, _ = await tenant.stage.asked("GET", path, tenant.by_key)
        seen += [user["name"] for user in told["data"]]
        while told["has_more"]:
            after = f"{path}&after={told['next_cursor']}"
            _, told, _ = await tenant.stage.asked("GET", after, tenant.by_key)
            seen += [user["name"] for user in told["data"]]

    assert sorted(seen) == [person["name"] for person in people]


async def test_sign_out_on_one_node_is_known_on_the_others_at_their_next_look(
    database: str, redis_url: str
) -> None:
    async with a_tenant(database, redis_url) as here, a_tenant(database, redis_url) as there:
        tokens = await here.signed_in(await here.registered())
        who = await principal(here, tokens["access_token"])
        before = await there.service.find_principal(tokens["access_token"])
        await here.service.sign_in.end(who.session_id)
        await there.service.look()
        afterwards = await there.service.find_principal(tokens["access_token"])

    assert before == who, "a node believes what another has signed"
    assert afterwards is None
    assert there.service.is_ended(who.session_id)


async def test_nothing_secret_shows_in_what_is_printed(database: str, redis_url: str) -> None:
    async with a_tenant(database, redis_url) as tenant:
        await tenant.registered()
        users = tenant.service.stores.users
        user = await users.find_user_by_email(tenant.made.tenant_id, "ann@example.com")
        assert user is not None
        tokens = (await tenant.service.sign_in.tokens_for((user,), "test"))[0]
        shown = f"{user!r} {tokens!r} {tenant.made!r}"

    secrets = (user.password_hash, tokens.access_token, tokens.refresh_token, tenant.made.api_key)
    assert [one for one in secrets if not one or str(one) in shown] == []
    assert msgspec.json.encode(tokens)
