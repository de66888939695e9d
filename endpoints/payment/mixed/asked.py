"""The order that /v3/med-ins/orders is sent, of what a settlement asks. Pure.

Fields that the way of paying forbids are not sent, those that it needs are there, or nothing leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from config.errors import Refused
from endpoints.payment.mixed.amounts import Amounts, amounts_of
from endpoints.payment.mixed.person import person_of
from endpoints.payment.orders import Order

ORDER_TYPES = (
    "REG_PAY",  # 挂号
    "DIAG_PAY",  # 诊间
    "IN_HOSP_PAY",  # 住院
    "PHARMACY_PAY",
    "INSURANCE_PAY",
    "INT_REG_PAY",  # 互联网医院挂号
    "INT_RE_DIAG_PAY",  # 互联网复诊
    "INT_RX_PAY",  # 互联网处方
    "MED_PAY",
    "COVID_EXAM_PAY",
    "COVID_ANTIGEN_PAY",
)
# Ours: WeChat's name, longest, whether an order with insurance needs it. Without insurance they are forbidden.
_INSURANCE = (
    ("pay_order_id", "pay_order_id", 64, True),  # payOrdId of MP-6201
    ("pay_auth_no", "pay_auth_no", 40, True),  # lives 5 to 10 minutes, and once
    ("geo_location", "geo_location", 40, True),
    ("ordered_at", "med_ins_order_create_time", 64, True),
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_PLACE = re.compile(r"-?\d{1,3}\.\d+,-?\d{1,2}\.\d+")


class Institution(Struct, frozen=True):
    """Of systems.yaml: what each order says of the hospital. `city` is Tencent's code, no division code (行政区划)."""

    appid: str
    city: str
    name: str
    number: str
    callback: str
    channel_no: str = ""
    test_env: bool = False


def order_type_of(asked: Mapping[str, Any]) -> str:
    """Raises Refused (JL-P301)."""
    kind = str(asked.get("order_type") or "")
    if kind not in ORDER_TYPES:
        raise Refused("JL-P301", f"`order_type` is one of {', '.join(ORDER_TYPES)} 订单类型无效")
    return kind


def body_of(
    order: Order, asked: Mapping[str, Any], us: Institution, seal: Callable[[str], str]
) -> dict[str, Any]:
    """All but `prepay_id`, which WeChat gives for the cash. Raises Refused (JL-P301, JL-P302, JL-P303)."""
    amounts = amounts_of(asked)
    body: dict[str, Any] = {
        "mix_pay_type": amounts.kind,
        "order_type": order_type_of(asked),
        "appid": us.appid,
        "openid": _text(asked, "openid", 128),
        "payer": person_of(asked.get("payer"), seal, "payer"),
        "pay_for_relatives": bool(asked.get("relative")),
        "out_trade_no": order.number,
        "serial_no": _text(asked, "serial_no", 20),  # medOrgOrd of MP-6201
        "city_id": us.city,
        "med_inst_name": us.name,
        "med_inst_no": us.number,
        "callback_url": us.callback,
        "total_fee": amounts.total,
        "wechat_pay_cash_fee": amounts.cash,
        "med_ins_test_env": us.test_env,
    }
    if asked.get("relative"):
        body["relative"] = person_of(asked["relative"], seal, "relative")
    body |= _insured(asked, amounts)
    if amounts.add:
        body["cash_add_detail"] = [{"cash_add_type": kind, "cash_add_fee": fen} for kind, fen in amounts.add]
    if amounts.reduce:
        less = [{"cash_reduce_type": kind, "cash_reduce_fee": fen} for kind, fen in amounts.reduce]
        body["cash_reduce_detail"] = less
    if us.channel_no:
        body["channel_no"] = us.channel_no
    if asked.get("passthrough"):
        body["passthrough_request_content"] = _text(asked, "passthrough", 2048)
    return body


def _insured(asked: Mapping[str, Any], amounts: Amounts) -> dict[str, Any]:
    given = [ours for ours, _, _, _ in _INSURANCE if asked.get(ours)]
    if amounts.kind == "CASH_ONLY":
        if given:
            raise Refused("JL-P301", f"CASH_ONLY has no {', '.join(given)} 纯自费不得有医保字段")
        return {}
    made: dict[str, Any] = {
        theirs: _text(asked, ours, longest, needed) for ours, theirs, longest, needed in _INSURANCE
    }
    if not _TIME.fullmatch(made["med_ins_order_create_time"]):
        raise Refused("JL-P301", "`ordered_at` is a time like 2026-01-05T09:30:00+08:00 时间格式错误")
    if not _PLACE.fullmatch(made["geo_location"]):
        raise Refused("JL-P301", "`geo_location` is longitude,latitude 经纬度格式错误")
    return made | {
        "med_ins_gov_fee": amounts.gov,
        "med_ins_self_fee": amounts.own,
        "med_ins_other_fee": amounts.other,
        "med_ins_cash_fee": amounts.insured_cash,
    }


def _text(asked: Mapping[str, Any], name: str, longest: int, needed: bool = True) -> str:
    value = asked.get(name)
    text = "" if value is None else str(value)
    if (needed and not text) or len(text) > longest:
        raise Refused("JL-P301", f"`{name}` is missing, or over {longest} characters 缺少{name}或过长")
    return text
