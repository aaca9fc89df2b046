"""Second factors: the codes of the standard, for a short while around their time."""

from random import Random

import pytest

from dispatch.ids import Instant
from services.accounts import totp

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105 - the one of RFC 6238, appendix B.


@pytest.mark.parametrize(
    ("at_s", "code"), [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")]
)
def test_codes_are_those_of_the_standard(at_s: int, code: str) -> None:
    assert totp.code_at(SECRET, Instant(at_s * 1_000)) == code


def test_a_code_is_good_for_its_half_minute_and_the_ones_beside_it() -> None:
    now = Instant(1_111_111_109_000)
    code = totp.code_at(SECRET, now)

    steps = [totp.step_of(SECRET, code, Instant(now + 30_000 * ahead)) for ahead in range(-2, 3)]

    step = now // 30_000
    assert steps == [None, step, step, step, None]


def test_a_code_is_read_with_spaces_and_anything_else_is_wrong() -> None:
    now = Instant(59_000)

    assert totp.step_of(SECRET, " 287 082 ", now) == 1
    assert totp.step_of(SECRET, "", now) is None
    assert totp.step_of(SECRET, "\u0662\u0668\u0667\u0660\u0668\u0662", now) is None


def test_recovery_codes_are_the_same_however_they_are_typed() -> None:
    codes = totp.recovery_codes(Random(7).randbytes)

    assert len(set(codes)) == totp.RECOVERY_CODES
    assert totp.recovery_digest(codes[0]) == totp.recovery_digest(
        codes[0].upper().replace("-", " ")
    )
