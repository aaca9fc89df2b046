"""Accounts that move money: a machine small enough to see through, for tests of what runs it.

Money is what a kernel must neither lose nor double: a transfer takes it from one account and tells
the other, which credits each transfer once. Other messages make the machine misbehave on purpose.
"""

from msgspec import Struct, structs

from actors.kind import Kind
from dispatch.ids import Instant
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse


class Account(Struct, frozen=True, kw_only=True):
    """What an account has, and the transfers it took part in."""

    balance: int = 0
    sent: tuple[str, ...] = ()
    credited: tuple[str, ...] = ()
    charged: int = 0
    due_at: Instant | None = None
    wakes: int = 0
    is_stubborn: bool = False
    is_closed: bool = False


class Deposit(Struct, frozen=True, tag="deposit"):
    """Put money in; answered by the balance."""

    amount: int


class Transfer(Struct, frozen=True, tag="transfer"):
    """Move money to another account."""

    id: str
    to: str
    amount: int


class Credit(Struct, frozen=True, tag="credit"):
    """What a transfer tells the other account."""

    id: str
    amount: int


class Charge(Struct, frozen=True, tag="charge"):
    """Have a card charged by the service `cards`."""

    amount: int


class Charged(Struct, frozen=True, tag="charged"):
    """The service's answer."""

    amount: int


class Notify(Struct, frozen=True, tag="notify"):
    """Put a text into a person's feed."""

    person: str
    text: str


class Remind(Struct, frozen=True, tag="remind"):
    """Be woken at an instant; a stubborn account stays due when it is."""

    at: Instant | None
    is_stubborn: bool = False


class Close(Struct, frozen=True, tag="close"):
    """Finish."""


class Explode(Struct, frozen=True, tag="explode"):
    """Raise."""


class Overflow(Struct, frozen=True, tag="overflow"):
    """Take a balance that no checkpoint can hold."""


class Misaddress(Struct, frozen=True, tag="misaddress"):
    """Say three things, the last of them to nobody."""

    to: str


class Incite(Struct, frozen=True, tag="incite"):
    """Have other accounts misaddress what they say to themselves."""

    whom: tuple[str, ...]


class Spread(Struct, frozen=True, tag="spread"):
    """Credit several accounts once each, under the id of this message."""

    id: str
    to: tuple[str, ...]


class Scatter(Struct, frozen=True, tag="scatter"):
    """Credit another account many times by one step."""

    to: str
    count: int


class Text(Struct, frozen=True, tag="text"):
    """A feed message."""

    text: str


class Deposited(Struct, frozen=True, tag="deposited"):
    """The fact of a deposit."""

    amount: int


class Balance(Struct, frozen=True, tag="balance"):
    """The answer to a deposit."""

    balance: int


type Message = (
    Deposit
    | Transfer
    | Credit
    | Charge
    | Charged
    | Notify
    | Remind
    | Close
    | Explode
    | Overflow
    | Misaddress
    | Incite
    | Spread
    | Scatter
    | Wake
)


def step(before: Account | None, message: Message, now: Instant) -> Step[Account | None]:
    """Move money, or misbehave."""
    account = before or Account()
    if account.is_closed:
        return refuse(account, Code.NOT_LEGAL_NOW)
    match message:
        case Deposit(amount):
            after = structs.replace(account, balance=account.balance + amount)
            return Step(after, (Record(Deposited(amount)), Reply(Balance(after.balance))))
        case Transfer() if before is None:
            return refuse(before, Code.NOT_FOUND)
        case Transfer():
            return _transferred(account, message)
        case Credit(id_) if id_ in account.credited:
            return Step(account, (Reply(Accepted()),))
        case Credit(id_, amount):
            credited = (*account.credited, id_)
            return Step(
                structs.replace(account, balance=account.balance + amount, credited=credited)
            )
        case Close():
            return Step(structs.replace(account, is_closed=True))
        case Explode():
            raise RuntimeError("told to")
        case _:
            return _other(account, message, now)


def _transferred(account: Account, transfer: Transfer) -> Step[Account | None]:
    if transfer.id in account.sent:
        return Step(account, (Reply(Accepted()),))
    if transfer.amount > account.balance:
        return refuse(account, Code.INVALID, "not enough money")
    balance, sent = account.balance - transfer.amount, (*account.sent, transfer.id)
    credit = Tell("account", transfer.to, Credit(transfer.id, transfer.amount))
    return Step(structs.replace(account, balance=balance, sent=sent), (credit, Reply(Accepted())))


def _other(account: Account, message: Message, now: Instant) -> Step[Account | None]:
    match message:
        case Charge():
            return Step(account, (Tell("service:cards", "card", message),))
        case Charged(amount):
            return Step(structs.replace(account, charged=account.charged + amount))
        case Notify(person, text):
            return Step(account, (Tell("feed", person, Text(text)),))
        case Remind(at, is_stubborn):
            return Step(structs.replace(account, due_at=at, is_stubborn=is_stubborn))
        case Wake() if account.due_at is not None and account.due_at <= now:
            due_at = account.due_at if account.is_stubborn else None
            return Step(structs.replace(account, wakes=account.wakes + 1, due_at=due_at))
        case _:
            return Step(*_unruly(account, message))


def _unruly(account: Account, message: Message) -> tuple[Account, tuple[Effect, ...]]:
    match message:
        case Incite(whom):
            return account, tuple(Tell("account", key, Misaddress(key)) for key in whom)
        case Spread(id_, whom):
            return account, tuple(Tell("account", key, Credit(id_, 1)) for key in whom)
        case Scatter(to, count):
            return account, tuple(Tell("account", to, Credit(f"{at}", 1)) for at in range(count))
        case Overflow():
            return structs.replace(account, balance=2**70), ()
        case Misaddress(to):
            credit, nobody = Tell("account", to, Credit("lost", 1)), Tell("nobody", "x", message)
            after = structs.replace(account, balance=-1)
            return after, (Record(Deposited(1)), credit, nobody)
        case _:
            return account, ()


def wakes_at(account: Account) -> Instant | None:
    """Return when the account wants to be woken."""
    return account.due_at


def is_finished(account: Account) -> bool:
    """Tell whether the account is closed."""
    return account.is_closed


def account_kind(
    *, is_durable: bool = True, inbox_max: int = 1_024, inside_max: int = 16_384
) -> Kind[Account, Message]:
    """Return the kind of accounts."""
    return Kind(
        name="account",
        step=step,
        state_type=Account,
        message_type=Message,
        wakes_at=wakes_at,
        is_finished=is_finished,
        is_durable=is_durable,
        inbox_max=inbox_max,
        inside_max=inside_max,
    )


ACCOUNT = account_kind()
