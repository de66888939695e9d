"""电子凭证 (e-voucher) in the SM2/SM4 envelope, by transType: decode, show a code, and the orders of mobile payment."""

from __future__ import annotations

from collections.abc import Callable

from deploy.sandbox.centre import orders
from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import Call, Desk, No
from deploy.sandbox.centre.insured import Insured

_CODES = ("ecQrCode", "ecQrcode", "qrCode", "ecToken", "authCode", "payAuthNo")


def decode(desk: Desk, call: Call) -> Row:
    """ec.query: the code on the telephone is the token."""
    person = _shown(desk, call)
    return {
        "userName": person.psn_name,
        "idNo": person.certno,
        "idType": "01",
        "insuOrg": person.insuplc_admdvs,
        "ecToken": person.token,
        "ecIndexNo": person.token[::-1],
    }


def code(desk: Desk, call: Call) -> Row:
    """iot.gain.ec.qrcode: of a reader, whose patient is always the first."""
    return {"ecQrCode": next(iter(desk.books.persons.values())).token}


def insured(desk: Desk, call: Call) -> Row:
    """hos.query.insu"""
    person = _shown(desk, call)
    return {"psnNo": person.psn_no, "insutype": person.insutype, "insuplcAdmdvs": person.insuplc_admdvs}


HANDLERS: dict[str, Callable[[Desk, Call], Row | None]] = {
    "ec.query": decode,
    "iot.gain.ec.qrcode": code,
    "hos.query.insu": insured,
    "hos.upload.fee": orders.upload,
    "hos.revoke.order": orders.revoke,
    "hos.refund.setl": orders.refund,
}


def _shown(desk: Desk, call: Call) -> Insured:
    shown = {str(call.input[name]) for name in _CODES if call.input.get(name)}
    found = next((person for person in desk.books.persons.values() if person.token in shown), None)
    if found is None:
        raise No("电子凭证二维码无效或已过期")
    return found
