"""Who has a session on this node: one for each device, a few for each courier."""

import pytest

from api.roster import DEVICES_MAX, SPOKES, Roster
from dispatch.ids import CourierId, DeviceId, ShardId
from storage.acts import Home
from wire.frames import CloseCode

ANN, BOB = CourierId("crr_ann"), CourierId("crr_bob")


class Session:
    """A session that leaves when it is ended, as real ones do."""

    def __init__(
        self, roster: "Roster[Session]", courier_id: CourierId, device: str, number: int = 1
    ) -> None:
        self._roster = roster
        self.courier_id = courier_id
        self.device_id = DeviceId(device)
        self.id = f"ses_{number:03}"
        self.home: Home | None = None
        self.spoke = 0
        self.code: CloseCode | None = None
        roster.arrive(self)
        roster.admit(self)

    def end(self, code: CloseCode) -> None:
        self.code = code
        self._roster.leave(self)


@pytest.fixture
def roster() -> Roster[Session]:
    return Roster()


def test_a_device_has_one_session(roster: Roster[Session]) -> None:
    first = Session(roster, ANN, "phone")
    other = Session(roster, BOB, "phone")
    second = Session(roster, ANN, "phone")

    assert (first.code, other.code, second.code) == (CloseCode.REPLACED, None, None)
    assert set(roster) == {other, second}


def test_one_device_too_many_takes_the_place_of_the_first(roster: Roster[Session]) -> None:
    devices = [Session(roster, ANN, f"dev_{number}") for number in range(DEVICES_MAX + 1)]

    assert [one.code for one in devices] == [CloseCode.REPLACED, *DEVICES_MAX * [None]]


def test_a_later_session_elsewhere_ends_the_one_here_and_an_earlier_one_does_not(
    roster: Roster[Session],
) -> None:
    session = Session(roster, ANN, "phone", number=5)

    roster.replace(ANN, session.device_id, "ses_004")
    roster.replace(ANN, session.device_id, session.id)
    roster.replace(ANN, DeviceId("tablet"), "ses_006")
    before = session.code
    roster.replace(ANN, session.device_id, "ses_006")

    assert (before, session.code) == (None, CloseCode.REPLACED)


def test_all_devices_of_a_courier_know_where_he_lives(roster: Roster[Session]) -> None:
    phone, tablet = Session(roster, ANN, "phone"), Session(roster, ANN, "tablet")
    other, home = Session(roster, BOB, "phone"), Home(ShardId(7), is_on_shift=True)

    roster.settle(ANN, home)

    assert (phone.home, tablet.home, other.home) == (home, home, None)


def test_every_session_is_looked_at_once_in_a_round_of_turns(roster: Roster[Session]) -> None:
    sessions = {Session(roster, CourierId(f"crr_{number}"), "phone") for number in range(95)}

    turns = [roster.spoke(turn) for turn in range(SPOKES)]

    assert sum(map(len, turns)) == 95
    assert {session for turn in turns for session in turn} == sessions
    assert max(map(len, turns)) == 10


def test_a_session_that_leaves_twice_takes_nobody_along(roster: Roster[Session]) -> None:
    phone, tablet = Session(roster, ANN, "phone"), Session(roster, ANN, "tablet")

    roster.leave(phone)
    roster.leave(phone)

    assert set(roster) == {tablet}
    assert roster.courier_ids() == (ANN,)
