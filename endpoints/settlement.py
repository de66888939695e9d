"""Settlements as a destination: a message begins one, asks about one, cancels one, or is a party's notice.

The engine carries them out (`ground.settle`); here stands what a caller sends and hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from config import registry
from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground, Options
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
RESULTS = {"COMPLETED": "done", "COMPENSATED": "nothing", "REJECTED": "nothing"}
NOTICES = {
    "done": "done 已完成",
    "nothing": "nothing was taken, it may be begun anew 未扣费，可重新办理",
    "pending": "under way, do not pay again 处理中，请勿重复支付",
}


class SettlementOptions(Options):
    """`send: {settlement: outpatient-insured}`, or `send: {settlement: {asks: show}}`."""

    short: ClassVar[str] = "begins"

    begins: str = Field("", description="the name of a pipeline of channels/settlements/")
    named: str = Field(
        "", description="or what names it: a parameter of the path, or a field of the message, such as `kind`"
    )
    only: tuple[str, ...] = Field(
        (), max_length=500, description="of `named`: the pipelines that may be begun"
    )
    asks: Literal["", "show", "cancel", "notice"] = Field(
        "",
        description="show or cancel one, or a party's notice; its `number` is in the message or in the path",
    )
    whole: bool = Field(False, description="of show: the answer has the `request` too, for a refund say")
    step: str = Field("", description="of a notice: the step that it is about, or the `for` of its `wait`")
    about: Literal["do", "undo"] = Field("do", description="of a notice: undo where it is of a refund")
    within: float = Field(
        20.0, ge=0, le=600, description="how long a caller waits for what it comes to, in seconds"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> SettlementOptions:
        if sum(map(bool, (self.begins, self.named, self.asks))) != 1:
            raise ValueError(
                "write a pipeline's name, what names it, or what is asked of one: `{asks: show}`"
            )
        if bool(self.named) != bool(self.only):
            raise ValueError("`named` and `only`, the pipelines that may be begun, go together")
        if (self.asks == "notice") != bool(self.step):
            raise ValueError("`step` goes with `asks: notice`")
        return self


@registry.destination("settlement")
class SettlementDestination:
    """Answers with number, state and facts as JSON."""

    Options: ClassVar[type[Options]] = SettlementOptions
    codes = frozenset(("COMPLETED", "COMPENSATED", "REJECTED", "SUSPENDED", "WAITING", "RUNNING", "LATE"))

    def __init__(self, options: SettlementOptions, ground: Ground) -> None:
        self.options = options
        self._ground = ground

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing is open."""

    async def send(self, message: Message) -> Receipt:
        settle = self._ground.settle
        if settle is None:
            raise Unreachable("JL-T022", "this process carries out no settlements 本进程不执行结算")
        tree, options = _tree(message), self.options
        caller = message.headers.get("caller.name", "")
        if not options.asks:
            told = await settle.begin(self._name(message, tree), tree, caller, options.within)
            return self._receipt(told)
        number = str(message.headers.get("param.number") or tree.get("number") or "")
        if options.asks == "show":
            return self._receipt(await settle.show(number, options.within))
        if options.asks == "cancel":
            return self._receipt(await settle.cancel(number, caller))
        said = str(tree.get("outcome", ""))
        told = await settle.notice(number, options.step, said, tree, options.about)
        return Receipt("LATE" if told["late"] else "accepted", _JSON.encode(told), "json")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """What a test says that it comes to."""
        told = _JSON.decode(answer) if answer else {"number": "", "state": code or "COMPLETED"}
        return self._receipt(told)

    def _name(self, message: Message, tree: dict[str, Any]) -> str:
        """Of the pipeline to begin. Raises Refused (JL-T013)."""
        said = self.options.named
        name = self.options.begins or str(message.headers.get(f"param.{said}") or tree.get(said) or "")
        if said and name not in self.options.only:
            text = f"{said}: one of {', '.join(self.options.only)} 没有这个结算流程"
            raise Refused("JL-T013", text)
        return name

    def _receipt(self, told: dict[str, Any]) -> Receipt:
        """In three words for a terminal (`result`), whatever the states are: only `nothing` may be begun anew."""
        state = str(told.get("state", ""))
        shown = {key: value for key, value in told.items() if key != "request" or self.options.whole}
        result = RESULTS.get(state, "pending")
        return Receipt(state, _JSON.encode({**shown, "result": result, "notice": NOTICES[result]}), "json")


def _tree(message: Message) -> dict[str, Any]:
    try:
        tree = _JSON.decode(message.body, message.charset) if message.body else {}
    except BadMessage as error:
        raise Refused("JL-T014", error.text) from None
    if not isinstance(tree, dict):
        raise Refused("JL-T014", "a settlement's request is a JSON object 结算请求应为JSON对象")
    return tree
