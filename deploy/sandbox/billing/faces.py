"""The two faces: XML in one SOAP argument, amounts in yuan; and a JSON gateway, amounts in fen. Names are invented."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from deploy.sandbox.billing.desk import Fields

# Trade code by SOAP, service by the gateway.
TRADES: Mapping[str, tuple[str, str]] = {
    "ping": ("2108", "sys.ping"),
    "patient": ("2131", "patient.query"),
    "deposits": ("2155", "deposit.list"),
    "unpaid": ("2090", "bill.unpaid"),
    "bill_items": ("2094", "bill.items"),
    "hold_bills": ("2091", "bill.hold"),
    "query_hold": ("2092", "bill.holdQuery"),
    "release_bills": ("2093", "bill.release"),
    "post_settlement": ("2095", "settle.post"),
    "query_settlement": ("2096", "settle.query"),
    "unpost_settlement": ("2097", "settle.cancel"),
    "post_deposit": ("2151", "deposit.recharge"),
    "query_deposit": ("2152", "deposit.query"),
    "unpost_deposit": ("2153", "deposit.reverse"),
    "deposit_balance": ("2154", "deposit.balance"),
    "fee_list": ("2160", "inpatient.fees"),
    "fee_totals": ("2161", "inpatient.total"),
    "admit": ("2170", "admission.register"),
    "query_admission": ("2171", "admission.query"),
    "cancel_admission": ("2172", "admission.cancel"),
    "change_pay_type": ("2173", "admission.payType"),
    "query_pay_type": ("2174", "admission.payTypeQuery"),
    "link_dialysis": ("2190", "dialysis.link"),
    "query_dialysis": ("2191", "dialysis.query"),
    "unlink_dialysis": ("2192", "dialysis.unlink"),
    "discharge_check": ("2180", "discharge.check"),
    "discharge": ("2181", "discharge.register"),
    "query_discharge": ("2182", "discharge.query"),
    "cancel_discharge": ("2183", "discharge.cancel"),
    "slots": ("2305", "slot.list"),
    "lock_slot": ("2314", "slot.lock"),
    "query_slot": ("2315", "slot.query"),
    "unlock_slot": ("2316", "slot.unlock"),
    "register": ("2306", "reg.book"),
    "query_registration": ("2307", "reg.query"),
    "unregister": ("2309", "reg.cancel"),
}
# A field's name by SOAP and by the gateway.
_FIELDS: Mapping[str, tuple[str, str]] = {
    "key": ("TraceNo", "flowId"),
    "patient": ("PatientID", "patientId"),
    "bill": ("BillNo", "billNo"),
    "visit": ("VisitNo", "visitNo"),
    "fen": ("Amt", "fee"),
    "total": ("TotalAmt", "totalFee"),
    "deposit": ("DepositAmt", "depositFee"),
    "receipt": ("ReceiptNo", "receiptNo"),
    "state": ("Status", "status"),
    "at": ("PostTime", "postTime"),
    "stay": ("InpatientNo", "inpatientNo"),
    "balance": ("Balance", "balance"),
    "code": ("ItemCode", "itemCode"),
    "name": ("ItemName", "itemName"),
    "who": ("Name", "name"),
    "ready": ("Ready", "ready"),
    "slot": ("SlotNo", "slotNo"),
    "fee": ("Fee", "regFee"),
    "registration": ("RegNo", "regNo"),
    "method": ("PayType", "payType"),
    "pay_type": ("PayType", "payType"),
    "mdtrt_id": ("MdtrtID", "mdtrtId"),
}
_LISTS: Mapping[str, tuple[str, str]] = {
    "bills": ("Bills/Bill", "billList"),
    "items": ("Items/Item", "itemList"),
    "records": ("Records/Record", "list"),
    "slots": ("Slots/Slot", "slotList"),
}
_MONEY = ("fen", "total", "deposit", "balance", "fee")
CODES: Mapping[str, tuple[str, str]] = {
    "yes": ("0000", "0"),
    "no": ("9999", "1"),
    "absent": ("0001", "404"),
    "repeated": ("0002", "409"),
}


class BadSign(Exception):
    """The caller's signature is not right."""


