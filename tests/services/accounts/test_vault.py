"""What is sealed opens for its own purpose, under its own secret, and not otherwise."""

from random import Random

from services.accounts.vault import Vault

PLAIN = b"a private key"


def test_only_the_same_secret_and_purpose_open_what_was_sealed() -> None:
    chance = Random(7).randbytes
    vault, other = Vault("the secret of a cluster", chance), Vault("of another one", chance)

    sealed = vault.seal(PLAIN, "signing key a")

    assert vault.find(sealed, "signing key a") == PLAIN
    assert vault.find(sealed, "signing key b") is None
    assert other.find(sealed, "signing key a") is None
    assert vault.find(sealed[:-1] + bytes([sealed[-1] ^ 1]), "signing key a") is None
    assert vault.find(b"", "signing key a") is None
    assert PLAIN not in sealed
