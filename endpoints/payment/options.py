"""What systems.yaml and a channel may say of any payment channel (支付渠道)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from config.registry import nearest
from config.units import Seconds, Size
from endpoints.base import Listed, Options
from endpoints.payment.party import OPERATIONS


class PaymentOptions(Options):
    """The base of each kind's own; asked by `send: wechat.create`, or each message says: `send: {system: wechat}`."""

    operation_field: ClassVar[str] = "operation"
    system_field: ClassVar[str] = "name"
    known: ClassVar[tuple[str, ...]] = OPERATIONS  # a kind with more of its own says so

    name: str = Field(
        "",
        max_length=40,
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="what its orders are kept under: the system's name. Say it where that changes",
    )
    operation: str = Field("", description="what is asked; without it each message says, by `param.code`")
    waits: str = Field(
        "",
        max_length=60,
        description="the step of a settlement that waits for the money of its orders, or the `for` of its wait; else "
        "`payment.notice`, `<name>.notice` and `paid`, the first that there is",
    )
    returns: str = Field(
        "",
        max_length=60,
        description="the pipeline that gives back money which came for what had ended: it is begun with `number`, "
        "`system`, `order`, `amount`, `settlement`",
    )
    statement: str = Field(
        "",
        max_length=40,
        description="the form of its statements, where it is not its kind's own: `aggregated`",
    )
    accounts: Listed = Field(
        (), description="what the ledger has of it, `clearing:wechat`; without it `clearing:<name>`"
    )
    sweep_after: Seconds = Field(60.0, description="orders younger than that are not asked about by `sweep`")
    open_for: Seconds = Field(10_800.0, description="an order unpaid for so long is closed by `sweep`")
    sweep_at_once: int = Field(200, ge=1, le=1000, description="orders, and refunds, of one `sweep`")
    max_input: Size = Field(1_000_000, description="of a message's body")

    @field_validator("operation")
    @classmethod
    def _operation(cls, name: str) -> str:
        if name and name not in cls.known:
            meant = nearest(name, cls.known)
            hint = f"; did you mean {meant}?" if meant else f"; there are {', '.join(cls.known)}"
            raise ValueError(f"no operation of a payment channel is called {name[:40]!r}{hint}")
        return name