def read_soap(body: bytes, secret: str) -> tuple[str, Fields]:
    """The operation and its fields. Raises BadSign, and ValueError for what is no request."""
    root = etree.fromstring(body)
    text = "".join(str(one) for one in root.itertext()).strip()
    request = etree.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text))
    trade = request.findtext("TradeCode") or ""
    name = next((one for one, codes in TRADES.items() if codes[0] == trade), "ping")
    key = request.findtext("BankTradeNo") or ""
    right = hashlib.md5(f"{secret}{trade}{key}".encode(), usedforsecurity=False).hexdigest().upper()
    if request.findtext("Signature") != right:
        raise BadSign
    head = {"key": key, "settlement": request.findtext("SettleNo"), "step": request.findtext("StepNo")}
    content = request.find("Content")
    return name, {**head, **(_of_element(content) if content is not None else {})}


def _of_element(element: Any) -> Fields:
    made: Fields = {}
    for field, (tag, _) in _FIELDS.items():
        value = element.findtext(tag)
        if value is not None:
            made[field] = int(Decimal(value) * 100) if field in _MONEY else value
    for field, (path, _) in _LISTS.items():
        found = element.findall(path)
        if found:
            made[field] = [_of_element(one) for one in found]
    return made


def said_by_soap(name: str, code: str, text: str, content: Fields) -> bytes:
    inner = (
        f'<?xml version="1.0" encoding="gb2312"?><Response><TradeCode>{TRADES[name][0]}</TradeCode>'
        f"<ResultCode>{CODES[code][0]}</ResultCode><ResultText>{escape(text)}</ResultText>"
        f"<ResultContent>{_elements(content)}</ResultContent></Response>"
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><soap:Envelope '
        'xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f'<CallResponse xmlns="http://tempuri.org/"><CallResult>{escape(inner)}</CallResult></CallResponse>'
        "</soap:Body></soap:Envelope>"
    ).encode()


def _elements(content: Fields) -> str:
    made = ""
    for field, value in content.items():
        if field in _LISTS:
            outer, inner = _LISTS[field][0].split("/")
            items = "".join(f"<{inner}>{_elements(one)}</{inner}>" for one in value)
            made += f"<{outer}>{items}</{outer}>"
        elif field in _FIELDS:
            said = f"{Decimal(value) / 100:.2f}" if field in _MONEY else str(value)
            made += f"<{_FIELDS[field][0]}>{escape(said)}</{_FIELDS[field][0]}>"
    return made


def read_gateway(body: bytes, secret: str) -> tuple[str, Fields]:
    """As `read_soap`."""
    request = json.loads(body)
    name = next((one for one, codes in TRADES.items() if codes[1] == request["service"]), "ping")
    data = request.get("data") or "{}"
    right = hashlib.md5(f"{secret}{data}".encode(), usedforsecurity=False).hexdigest()
    if request.get("sign") != right:
        raise BadSign
    head = {
        "key": request.get("flowId"),
        "settlement": request.get("settleNo"),
        "step": request.get("stepNo"),
    }
    return name, {**head, **_of_object(json.loads(data))}


def _of_object(tree: Mapping[str, Any]) -> Fields:
    made: Fields = {field: tree[names[1]] for field, names in _FIELDS.items() if names[1] in tree}
    for field, (_, key) in _LISTS.items():
        if key in tree:
            made[field] = [_of_object(one) for one in tree[key]]
    return made


def said_by_gateway(name: str, code: str, text: str, content: Fields) -> bytes:
    answer = {"success": code == "yes", "code": int(CODES[code][1]), "msg": text, "data": _object(content)}
    return json.dumps(answer, ensure_ascii=False).encode()


def _object(content: Fields) -> Fields:
    made: Fields = {}
    for field, value in content.items():
        if field in _LISTS:
            made[_LISTS[field][1]] = [_object(one) for one in value]
        elif field == "at":
            made["postTime"] = re.sub(r"\D", "", value)
        elif field in _FIELDS:
            made[_FIELDS[field][1]] = value
    return made
