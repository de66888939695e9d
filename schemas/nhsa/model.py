"""What a transaction of the insurance platform is: nodes, fields, and what can be done where its answer is lost.

The tables are the 定点医药机构接口规范 as public sources print them; each transaction says how sure they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Who answers: the institution interface (msgid envelope), the payment centre (移动支付中心), the e-voucher (电子凭证),
# the prescription centre (电子处方中心); the last three speak the SM2/SM4 envelope.
Centre = Literal["institution", "payment", "voucher", "prescription"]
# preview and query change nothing. upload overwrites nothing unless `repeatable`. reverse undoes. file moves a file.
Nature = Literal["query", "preview", "upload", "settle", "reverse", "file"]
# text 字符型, number 数值型, date 日期型 (yyyy-MM-dd), datetime 日期时间型 (yyyy-MM-dd HH:mm:ss), flag 布尔型,
# bytes 字节数组; node is an object or a list within the node; '' where no source says.
Type = Literal["text", "number", "date", "datetime", "flag", "bytes", "node", ""]
Sure = Literal["sure", "one source", "partial"]


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a table. `length` counts characters, of a number all digits; 0 where no source says."""

    name: str
    name_zh: str
    type: Type = ""
    length: int = 0
    decimals: int = 0
    required: bool = False
    codes: str = ""  # its code list, a name of `dictionaries`
    status: Literal["", "later", "local"] = (
        ""  # in later versions of the interface, or in some provinces alone
    )
    note: str = ""
    aliases: tuple[str, ...] = ()  # how some provinces or prints spell it
    guessed: bool = False  # no source says the type: it is told, and not enforced


@dataclass(frozen=True, slots=True)
class Node:
    """An object, or with `many` a list of them. The root's name is ''; dots lead into a node: data.patient_dtos."""

    name: str
    many: bool
    fields: tuple[Field, ...]
    required: bool = False  # as the project reads the tables, which do not say it of nodes


@dataclass(frozen=True, slots=True)
class CodeList:
    """A dictionary (字典). A code of another kind is refused only where `closed`; most lists are a province's own."""

    name: str
    name_zh: str
    sure: Sure | Literal["not found"]
    closed: bool
    values: Mapping[str, str]  # national: code to Chinese name
    local: tuple[tuple[str, str, str], ...] = ()  # code (or what stands for several), name, where it is used
    note: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """Of a TXT file: tab between columns, no header, `null` for empty, read by position, later versions append."""

    position: int  # from 0
    name: str
    name_zh: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Undoing:
    """What to do where nobody knows whether it was done, and what undoes it. Names of transactions."""

    repeatable: bool = False  # sent again it does no harm: a query, an overwriting upload
    probes: tuple[str, ...] = ()  # what shows whether it was done, in the order to ask
    undo: str = ""  # what undoes it once it is known to be done
    reverse: str = ""  # the `oinfno` with which 2601 may reverse it; '' where it may not


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """`name` is what people and YAML call it (2207, MP-6201, D001), `code` what goes over the wire.

    There is one value of each, so it is equal only to itself.
    """

    name: str
    code: str
    centre: Centre
    name_zh: str
    name_en: str
    group: str  # 1-基础信息/1-人员信息
    nature: Nature
    inbound: bool  # the centre calls the institution
    path: str  # below the base address, where a gateway wants one
    sure: Sure
    open: bool  # no table is known, or only names: whatever is not named is let through
    input: tuple[Node, ...]
    output: tuple[Node, ...]
    undoing: Undoing
    notes: tuple[str, ...] = ()
    version: str = ""  # '' is the baseline list of 115
    sources: Mapping[str, str] = field(default_factory=dict)
    institution: Literal["both", "hospital", "pharmacy"] = "both"
    daily: bool = False  # 定时/每天: uploaded by a timer
    needs: tuple[str, ...] = ()  # what comes before it

    @property
    def writes(self) -> bool:
        return self.nature in ("upload", "settle", "reverse")
