"""A question is answered once, with a value or with an exception to raise."""

import pytest

from actors.envelope import Question
from actors.failures import ActorGone
from dispatch.step import Accepted


async def test_the_first_answer_counts() -> None:
    question = Question()

    question.settle(Accepted())
    question.settle(ActorGone("too late"))
    answer = await question.answer()

    assert answer == Accepted()


async def test_an_exception_is_raised_at_the_asker() -> None:
    question = Question()

    question.settle(ActorGone("gone"))

    with pytest.raises(ActorGone, match="gone"):
        await question.answer()
