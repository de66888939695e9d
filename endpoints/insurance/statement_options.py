"""What systems.yaml says of the day's account with a centre: `statement:` of a system of kind `nhsa`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.nhsa.statement import Key


class GroupText(BaseModel):
    """A group that is asked for also on days without a settlement of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    setl_optins: str = Field(pattern=r"^\d{6}$", description="结算经办机构")
    insutype: str = Field(pattern=r"^\w{1,6}$", description="险种")
    clr_type: str = Field(pattern=r"^\w{1,6}$", description="清算类别")


class StatementOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str = Field(
        default="var/statements", description="the folder where statements are kept, of the site"
    )
    always: tuple[GroupText, ...] = Field(
        default=(), description="groups asked for every day: what only the centre has is found so"
    )
    his: str = Field(
        default="",
        description="the HIS's own list, a file of the site: var/his/{begin}.csv; {end} too. It is waited for",
    )
    unequal: Literal["answer", "dead"] = Field(
        default="answer", description="where a day is not equal: an answer, or a dead letter (and its alert)"
    )

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(Key(one.setl_optins, one.insutype, one.clr_type) for one in self.always)
