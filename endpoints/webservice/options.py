"""What a channel says of its web service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.errors import Problem
from config.models import did_you_mean
from config.registry import nearest
from config.units import Size
from endpoints.base import Listed
from endpoints.rest.door import DoorOptions
from endpoints.webservice.conventions import Convention, State
from endpoints.webservice.conventions.call import Call
from endpoints.webservice.conventions.hip import Hip
from endpoints.webservice.conventions.plain import Plain
from endpoints.webservice.own import own_contract
from endpoints.webservice.wsdl import BadWsdl, Contract, load


class Arguments(BaseModel):
    """Names of an operation's arguments, where the convention's own are not the site's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: str = Field(default="", description="the one that says what is wanted")
    message: str = Field(
        default="",
        description="the one that is the message; of `plain` without it: the only one, or else the whole request",
    )


class SourceOptions(DoorOptions):
    """`from: {soap: {convention: hip, action: PatientInfoRegister}}`: a web service of SOAP 1.1 and 1.2."""

    path: str = Field(
        "/soap",
        pattern=r"^/[^{}?#\s]*$",
        description="the address; several channels may share one, each with its `action`",
    )
    convention: Literal["hip", "call", "plain"] = Field(
        "plain",
        description="`hip`: HIPMessageServer(action, message); `call`: Call(tradeCode, xml); `plain`: the WSDL's own",
    )
    wsdl: str = Field("", description="a file of the site; `hip` and `call` have one of their own")
    namespace: str = Field("", description="of the convention's own WSDL, where callers know it by another")
    operation: str = Field(
        "", description="by default the convention's; of `plain` each that no other channel takes"
    )
    action: Listed = Field(
        (), description="which actions (trade codes) are this channel's; by default each that no other takes"
    )
    arguments: Arguments = Field(default_factory=Arguments)
    codes: Mapping[State, str] = Field(
        {}, description="of `call`: ResultCode by state; else 0000, 9999, 9999, 0004"
    )
    answers: Mapping[State, str] = Field(
        {}, description="of `plain`: the result by state, with {id}, {code} and {text}"
    )
    cdata: bool = Field(
        False, description="results stand in CDATA; by default they are escaped, which means the same"
    )
    charset: str = Field("UTF-8", description="of answers")
    address: str = Field("", description="what `?wsdl` says; by default the address that the caller used")
    max_size: Size = Field(
        10_000_000, le=100_000_000, description="of a request; a larger one is answered 413"
    )

    @field_validator("charset")
    @classmethod
    def _known(cls, charset: str) -> str:
        try:
            etree.tostring(etree.Element("a"), encoding=charset)
        except LookupError:
            raise ValueError(f"XML cannot be written in {charset}") from None
        return charset

    @model_validator(mode="after")
    def _fits(self) -> SourceOptions:
        if self.convention == "plain" and not self.wsdl:
            raise ValueError("`plain` needs a WSDL of the site: say `wsdl: file.wsdl`, or a convention")
        if self.wsdl and self.namespace:
            raise ValueError("the WSDL says its namespace itself: leave `namespace` out")
        if self.codes and self.convention != "call":
            raise ValueError("only `convention: call` has result codes")
        if self.answers and self.convention != "plain":
            raise ValueError("a convention has answers of its own; `answers` are those of `plain`")
        if self.convention == "plain" and self.action and not self.arguments.action:
            raise ValueError("say which argument names the action: `arguments: {action: ...}`")
        return self

    @property
    def scope_parameters(self) -> Sequence[str]:
        return ("action",)

    @property
    def names(self) -> tuple[str, str, str]:
        """Operation, action's and message's argument, as this site has them; '' where nobody says."""
        kind = self.made
        return (
            self.operation or kind.operation,
            self.arguments.action or kind.action,
            self.arguments.message or kind.message,
        )

    @property
    def made(self) -> Convention:
        if self.convention == "hip":
            return Hip()
        return Call(self.codes) if self.convention == "call" else Plain(self.answers)

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        if not self.wsdl:
            return ()
        try:
            contract = self.contract(site)
        except BadWsdl as error:
            problems.append(Problem(("wsdl",), error.code, error.text, error.hint))
            return ()
        problems += self._problems(contract)
        return [(site / self.wsdl).parent / name for name in contract.files]

    def _problems(self, contract: Contract) -> Iterator[Problem]:
        """What does not fit the WSDL."""
        if contract.doubt:
            what = f"calls are not held against the WSDL's types, which make no schema: {contract.doubt}"
            yield Problem(("wsdl",), "JL-C133", what, "", "warning")
        operation, action, message = self.names
        if operation and operation not in contract.operations:
            hint = did_you_mean(nearest(operation, contract.operations), sorted(contract.operations))
            yield Problem(("operation",), "JL-C140", f"{self.wsdl} has no operation {operation!r}", hint)
            return
        chosen = [contract.operations[operation]] if operation else contract.operations.values()
        known = sorted({part.name for one in chosen for part in one.arguments})
        # Where there is but one, that is the message, whatever it is called, and the action stands in it.
        wanted = self.arguments if len(known) == 1 else Arguments(action=action, message=message)
        for key in ("action", "message"):
            name = getattr(wanted, key)
            if name and name not in known:
                what = f"no operation of {self.wsdl} has an argument {name!r}"
                hint = did_you_mean(nearest(name, known), known)
                yield Problem(("arguments", key), "JL-C141", what, hint)

    def contract(self, site: Path) -> Contract:
        """Blocks: it reads files. Raises BadWsdl."""
        if self.wsdl:
            return load(site / self.wsdl, site)
        kind = self.made
        return own_contract(kind.service, self.namespace or kind.namespace, *self.names)


# What all channels at one address have in common.
SHARED = (
    "convention",
    "wsdl",
    "namespace",
    "callers",
    "scope",
    "tls",
    "max_size",
    "requests",
    "body_within",
    "headers",
)
