"""Ended sessions are remembered for as long as their tokens hold, and no longer."""

from dispatch.ids import Instant
from services.accounts.ended import Ended
from wire.accounts import EndedRow


def rows(*told: tuple[str, int]) -> list[EndedRow]:
    return [EndedRow(session_id=name, ended_at=Instant(at)) for name, at in told]


def test_an_ended_session_is_forgotten_when_its_tokens_have_run_out() -> None:
    ended = Ended(kept_s=10, entries_max=100)

    ended.note(rows(("ses_a", 1_000), ("ses_b", 5_000)), Instant(5_000))
    early = ["ses_a" in ended, "ses_b" in ended]
    ended.note((), Instant(11_000))
    late = ["ses_a" in ended, "ses_b" in ended]

    assert (early, late) == ([True, True], [False, True])


def test_past_the_limit_the_oldest_is_forgotten_first() -> None:
    ended = Ended(kept_s=10, entries_max=2)

    ended.note(rows(("ses_c", 3), ("ses_a", 1), ("ses_b", 2)), Instant(3))

    assert [name for name in ("ses_a", "ses_b", "ses_c") if name in ended] == ["ses_b", "ses_c"]


def test_noting_an_end_again_does_not_lengthen_it() -> None:
    ended = Ended(kept_s=10, entries_max=2)

    ended.note(rows(("ses_a", 1_000)), Instant(1_000))
    ended.note(rows(("ses_a", 9_000)), Instant(9_000))
    ended.note((), Instant(11_000))

    assert len(ended) == 0
