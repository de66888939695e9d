"""A settlement's YAML, as it stands in `channels/settlements/*.yaml`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.units import Seconds

OPERATION = r"^[a-z0-9][a-z0-9-]{0,63}\.[A-Za-z0-9_-]{1,64}$"
OperationText = Annotated[str, Field(pattern=OPERATION, description="`system.operation`: `insurance.2207`")]
Waits = Annotated[
    tuple[Seconds, ...],
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value]),
]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class WaitText(_Text):
    """The step ends when a party says so (`for`), or when a query shows it (`ask`)."""

    for_: OperationText | None = Field(
        default=None,
        alias="for",
        description="another name of the step, for notices to any pipeline: `{asks: notice, step: payment.notice}`",
    )
    ask: OperationText | None = Field(default=None, description="what shows it meanwhile: `payment.query`")
    every: Waits = Field(
        default=(3.0, 5.0, 5.0, 10.0, 30.0), description="when it is asked; then the last again"
    )
    until: Seconds = Field(description="how long it waits")
    else_: Literal["cancel", "suspend", "go on"] = Field(
        default="cancel",
        alias="else",
        description="when the time is over: what is done is undone, a person looks, or it goes on without",
    )


FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class ManualText(_Text):
    """The step ends when a person says done or not done. What the form says is a fact, by the step's name."""

    form: list[FieldName] = Field(default=[], max_length=50, description="what a yes must say: its fields")
    roles: list[str] = Field(
        default=[], max_length=20, description="who may decide: one of these; else anybody"
    )
    four_eyes: bool = Field(default=False, description="it needs a second person")
    until: Seconds = Field(default=315_360_000.0, description="how long it waits; by default for ten years")
    else_: Literal["cancel", "suspend", "go on"] = Field(
        default="cancel", alias="else", description="as of `wait`"
    )


class PostText(_Text):
    """A line of the ledger, once the step is done. `{name}` in an account is a fact: `clearing:{channel}`."""

    debit: str = Field(description="the account that gets it: `receivable:fund`")
    credit: str = Field(description="the account that gives it: `transit:{settle_no}`")
    amount: str = Field(description="an expression, in yuan: `$preset.fund_pay_sumamt`")


class AccountText(_Text):
    """What a kind of account is: by what stands before the first colon of its name."""

    type: Literal["asset", "liability", "income", "expense"]
    floor: bool = Field(default=False, description="it never goes below zero: what would is refused")


class TryText(_Text):
    """How a call is tried again that did not leave, or was found not to have been done."""

    first: Seconds = 1.0
    factor: float = Field(default=2.0, ge=1, le=10)
    max: Seconds = 300.0
    times: int = Field(default=8, ge=1, le=1000, description="how often in all")


class ProbeText(_Text):
    """How it is found out whether a call without an answer was done."""

    every: Waits = Field(
        default=(1.0, 3.0, 10.0, 30.0, 120.0, 600.0), description="when it is asked; then the last again"
    )
    lag: Seconds = Field(default=120.0, description="for so long after the call, not found proves nothing")
    give_up: Seconds = Field(
        default=3600.0, description="then it is reversed, or where that cannot be, a person looks"
    )


class StepText(_Text):
    """One step. A step with `ask`, `undo` or `reverse` has an effect that may be unknown, and is then found out."""

    do: OperationText | None = Field(default=None, description="what is asked of a party")
    with_: Any = Field(
        default=None,
        alias="with",
        description="what is sent, as a map's `make`, or `{map: name}`; without it the facts",
    )
    ask: OperationText | None = Field(default=None, description="what shows whether it was done")
    undo: OperationText | None = Field(
        default=None, description="what undoes it, once it is known to be done"
    )
    reverse: OperationText | None = Field(
        default=None,
        description="what makes sure that it is not done, where nobody knows whether it was; of a wait: that it will "
        "not come any more, when the time is over or it is cancelled",
    )
    when: Any = Field(default=None, description="a condition on the facts; without one, always")
    each: str | None = Field(default=None, description="a list: the step is done for each of it, as `$item`")
    in_: int = Field(
        default=1, alias="in", ge=1, le=10_000, description="or for so many at once, as `$items`"
    )
    keep: dict[str, str] = Field(default={}, description="facts from the answer: name to expression")
    check: list[Any] = Field(
        default=[],
        description="what must hold when it is done; else a person looks, or with `else: undo` it is all undone",
    )
    post: list[PostText] = Field(default=[], description="what the ledger has of it")
    wait: WaitText | None = Field(default=None, description="it ends when a party or a query says so")
    manual: ManualText | None = Field(default=None, description="it ends when a person says so")
    pivot: bool = Field(default=False, description="before it what is done is undone, after it only forward")
    forward: bool = Field(
        default=False, description="tried until it is done; nothing is undone because of it"
    )
    emit: str = Field(
        default="", pattern=r"^([a-z][a-z0-9_.]{0,63})?$", description="an event: `settlement.done`"
    )
    retry: TryText = TryText()
    probe: ProbeText = ProbeText()

    @model_validator(mode="after")
    def _does_one_thing(self) -> StepText:
        if sum(one is not None for one in (self.do, self.wait, self.manual)) > 1:
            raise ValueError("a step does something or waits for something or somebody; make two of it")
        calls = self.ask or self.undo or self.reverse or self.with_ is not None
        if self.do is None and (self.ask or (calls and self.wait is None)):
            raise ValueError("ask, undo, reverse and with belong to `do`, or but for ask to `wait`")
        if self.wait is not None and self.reverse and not self.wait.ask:
            raise ValueError("a wait with `reverse` needs `ask`: what came in the last moment is asked about")
        if self.pivot and self.do is None:
            raise ValueError("a pivot does something")
        return self


class SettlementText(_Text):
    """A settlement file: steps in their order, each `- name: {...}`."""

    settlement: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="the name; the file is called so too"
    )
    version: int = Field(default=1, ge=1)
    title: str = Field(default="", description="for people")
    key: str = Field(description="what the caller calls it by: an expression on the request, `$.settle_no`")
    lock: dict[str, str] = Field(
        default={}, description="one settlement at a time of each of these: `{bill: $.bills[].bill_no}`"
    )
    accounts: dict[str, AccountText] = Field(
        default={},
        description="kinds of accounts of its own, or otherwise than they are: `{fund: {type: asset}}`",
    )
    undo: list[str] = Field(
        default=[], description="these are undone in this order among themselves; without it last first"
    )
    steps: list[dict[str, StepText]] = Field(min_length=1, max_length=100)
    tests: list[Any] = Field(default=[], description="cases for `jingluo test`")
