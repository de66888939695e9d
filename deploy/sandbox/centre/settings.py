"""What differs between centres: each setting is something that two provinces do differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.centre.transports import Open, Transport
from schemas.nhsa.overlay import Profile

HOSPITAL = "H99999900001"
PHARMACY = "P99999900001"
AREA = "999900"  # no area of China has it
UPLOAD = ("setl_id", "mdtrt_id", "psn_no", "medfee_sumamt", "fund_pay_sumamt", "acct_pay", "refd_setl_flag")
RESULT = (
    *("psn_no", "mdtrt_id", "setl_id", "msgid", "stmt_rslt", "refd_setl_flag", "memo"),
    *("medfee_sumamt", "fund_pay_sumamt", "acct_pay"),
)


@dataclass(frozen=True, slots=True)
class Institution:
    """A 定点医药机构. `level` is '1', '2' or '3' (一级, 二级, 三级); a pharmacy has ''."""

    code: str
    name: str
    level: str
    admvs: str = AREA


@dataclass(frozen=True, slots=True)
class Settings:
    institutions: tuple[Institution, ...] = (
        Institution(HOSPITAL, "示例医院", "3"),
        Institution(PHARMACY, "示例药店", ""),
    )
    transport: Transport = field(default_factory=Open)
    recer_sys_code: str = ""  # '' takes any word
    infcode_as_text: bool = False
    sign_in_required: bool = True
    insured_place_required: bool = True  # insuplc_admdvs where the input has a psn_no
    fund_includes_account: bool = False  # fund_pay_sumamt with acct_pay inside
    family_inside_account: bool = True  # acct_mulaid_pay inside acct_pay, or beside it
    hospital_bears_limits: bool = False  # what is above a price limit is hosp_part_amt
    cainfo_required: tuple[str, ...] = ()  # transactions whose password check must stand in cainfo
    cancel_in_month: bool = False  # 2208, 2305 and 2103 only within the month of the settlement
    later_fields: bool = True  # warn_msg, enctype and others beside the six of an answer
    oinfno: Mapping[str, str] = field(default_factory=dict)  # {"2305": "2207"}: by what 2601 wants it called
    instead: Mapping[str, str] = field(default_factory=dict)  # {"2203": "2203A"}: what is no longer taken
    discharge_first: bool = True  # 2304 wants 2402; else 2402 wants 2304
    refund_flag_required: bool = False  # 3201 wants refd_setl_flag
    # {"2207": "mdtrtinfo"}: another name of `data`
    input_nodes: Mapping[str, str] = field(default_factory=dict)
    # Fields of all answers: {"psn_part_amt": "psn_part_am"}
    renamed: Mapping[str, str] = field(default_factory=dict)
    # Other names by transaction or '*': of inputs {"3201": {theirs: ours}}, of outputs {ours: theirs}.
    input_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    output_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    catalogue_rows: Mapping[str, int] = field(default_factory=dict)  # {"1301": 1_000_000}; else 50 a version
    nothing_newer_is_refused: bool = False  # a catalogue; else an answer without a file
    statement_upload: tuple[str, ...] = UPLOAD  # columns of the file for 3202
    statement_result: tuple[str, ...] = RESULT
    statement_memo_moves: bool = False  # in rows of no cancel the memo is one column further
    statement_lists_equal: bool = False  # rows of 3202 that are right are in the result too
    order_status: Mapping[str, str] = field(default_factory=dict)  # mobile payment: {"paid": "6"}


def of_province(province: Profile, **more: Any) -> Settings:
    """A centre that speaks as the profile of a province says; `more` are further settings."""
    nodes = {
        of: theirs for (side, of, ours), theirs in province.nodes.items() if side == "in" and ours == "data"
    }
    spelled: dict[str, dict[str, dict[str, str]]] = {"in": {}, "out": {}}
    for (side, of, ours), theirs in [*province.nodes.items(), *province.fields.items()]:
        mine, other = ours.rpartition(".")[2], theirs.rpartition(".")[2]
        if side == "out":
            spelled["out"].setdefault(of, {})[mine] = other
        elif mine != "data":
            spelled["in"].setdefault(of, {})[other] = mine
    known: dict[str, Any] = {
        "input_nodes": nodes,
        "input_names": spelled["in"],
        "output_names": spelled["out"],
        "fund_includes_account": province.money.fund_holds_account,
        "family_inside_account": not province.money.family_beside_account,
        "discharge_first": province.discharge == "before",
        "refund_flag_required": province.form.cancels == "apart",
        "statement_upload": province.form.upload,
        "statement_result": province.form.result,
        "statement_memo_moves": province.form.memo_moves,
        "oinfno": province.oinfno,
        "instead": province.instead,
    }
    return Settings(**known | more)
