"""The rules of accounts: scopes, passwords, addresses, PKCE, and the life of a signing key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.principal import Role, Scope
from services.accounts.rules import (
    PERSONS,
    SCOPES,
    SECOND_FACTOR,
    KeyTerms,
    Rotation,
    challenge_of,
    email_of,
    granted,
    is_redirect_uri,
    is_verified,
    may_make,
    rotation,
    weakness,
)
from wire.accounts import Lockout, SigningKeyRow

TERMS = KeyTerms(active_s=1_000, next_s=100, retiring_s=50)


def a_key(kid: str, state: str, age_s: float) -> SigningKeyRow:
    return SigningKeyRow(kid=kid, state=state, public_key=b"", sealed=b"", age_s=age_s)


def test_every_role_has_its_row_of_scopes() -> None:
    assert set(SCOPES) == set(Role)
    assert SCOPES[Role.ADMIN] == set(Scope)
    assert SCOPES[Role.ANONYMOUS] == set()


def test_only_admins_and_integrators_administer_a_tenant() -> None:
    having = {role for role in Role if Scope.TENANT_ADMIN in SCOPES[role]}

    assert having == {Role.ADMIN, Role.INTEGRATOR}


@given(
    role=st.sampled_from(Role),
    allowed=st.sets(st.sampled_from(Scope)),
    asked=st.none() | st.sets(st.sampled_from([*Scope, "nonsense"])).map(" ".join),
)
def test_a_token_never_opens_more_than_its_role_does(
    role: Role, allowed: set[Scope], asked: str | None
) -> None:
    opened = granted(role, allowed, asked)

    assert opened <= SCOPES[role]
    assert not allowed or opened <= allowed
    assert not (asked or "").split() or opened <= set((asked or "").split())


def test_only_an_admin_makes_staff() -> None:
    makers = {(maker, role) for maker in Role for role in Role if may_make(maker, role)}

    assert {role for maker, role in makers if maker is Role.ADMIN} == PERSONS
    assert {maker for maker, role in makers if role in SECOND_FACTOR} == {Role.ADMIN}
    assert {maker for maker, _ in makers} == {Role.ADMIN, Role.INTEGRATOR}


@pytest.mark.parametrize(
    "password",
    [
        "P4ssw0rd!",
        "welcome2024",
        "12345678",
        "87654321",
        "qwertyuiop",
        "asdfghjkl1",
        "Iloveyou!!",
        "aaaaaaaa1",
        "short",
        "x" * 257,
        "ann@example.com",
        "Annabella7",
    ],
)
def test_a_password_that_anybody_would_try_is_refused(password: str) -> None:
    assert weakness(password, known=("ann@example.com", "Annabella")) is not None


@pytest.mark.parametrize(
    "password", ["correct horse battery", "xk8#mmQp", "tr0ub4dor&3", "zażółć-gęślą"]
)
def test_a_password_of_ones_own_is_taken(password: str) -> None:
    assert weakness(password, known=("ann@example.com", "Ann")) is None


def test_an_address_is_the_same_however_it_is_written() -> None:
    assert email_of("  Ann@Example.COM ") == "ann@example.com"
    assert email_of("\uff41nn@example.com") == "ann@example.com"


@pytest.mark.parametrize(
    "written",
    ["", "ann", "ann@", "@example.com", "a b@example.com", "ann@host", "a@b..com", "a\x00@b.com"],
)
def test_what_is_no_address_is_none(written: str) -> None:
    assert email_of(written) is None


def test_a_challenge_is_the_one_of_the_standards_example() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert is_verified(verifier, challenge_of(verifier))
    assert not is_verified(challenge_of(verifier), challenge_of(verifier))
    assert not is_verified("", "")


@pytest.mark.parametrize(
    ("uri", "is_good"),
    [
        ("https://app.example.com/back", True),
        ("http://127.0.0.1:8123/back", True),
        ("com.example.app:/back", True),
        ("http://app.example.com/back", False),
        ("https://app.example.com/back#part", False),
        ("https://somebody@app.example.com/", False),
        ("https:///back", False),
        ("https://app.example.com:99999/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,hello", False),
        ("https://app.example.com/\r\nLocation: x", False),
        ("https://[::1", False),
    ],
)
def test_a_client_is_only_sent_where_nobody_listens_in(uri: str, is_good: bool) -> None:  # noqa: FBT001
    assert is_redirect_uri(uri) is is_good


def test_the_first_key_signs_at_once() -> None:
    assert rotation([], TERMS, can_sign=False) == Rotation(create=("active",))


def test_a_key_is_published_before_it_signs() -> None:
    young, old = a_key("a", "active", 100), a_key("a", "active", 850)

    assert rotation([young], TERMS, can_sign=True) == Rotation()
    assert rotation([old], TERMS, can_sign=True) == Rotation(create=("next",))


def test_a_key_takes_over_when_it_was_published_and_the_other_is_old() -> None:
    old, unseen, seen = a_key("a", "active", 1_001), a_key("b", "next", 99), a_key("b", "next", 101)

    assert rotation([old, unseen], TERMS, can_sign=True) == Rotation()
    assert rotation([old, seen], TERMS, can_sign=True) == Rotation(retire="a", activate="b")


def test_a_retired_key_is_believed_for_a_while() -> None:
    active, fresh, spent = (
        a_key("b", "active", 1),
        a_key("a", "retiring", 49),
        a_key("a", "retiring", 51),
    )

    assert rotation([active, fresh], TERMS, can_sign=True) == Rotation()
    assert rotation([active, spent], TERMS, can_sign=True) == Rotation(drop=("a",))


def test_a_key_that_nobody_can_open_is_retired_and_another_signs() -> None:
    keys = [a_key("a", "active", 1), a_key("b", "next", 1)]

    due = rotation(keys, TERMS, can_sign=False)

    assert due == Rotation(create=("active",), retire="a", drop=("b",))


def test_each_attempt_waits_twice_as_long_up_to_a_limit() -> None:
    lockout = Lockout(free=3, s_max=60, kept_s=3_600)

    waits_s = [lockout.wait_s(count) for count in (0, 3, 4, 5, 6, 9, 10, 1_000_000)]

    assert waits_s == [0, 0, 1, 2, 4, 32, 60, 60]
