"""What a bill is made of: the platform's field names, its money, and what must agree before anything is sent. Pure.

Field names as public adapters of the platform use them; money has two decimals, unit prices (`std`) four.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from config.errors import Refused


class Kind(NamedTuple):
    method: str
    bus_type: str  # 业务标识


KINDS: Mapping[str, Kind] = {
    "outpatient": Kind("invoiceEBillOutpatient", "02"),
    "inpatient": Kind("invEBillHospitalized", "01"),
    "registration": Kind("invEBillRegistration", "06"),
    "checkup": Kind("invEBillCheckUp", "05"),
    "deposit": Kind("invoicePayMentVoucher", "07"),
}
_MONEY = frozenset(
    (
        "totalAmt",
        "amt",
        "selfAmt",
        "accountPay",
        "fundPay",
        "otherfundPay",
        "ownPay",
        "selfConceitedAmt",
        "selfPayAmt",
        "selfCashPay",
        "ownAcBalance",
        "cashPay",
        "cashRefund",
        "chequePay",
        "chequeRefund",
        "transferAccountPay",
        "transferRefund",
        "transferAccountRefund",
        "prepayment",
        "recharge",
        "refund",
        "payChannelValue",
        "reimbursementAmt",
        "cashRecharge",
        "chequeRecharge",
        "transferRecharge",
    )
)
_TEXTS = frozenset(
    (
        "busType",
        "busNo",
        "payer",
        "busDateTime",
        "placeCode",
        "payee",
        "author",
        "checker",
        "remark",
        "alipayCode",
        "weChatOrderNo",
        "openID",
        "payerType",
        "tel",
        "email",
        "idCardNo",
        "cardType",
        "cardNo",
        "medicalInstitution",
        "medCareInstitution",
        "medicalCareType",
        "medCareAreaCode",
        "patientCategory",
        "patientCategoryCode",
        "patientNo",
        "patientId",
        "caseNumber",
        "sex",
        "age",
        "category",
        "categoryCode",
        "leaveCategory",
        "leaveCategoryCode",
        "hospitalNo",
        "visitNo",
        "consultationDate",
        "inHospitalDate",
        "outHospitalDate",
        "hospitalDays",
        "department",
        "balancedNumber",
        "patientUniqueNo",
        "isArrears",
        "arrearsReason",
        "accountName",
        "accountNo",
        "accountBank",
        "invoicingPartyCode",
        "recMode",
        "busDate",
        "voucherBatchCode",
        "voucherNo",
        "workUnit",
    )
)
_LISTS = frozenset(("otherInfo", "payChannelDetail", "chargeDetail", "listDetail", "otherMedicalList"))
# What a settlement calls by other names.
_NEUTRAL: Mapping[str, tuple[str, ...]] = {
    "totalAmt": ("total",),
    "payer": ("patient", "name"),
    "tel": ("patient", "phone"),
    "idCardNo": ("patient", "certno"),
    "patientNo": ("patient", "patient_no"),
    "balancedNumber": ("setl_id",),
    "fundPay": ("fund",),
    "accountPay": ("account",),
    "selfCashPay": ("cash",),
    "amt": ("amount",),
}
_LONG = 50  # characters of a busNo


def bus_no(key: str) -> str:
    """业务流水号: the same for the same key, and readable.

    >>> bus_no("S20260105001/invoice")
    'S20260105001-invoice-02428b34'
    """
    clean = re.sub(r"[^0-9A-Za-z_-]", "-", key)
    return f"{clean[: _LONG - 9]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def time17(at: datetime) -> str:
    """
    >>> time17(datetime(2026, 1, 5, 9, 0, 1, 23000))
    '20260105090001023'
    """
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def bill_of(body: Mapping[str, Any], kind: str, more: tuple[str, ...]) -> dict[str, Any]:
    """The platform's fields: of `bill` where the body has it, else those of the body itself, some by other names.

    Raises Refused: JL-I002 an amount that is none, JL-I003 its lines are not its total.
    """
    said = body.get("bill")
    fields = dict(said) if isinstance(said, Mapping) else dict(body)
    for name, way in _NEUTRAL.items():
        found: Any = body
        for part in way:
            found = found.get(part) if isinstance(found, Mapping) else None
        if name not in fields and found not in (None, "") and (name != "amt" or kind == "deposit"):
            fields[name] = found
    known = _MONEY | _TEXTS | _LISTS | set(more)
    made = {name: _value(name, one) for name, one in fields.items() if name in known and _fits(name, one)}
    total = made.get("amt" if kind == "deposit" else "totalAmt")
    if total is None or total <= 0:
        raise Refused("JL-I002", "a bill without a total 缺少开票金额")
    for name in ("chargeDetail", "listDetail"):
        _agrees(made, name, total)
    return made


def _fits(name: str, value: Any) -> bool:
    """A settlement's facts may have something else by the same name."""
    return value is not None and isinstance(value, dict | list) == (name in _LISTS)


def _agrees(made: Mapping[str, Any], name: str, total: Decimal) -> None:
    lines = made.get(name)
    if not lines:
        return
    amount = sum((line.get("amt", Decimal(0)) for line in lines), Decimal(0))
    if amount != total:
        text = f"{name} makes {amount:.2f}, and the total is {total:.2f} 明细合计与总额不符"
        raise Refused("JL-I003", text)


def _value(name: str, value: Any) -> Any:
    if name in _LISTS:
        if not isinstance(value, list):
            raise Refused("JL-I001", f"{name} is no list")
        return [{key: _value(key, one) for key, one in line.items() if one is not None} for line in value]
    if name in _MONEY:
        return money(value)
    return money(value, 4) if name == "std" else value


def money(value: Any, decimals: int = 2) -> Decimal:
    """Raises Refused (JL-I002) where it has more decimals than that, or is none.

    >>> money("12.5"), money("0.1234", 4)
    (Decimal('12.50'), Decimal('0.1234'))
    """
    try:
        amount = Decimal(str(value))
        exact = amount.quantize(Decimal(1).scaleb(-decimals))
        if exact == amount:
            return exact
    except InvalidOperation:
        pass
    raise Refused("JL-I002", f"no amount of money: {str(value)[:20]!r} 金额无效")


def as_text(tree: Any) -> Any:
    """Amounts as texts, where a platform wants them so."""
    if isinstance(tree, Mapping):
        return {key: as_text(one) for key, one in tree.items()}
    if isinstance(tree, list):
        return [as_text(one) for one in tree]
    return format(tree, "f") if isinstance(tree, Decimal) else tree
