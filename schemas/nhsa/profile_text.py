"""A province's profile as its YAML says it. A field's description is the manual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.nhsa.amounts import MoneyRules
from schemas.nhsa.model import Nature, Sure, Type

Names = Mapping[str, str]
_MAX_PATTERN = 300  # characters


def _pattern(text: str) -> str:
    if len(text) > _MAX_PATTERN:
        raise ValueError(f"a pattern has at most {_MAX_PATTERN} characters")
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SideText(Part):
    """Of what goes in, or of what comes out. Ours: theirs, by transaction; `*` is every one that has it."""

    nodes: Mapping[str, Names] = Field(default={}, description="a node's name")
    fields: Mapping[str, Names] = Field(default={}, description="a field's name")


class RuleText(Part):
    """What a field is in this province. One that the tables do not have is added."""

    required: bool | None = None
    name_zh: str | None = None
    type: Type | None = None
    length: int | None = Field(None, ge=0, le=100_000_000, description="0: any")
    decimals: int | None = Field(None, ge=0, le=20)
    codes: str | None = Field(None, description="its code list; '' for any value")
    note: str | None = None


class OwnText(Part):
    """A transaction that the national tables do not have. Its fields are told by `rules`."""

    like: str = Field("", description="the transaction whose tables and ways it takes over")
    name_zh: str = Field(description="交易名称")
    name_en: str | None = None
    nature: Nature | None = Field(None, description="without `like` it must be said")
    input: tuple[str, ...] | None = Field(None, description="its nodes: `data`, and `feedetail[]` for a list")
    inbound: bool | None = Field(None, description="the centre calls it")
    path: str | None = Field(None, description="below the base address, where the gateway wants one")
    open: bool | None = Field(
        None, description="whatever is not named is let through; so it is without `like`"
    )
    repeatable: bool | None = Field(None, description="sent again it does no harm; a query never does")
    probes: tuple[str, ...] | None = Field(None, description="what shows whether it was done")
    undo: str | None = Field(None, description="what undoes it")
    reverse: bool | None = Field(None, description="2601 may reverse it")

    @model_validator(mode="after")
    def _of_some_nature(self) -> OwnText:
        if not self.like and self.nature is None:
            raise ValueError("its nature is missing: query, preview, upload, settle, reverse or file")
        return self


class MoneyText(Part):
    """How the parts of a settlement add up."""

    fund_holds_account: bool = Field(False, description="fund_pay_sumamt includes acct_pay")
    family_beside_account: bool = Field(
        False, description="acct_mulaid_pay is beside acct_pay, else within it"
    )
    hospital_part: bool = Field(True, description="hosp_part_amt is a share of the total")
    fund_parts: tuple[str, ...] = Field(
        MoneyRules().fund_parts, description="what fund_pay_sumamt is made of"
    )
    account_rows: tuple[str, ...] = Field(
        MoneyRules().account_rows,
        description="fund_pay_type of setldetail rows that are the personal account's",
    )
    tolerance_fen: int = Field(0, ge=0, le=10_000, description="how far a sum may be off")

    def rules(self) -> MoneyRules:
        return MoneyRules(
            self.fund_holds_account,
            self.family_beside_account,
            self.hospital_part,
            self.fund_parts,
            self.account_rows,
            Decimal(self.tolerance_fen) / 100,
        )


class StatementText(Part):
    """How 3201 and 3202 are written and read."""

    like: str = Field("baseline", description="baseline, flag-first, foshan or later")
    cancels: Literal["subtracted", "apart"] | None = Field(
        None, description="`apart`: refd_setl_flag 0 and 1 are groups of their own"
    )
    minus: bool | None = Field(None, description="amounts of a cancel in the 3202 file are negative")
    upload: tuple[str, ...] | None = Field(None, description="columns of the 3202 file; '' is one of `null`")
    result: tuple[str, ...] | None = Field(None, description="columns of its result file")
    memo_moves: bool | None = Field(None, description="with flag 0 the memo is one column further")
    charset: str | None = None
    results: Names | None = Field(None, description="a province's words for stmt_rslt: 0, 1, 2 or 3")
    flag_name: str | None = None
    task: bool | None = Field(None, description="3211 and 3212 in the place of 3202")


class ProfileText(Part):
    """`profiles/<name>.yaml`."""

    profile: str = Field(description="its name, which is the file's")
    title: str = Field("", description="the province, for people")
    based_on: str = Field("national", description="the profile that it is laid over")
    sure: Sure = Field("partial", description="how sure the facts are")
    sources: tuple[str, ...] = Field((), description="where they were read")
    notes: tuple[str, ...] = ()
    input: SideText = Field(default_factory=SideText)
    output: SideText = Field(default_factory=SideText)
    transactions: Mapping[str, OwnText] = Field({}, description="the province's own, by their numbers")
    rules: Mapping[str, Mapping[str, RuleText]] = Field(
        {}, description="transaction: `node.field` of its input: what is otherwise"
    )
    codes: Mapping[str, Names] = Field({}, description="list: code: name, besides the national ones")
    closed: tuple[str, ...] = Field((), description="lists of which no other code is let through here")
    opened: tuple[str, ...] = Field((), description="lists that are not enforced here")
    instead: Names = Field({}, description="a transaction: the one that the province wants for it")
    money: MoneyText | None = None
    statement: StatementText | None = None
    discharge: Literal["before", "after"] | None = Field(None, description="2402 before or after 2304")
    signature: Literal["lower", "upper"] | None = Field(None, description="letters of x-tif-signature")
    oinfno: Names = Field({}, description="a transaction: what 2601 calls it")
    sign_in_over: tuple[Pattern, ...] | None = Field(
        None, description="texts by which a centre wants a new 9001"
    )
    not_found: tuple[Pattern, ...] | None = Field(
        None, description="texts by which 2601 or a query says that nothing was booked"
    )
    unknown_fields: Literal["allow", "refuse"] | None = Field(
        None, description="`refuse`: a field that no table has does not leave"
    )
