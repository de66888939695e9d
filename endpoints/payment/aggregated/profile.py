"""How one aggregator speaks: a YAML file, one of this folder's `profiles/` or of a site's `profiles/aggregated/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from config.errors import ConfigError, Problem
from config.models import problems_of
from config.text import read
from endpoints.payment.orders import OrderState, RefundState

SHIPPED = Path(__file__).parent / "profiles"
NAMES = (
    *("merchant", "terminal", "nonce", "now", "number", "amount", "pay_type", "subject", "notify_url"),
    *("auth_code", "channel_no", "refund", "refund_amount", "reason", "day"),
)
FIELDS = (
    *("number", "channel_no", "trade_no", "state", "amount", "paid_at", "code_url"),
    *("refund", "refund_no", "refund_state", "refund_amount"),
)
CALLS = ("create", "pay", "query", "close", "reverse", "refund", "query_refund", "bill")
NEEDED = ("create", "query", "close", "refund", "query_refund")
Said = Literal["yes", "no", "exists", "absent", "unknown"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sign(_Model):
    """Over all fields with a value but `field`, by name, as `a=1&b=2` and `tail`; objects as their JSON."""

    kind: Literal["md5", "hmac-sha256", "rsa", "sm2"]
    field: str = "sign"
    tail: str = Field("", description="`&key={secret}`: behind the fields")
    upper: bool = Field(True, description="of a digest: upper-case hexadecimal")


class Call(_Model):
    path: str = Field(pattern=r"^/")
    send: Mapping[str, str] = Field(
        description="the aggregator's field: a text, or `$` and what the engine knows"
    )

    @field_validator("send")
    @classmethod
    def _known(cls, send: Mapping[str, str]) -> Mapping[str, str]:
        return _names_of(send)


class AnswerAt(_Model):
    code: str
    text: str = ""
    inside: str = Field("", description="the field that has the others, as an object or as its JSON")
    fields: Mapping[str, str]

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [name for name in fields if name not in FIELDS]:
            raise ValueError(f"no field of an order is called {wrong[0]!r}; there are {', '.join(FIELDS)}")
        if lacks := [
            name for name in ("number", "state", "amount", "refund", "refund_state") if name not in fields
        ]:
            raise ValueError(f"without {', '.join(lacks)} nothing can be told of an order")
        return fields


class NoticeAt(_Model):
    id: str = Field("", description="the field that names a notice; without it the order and its state do")
    yes: str = Field("success", description="what it reads where it need not send it again")
    form: Literal["json", "form"] = "json"


class Profile(_Model):
    aggregator: str
    title: str = ""
    unit: Literal["fen", "yuan"]
    time: str = "%Y%m%d%H%M%S"
    sign: Sign
    common: Mapping[str, str] = Field({}, description="of every call")
    pay_types: Mapping[str, str]
    calls: Mapping[str, Call]
    answer: AnswerAt
    codes: Mapping[Said, tuple[str, ...]] = Field(description="a code that stands nowhere means `unknown`")
    states: Mapping[OrderState, tuple[str, ...]]
    refund_states: Mapping[RefundState, tuple[str, ...]]
    notice: NoticeAt = NoticeAt(id="", yes="success")

    @field_validator("common")
    @classmethod
    def _known(cls, send: Mapping[str, str]) -> Mapping[str, str]:
        return _names_of(send)

    @field_validator("calls")
    @classmethod
    def _calls(cls, calls: Mapping[str, Call]) -> Mapping[str, Call]:
        if wrong := [name for name in calls if name not in CALLS]:
            raise ValueError(f"no call is called {wrong[0]!r}; there are {', '.join(CALLS)}")
        if lacks := [name for name in NEEDED if name not in calls]:
            raise ValueError(f"without {', '.join(lacks)} money could be lost")
        return calls

    def said(self, code: str) -> Said:
        return next((what for what, codes in self.codes.items() if code in codes), "unknown")

    def state(self, word: str) -> OrderState:
        return next((state for state, words in self.states.items() if word in words), "UNKNOWN")

    def refund_state(self, word: str) -> RefundState:
        return next((state for state, words in self.refund_states.items() if word in words), "UNKNOWN")


def shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def file_of(name: str, site: Path) -> Path | None:
    """The site's own comes first."""
    both = (site / "profiles" / "aggregated" / f"{name}.yaml", SHIPPED / f"{name}.yaml")
    return next((path for path in both if path.is_file()), None)


def load(path: Path, shown_as: str = "") -> Profile:
    """Raises ConfigError with all that is wrong."""
    document = read(path, shown_as or path.name)
    problems: list[Problem] = [*document.problems]
    made: Profile | None = None
    try:
        made = Profile.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, Profile)
    if problems or made is None:
        raise ConfigError(document.findings(problems))
    return made


def filled(send: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """What has a value. `$amount` keeps its kind: fen are whole numbers."""
    made = {field: values.get(text[1:]) if text.startswith("$") else text for field, text in send.items()}
    return {field: value for field, value in made.items() if value not in (None, "")}


def _names_of(send: Mapping[str, str]) -> Mapping[str, str]:
    for text in send.values():
        if text.startswith("$") and text[1:] not in NAMES:
            raise ValueError(f"{text} is nothing that the engine knows; there are {', '.join(NAMES)}")
    return send
