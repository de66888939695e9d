"""An invented input of each transaction that is valid, always the same: for tests, the sandbox and the manual.

Nobody in it exists: the identity number is of an area that there is not and has a wrong check digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

from schemas.nhsa.model import Field, Node, Transaction
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import national
from schemas.nhsa.rules import takes_time

PSN_NO = "99990000000000000000000001"
CERTNO = "999999198001010010"  # area 999999 is none; the check digit should be another
_DAY, _TIME = "2024-01-15", "2024-01-15 10:30:00"

# Of the flows of a visit, so that what belongs together has the same number and sums add up to the fen.
_VALUES: dict[str, Any] = {
    "psn_no": PSN_NO,
    "certno": CERTNO,
    "mdtrt_cert_type": "02",
    "mdtrt_cert_no": CERTNO,
    "psn_cert_type": "01",
    "psn_name": "测试患者",
    "gend": "1",
    "brdy": "1980-01-01",
    "age": Decimal("44"),
    "tel": "00000000000",
    "med_type": "11",
    "insutype": "310",
    "psn_setlway": "01",
    "acct_used_flag": "1",
    "mid_setl_flag": "0",
    "mdtrt_id": "999900G0000000000001",
    "setl_id": "999900J0000000000001",
    "chrg_bchno": "B0001",
    "feedetl_sn": "F0001",
    "fixmedins_code": "H99999900001",
    "fixmedins_name": "测试医院",
    "med_list_codg": "XTEST000000000000001",
    "medins_list_codg": "D001",
    "medfee_sumamt": Decimal("86.50"),
    "fulamt_ownpay_amt": Decimal("6.50"),
    "overlmt_selfpay": Decimal("0.00"),
    "preselfpay_amt": Decimal("8.00"),
    "inscp_scp_amt": Decimal("72.00"),
    "fund_pay_sumamt": Decimal("50.40"),
    "acct_pay": Decimal("20.00"),
    "psn_part_amt": Decimal("36.10"),
    "psn_cash_pay": Decimal("16.10"),
    "cash_payamt": Decimal("16.10"),
    "det_item_fee_sumamt": Decimal("86.50"),
    "cnt": Decimal("1"),
    "pric": Decimal("86.500000"),
    "fixmedins_setl_cnt": 1,
    "clr_type": "11",
    "setl_optins": "999900",
    "omsgid": "H99999900001202401151030000007",
    "oinfno": "2207",
    "ver": "0",
    "page_num": 1,
    "page_size": 10,
    "in": [80, 75, 3, 4],
    "filename": "test.zip",
    "infno": "2207",
}


def sample(
    transaction: Transaction,
    of: Profile | None = None,
    *,
    side: Literal["in", "out"] = "in",
    whole: bool = False,
) -> Any:
    """A tree in our names: what the tables require, or with `whole` every field of every node.

    A list has one item; where the root is one (the output of 5204) a list comes back.
    """
    chosen = of or national()
    applied = chosen.applied(transaction)
    nodes = applied.input if side == "in" else applied.output
    root: dict[str, Any] = {}
    places: dict[str, dict[str, Any]] = {"": root}
    result: Any = root
    for node in nodes:
        parent, _, name = node.name.rpartition(".")
        if parent not in places or not (whole or node.required or not node.name or side == "out"):
            continue
        item = places[node.name] = _object(node, chosen, whole) if node.name else root
        if node.name:
            places[parent][name] = [item] if node.many else item
        else:
            root |= _object(node, chosen, whole)
            result = [root] if node.many else root
    return result


def _object(node: Node, of: Profile, whole: bool) -> dict[str, Any]:
    return {field.name: _value(field, of) for field in _chosen(node, whole)}


def _chosen(node: Node, whole: bool) -> Iterable[Field]:
    return (one for one in node.fields if (one.type != "node" and whole) or (one.required and not one.status))


def _value(field: Field, of: Profile) -> Any:
    known = _VALUES.get(field.name)
    codes = of.allowed(field.codes)
    if codes:
        return known if known in codes else codes[0]
    if known is not None and _fits(field, known):
        return known
    if field.type == "number":
        whole = field.length - field.decimals
        return 1 if whole > 0 or not field.length else Decimal("0.5")
    if field.type in ("date", "datetime"):
        return _TIME if field.type == "datetime" or takes_time(field) else _DAY
    made: dict[str, Any] = {"flag": True, "bytes": [80, 75, 3, 4], "node": {}}
    return made.get(field.type, ("1" if 0 < field.length < 8 else f"TEST{field.name}"[: field.length or 20]))


def _fits(field: Field, value: Any) -> bool:
    if field.type == "number":
        return not isinstance(value, str)
    if field.type == "text":
        return isinstance(value, str) and (not field.length or len(value) <= field.length)
    return field.type in ("", "bytes", "date") and not (field.type == "date" and takes_time(field))
