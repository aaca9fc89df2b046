"""A client that insists: the same request until it is answered, at whichever door does so."""

from random import Random

import httpx
import pytest
from trio.testing import MockClock

from simulations.load.api import TRIES_S, Api, ApiFailed, Doors
from simulations.load.tally import Tally


class Street:
    """Doors that answer as the test says, and what was asked of them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.tally = Tally()
        self.doors = Doors(["one:1", "two:2"])
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.api = Api(client, self.doors, self.tally, Random(1))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_request_goes_to_the_next_door_under_the_same_key(
    autojump_clock: MockClock,
) -> None:
    del autojump_clock
    pending = httpx.Response(409, json={"code": "key-pending"})
    street = Street(httpx.ConnectError("gone"), pending, httpx.Response(201, json={}))

    answer = await street.api.ask("POST", "/v1/orders", "token", {"a": 1})

    assert answer.is_success
    assert [one.url.host for one in street.asked] == ["one", "two", "two"]
    assert len({one.headers["Idempotency-Key"] for one in street.asked}) == 1
    assert street.tally.errors == {"http ConnectError": 1, "http 409": 1}


async def test_a_refusal_is_an_answer_and_counted_by_its_code(autojump_clock: MockClock) -> None:
    del autojump_clock
    street = Street(httpx.Response(409, json={"code": "not-cancelable"}))

    answer = await street.api.ask("POST", "/v1/orders/ord_1/cancel", "token")

    assert (answer.status, answer.code) == (409, "not-cancelable")
    assert street.tally.refusals == {"POST 409 not-cancelable": 1}


async def test_a_request_that_nobody_answers_is_given_up(autojump_clock: MockClock) -> None:
    street = Street(httpx.ConnectError("gone"))

    with pytest.raises(ApiFailed):
        await street.api.ask("GET", "/v1/orders")

    assert autojump_clock.current_time() == pytest.approx(TRIES_S)
    assert street.tally.errors["GET unanswered"] == 1


async def test_doors_are_learned_and_those_that_are_gone_forgotten() -> None:
    shown = {"doors": [{"http": "http://three:3"}, {"http": "http://two:2"}]}
    street = Street(httpx.Response(200, json=shown))

    await street.api.look_for_doors()

    assert street.doors.addresses == ("two:2", "three:3")


async def test_an_answer_of_another_form_is_told_and_not_a_traceback() -> None:
    street = Street(httpx.Response(200, text="<html>"))

    with pytest.raises(ApiFailed, match="cannot be read"):
        await street.api.look_for_doors()
