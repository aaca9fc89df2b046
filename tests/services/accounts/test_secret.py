"""Secrets that are handed out can be told from rubbish without asking anybody."""

from random import Random

from services.accounts import secret

CHANCE = Random(7).randbytes


def test_an_api_key_with_one_character_changed_is_none() -> None:
    key = secret.an_api_key(CHANCE, is_live=True)
    changed = [key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1 :] for at in range(8, 59)]

    assert secret.is_api_key(key)
    assert key.startswith("sk_live_")
    assert [one for one in changed if secret.is_api_key(one)] == []


def test_a_hint_gives_next_to_nothing_of_a_key_away() -> None:
    key = secret.an_api_key(CHANCE, is_live=False)

    assert secret.hint_of(key) == f"sk_test_{key[8:12]}..."


def test_a_refresh_token_is_read_back_and_keeps_its_family() -> None:
    session_id = f"ses_{'0' * 26}"
    family, first, second = (secret.a_secret(CHANCE) for _ in range(3))
    token = secret.a_refresh_token(session_id, family, first)

    again = secret.a_refresh_token(session_id, secret.family_of(token), second)

    before, later = secret.refresh_of(token), secret.refresh_of(again)
    assert before is not None
    assert later is not None
    assert (before.session_id, before.family_digest) == (later.session_id, later.family_digest)
    assert before.digest != later.digest
    assert secret.refresh_of("rt_ses_x.y.z") is None
