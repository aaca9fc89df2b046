"""What an account service will not do, for a reason that the asker may know.

The reasons are few and say little on purpose: which of an e-mail, a password and a code was wrong
is nobody's business, and neither is whether there is an account at all.
"""

from dispatch.step import Code


class Denied(Exception):
    """It was not done. `oauth` is the name that the token endpoint gives it (RFC 6749, 5.2)."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        oauth: str = "invalid_request",
        retry_s: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.oauth = oauth
        self.retry_s = retry_s


def wrong_credentials() -> Denied:
    """Return the one answer to whoever is not who he says he is."""
    told = "the e-mail address, the password or the code is wrong"
    return Denied(Code.UNAUTHENTICATED, told, oauth="invalid_grant")


def wrong_grant(told: str) -> Denied:
    """Return the answer to a code or a refresh token that is not good, or not any more."""
    return Denied(Code.UNAUTHENTICATED, told, oauth="invalid_grant")


def wrong_client() -> Denied:
    """Return the answer to a client that does not exist, or cannot prove that it is itself."""
    return Denied(Code.UNAUTHENTICATED, "the client or its secret is wrong", oauth="invalid_client")


def not_there() -> Denied:
    """Return the answer to a name of nothing that is the asker's."""
    return Denied(Code.NOT_FOUND, "there is no such thing")
