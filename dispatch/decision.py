"""What a round decided about one order, and what it had to choose from.

A decision is a fact: it is filed in the journal under its order, so that long afterwards one can
read why this courier and why then. It holds what the round believed (when the food is ready, how
much there was to plan), the option that was chosen and the best of those that were not, all priced
by the same terms, in seconds of one customer's waiting. What became of a decision (whether the
courier took the order, whether he was still free) is told by the order's own facts, not here.

A decision names couriers. Whom it may be shown to is decided in `api.access`; what each of them is
told is worded in `dispatch.sentences`.
"""

from enum import StrEnum

from msgspec import Struct

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId

KIND = "decision"
"""The kind under which decisions are filed, with the order's id as their key."""
OTHERS_MAX = 5
"""Options kept beside the chosen one."""


class Verdict(StrEnum):
    """What was decided. The values are wire names and never change."""

    SENT = "sent"
    """A courier is to set out for it now."""
    JOINED = "joined"
    """It joins what a courier fetches where he is going, or waiting, already."""
    MOVED = "moved"
    """It leaves one courier and goes to another."""
    TAKEN_BACK = "taken-back"
    """It leaves its courier, and nobody has to be sent for it yet."""
    KEPT_WAITING = "kept-waiting"
    """Its food has been waiting for long, and still nobody is sent for it."""


class Reason(StrEnum):
    """Why now, or why not. The values are wire names and never change."""

    IN_TIME = "in-time"
    """Who sets out now is there as the food is ready."""
    AT_ONCE = "at-once"
    """The food is ready before he can be there, so every minute counts."""
    ON_HIS_WAY = "on-his-way"
    """He fetches food there anyway."""
    CHEAPER = "cheaper"
    """The whole plan is better so, than with it where it was."""
    IMPOSSIBLE = "impossible"
    """Who held it cannot bring it within the limits any more."""
    BUSY = "busy"
    """Everybody has other orders to bring first; somebody is planned for it."""
    NOBODY = "nobody"
    """Nobody was found who could bring it, or nobody for less than leaving it out costs."""


class Terms(Struct, frozen=True, array_like=True):
    """What a courier's trips cost, term by term, in seconds of one customer's waiting.

    Written as arrays, because a decision holds seven of them; a term is only ever added at the end.
    """

    delay_s: float = 0.0
    """How much later the food comes than if a courier had stood ready."""
    ageing_s: float = 0.0
    """What those delays count beyond their length, because long ones are worse."""
    work_s: float = 0.0
    """The courier's travel and service, at its price."""
    end_s: float = 0.0
    """How much farther from the next orders he ends than he begins, at its price."""
    switch_s: float = 0.0
    """What moving orders from those who hold them costs."""
    fairness_s: float = 0.0
    """What spreads work between couriers; negative for one who has had less than others."""

    @property
    def total_s(self) -> float:
        """The sum of the terms, which is what a plan is judged by."""
        return (
            self.delay_s
            + self.ageing_s
            + self.work_s
            + self.end_s
            + self.switch_s
            + self.fairness_s
        )

    def less(self, other: "Terms") -> "Terms":
        """Return by how much each term is more than in `other`."""
        return Terms(
            delay_s=self.delay_s - other.delay_s,
            ageing_s=self.ageing_s - other.ageing_s,
            work_s=self.work_s - other.work_s,
            end_s=self.end_s - other.end_s,
            switch_s=self.switch_s - other.switch_s,
            fairness_s=self.fairness_s - other.fairness_s,
        )


class Option(Struct, frozen=True, array_like=True):
    """One courier's bringing the order: what it adds to the plan, and when it would happen.

    Times are seconds from the round; `ahead` counts the trips that he would make before it.
    """

    courier_id: CourierId
    terms: Terms
    arrival_s: float
    picked_up_s: float
    dropped_off_s: float
    ahead: int


class OrderDecided(Struct, frozen=True, tag="order_decided", kw_only=True):
    """A fact: what a round decided about an order. Seconds are from `at`, when the round looked.

    `held_by` had the order before, `courier_id` is to have it now, or is planned to have it later.
    """

    order_id: OrderId
    restaurant_id: RestaurantId
    number: int
    at: Instant
    verdict: Verdict
    reason: Reason
    courier_id: CourierId | None
    held_by: CourierId | None
    placed_s: float
    ready_s: float
    """When the food was believed to be ready."""
    chosen: Option | None
    others: tuple[Option, ...]
    """The best option of each next-best courier, the best first; `held_by` among them, if he could
    have kept it."""
    leave_out_s: float
    """What leaving the order for later would have cost."""
    saves_s: float = 0.0
    """How much cheaper the chosen option is than leaving the order with `held_by`."""
    sooner: int = 0
    """Couriers who could be at the restaurant before the chosen one, if they dropped all else."""
    orders: int
    couriers: int
    solver: str
    policy: str
    """The version of the policy (see `dispatch.policy.version`)."""
    cut: str = ""
    """Why the plan was not all that the solver would have found; empty when it was."""
