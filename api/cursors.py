"""Cursors: where a page of a list ended, in a form that nobody should read anything into.

A cursor holds the key of the last thing shown and a mark of the list it came from, so that one that
was cut, made up or taken from another list is refused by name, instead of silently beginning at
some other place. It opens nothing: who may see what is decided anew for every page.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from api.replies import Declined, Flaw, Page
from dispatch.step import Code

LIMIT_MAX = 100
MARK_BYTES = 4
NUMBER_DIGITS_MAX = 18
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")

type Cursor = Annotated[str, Meta(min_length=1, max_length=256, description="A `next_cursor`")]
type Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]


class Stretch(Struct, frozen=True, kw_only=True):
    """Which stretch of a list is wanted."""

    limit: Limit = 50
    after: Cursor | None = None

    def begins_after(self, of_list: str) -> str:
        """Return the key behind which it begins; empty where the list does."""
        return "" if self.after is None else key_of(of_list, self.after)


def cursor(of_list: str, key: str) -> str:
    """Return the cursor that stands behind the thing of that key in that list."""
    said = key.encode()
    return urlsafe_b64encode(_mark(of_list, said) + said).decode().rstrip("=")


def key_of(of_list: str, given: str) -> str:
    """Return the key that a cursor of that list holds; raises `Declined` for any other."""
    try:
        said = urlsafe_b64decode(given.encode() + b"=" * (-len(given) % 4))
        mark, key = said[:MARK_BYTES], said[MARK_BYTES:].decode()
    except (Error, UnicodeError):
        raise _refused() from None
    if mark != _mark(of_list, key.encode()) or _KEY.fullmatch(key) is None:
        raise _refused()
    return key


def number_of(of_list: str, given: str) -> int:
    """Return the same where the keys of the list are numbers."""
    key = key_of(of_list, given)
    if not (key.isdecimal() and len(key) <= NUMBER_DIGITS_MAX):
        raise _refused()
    return int(key)


def page[T, R](
    of_list: str,
    found: Sequence[T],
    limit: int,
    key: Callable[[T], str],
    shown: Callable[[T], R],
) -> Page[R]:
    """Return a page of what was found when one more than `limit` was looked for."""
    taken = found[:limit]
    has_more = len(found) > limit
    return Page(
        items=tuple([shown(one) for one in taken]),
        has_more=has_more,
        next_cursor=cursor(of_list, key(taken[-1])) if has_more else None,
    )


def _refused() -> Declined:
    told = "not a cursor of this list: use the `next_cursor` of a page, or none to begin anew"
    return Declined(Code.INVALID, f"after: {told}", flaws=(Flaw("?/after", Code.INVALID, told),))


def _mark(of_list: str, said: bytes) -> bytes:
    return hashlib.blake2b(said, digest_size=MARK_BYTES, person=of_list.encode()[:16]).digest()
