"""A settlement's pipeline, compiled: what `router/settlement/decide.py` reads. Nothing here runs anything.

The facts of a settlement are one JSON tree: the request's fields, and beside them what steps kept, by name. They only
grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from channels.settling.accounts import Account

Facts = Mapping[str, Any]
Test = Callable[[Facts], bool]
Read = Callable[[Facts], Any]

MAX_ITEMS = 10_000  # of one step's `each`


class Operation(NamedTuple):
    """`insurance.2207`: what is asked of which system."""

    system: str
    name: str

    def __str__(self) -> str:
        return f"{self.system}.{self.name}"


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold once a step is done. Where it does not hold a person looks, or all that is done is undone."""

    name: str
    holds: Test
    otherwise: Literal["suspend", "undo"] = "suspend"
    text: str = ""  # for the caller, where it does not hold


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of the ledger, of a step that is done. `amount` is yuan (Decimal); nothing is posted of None or 0."""

    debit: Read
    credit: Read
    amount: Read


@dataclass(frozen=True, slots=True)
class Probing:
    """When a party is asked what became of a call, in seconds after the answer was missed; then the last again.

    `lag_s`: for so long "not found" proves nothing. `give_up_s`: then the policy decides (reverse, or a person).
    """

    every_s: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 120.0, 600.0)
    lag_s: float = 120.0
    give_up_s: float = 3600.0

    def wait_s(self, asked: int) -> float:
        """How long to wait before probe number `asked`, from 0.

        >>> [Probing().wait_s(n) for n in (0, 1, 5, 50)]
        [1.0, 3.0, 600.0, 600.0]
        """
        return self.every_s[min(asked, len(self.every_s) - 1)]


@dataclass(frozen=True, slots=True)
class Trying:
    """How a call that was refused for now, or could not be sent, is tried again; and how often at the most."""

    first_s: float = 1.0
    factor: float = 2.0
    max_s: float = 300.0
    times: int = 8

    def wait_s(self, tried: int) -> float:
        """How long to wait after try number `tried`, from 1."""
        return float(min(self.first_s * self.factor ** min(tried - 1, 64), self.max_s))


@dataclass(frozen=True, slots=True)
class Until:
    """What a step waits for: a notice, or what a probe finds; and what becomes of it when the time is over.

    `notice` is another name for the step, by which a party's notices reach it in any pipeline: `payment.notice`.
    """

    deadline_s: float
    otherwise: Literal["cancel", "suspend", "go on"] = "cancel"
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Manual:
    """Of a step that waits for a person's decision: what it must say, who may say it, and whether it needs two."""

    form: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()  # one of these; none: anybody
    four_eyes: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """`do` may be none: a step that only waits, checks, posts or says something. With `ask`, `undo` or `reverse` its
    effect may be unknown, and is then found out; without any of them it is simply called again. The `reverse` of a step
    that waits makes sure that what it waits for will not come any more.
    """

    name: str
    do: Operation | None = None
    make: Read | None = None  # what is sent; without it the facts
    ask: Operation | None = None
    undo: Operation | None = None
    reverse: Operation | None = None
    when: Test | None = None
    each: Read | None = None  # a list: the step is done once for each so many of it
    at_once: int = 1
    keep: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)  # name: read of the answer
    checks: tuple[Check, ...] = ()
    post: tuple[Posting, ...] = ()
    wait: Until | None = None
    manual: Manual | None = None  # it waits for a person: with `wait`
    pivot: bool = False  # before it what is done is undone; after it there is only forward
    forward: bool = False  # nothing before it is undone because of it: it is tried until it is done
    emit: str = ""  # an event, once all before it is done
    probing: Probing = Probing()
    trying: Trying = Trying()

    @property
    def unknowable(self) -> bool:
        """Whether it may have had an effect that nobody heard of."""
        return bool(self.ask or self.undo or self.reverse)

    @property
    def apart(self) -> bool:
        """Whether each of its times is by itself: one that is not done holds none of the others up."""
        return self.forward and self.each is not None


@dataclass(frozen=True, slots=True)
class Definition:
    """A pipeline. `digest` is that of its file: a settlement goes on by the definition it began with."""

    name: str
    version: int
    digest: str
    title: str
    key: Read
    steps: tuple[Step, ...]
    lock: Mapping[str, Read] = field(
        default_factory=dict
    )  # a kind of thing to its values: one settlement at a time
    accounts: Mapping[str, Account] = field(default_factory=dict)  # its own kinds, beside ACCOUNTS
    undo: tuple[str, ...] = ()  # steps that are undone in this order among themselves, not last first

    def noticed(self, name: str) -> Step | None:
        """The step that a notice means: by its name, or the `for` of its `wait`."""
        return next((s for s in self.steps if s.name == name or (s.wait and s.wait.notice == name)), None)

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)
