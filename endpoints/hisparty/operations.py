"""What settlements ask of any HIS, by name. A profile says which of them a HIS has, and in which words. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Write(NamedTuple):
    """`ask` shows what became of it, `undo` takes it back. '' where there is none."""

    ask: str = ""
    undo: str = ""


WRITES: Mapping[str, Write] = {
    "hold_bills": Write("query_hold", "release_bills"),
    "post_settlement": Write("query_settlement", "unpost_settlement"),
    "post_deposit": Write("query_deposit", "unpost_deposit"),
    "admit": Write("query_admission", "cancel_admission"),
    "discharge": Write("query_discharge", "cancel_discharge"),
    "lock_slot": Write("query_slot", "unlock_slot"),
    "register": Write("query_registration", "unregister"),
    "change_pay_type": Write("query_pay_type"),
    "link_dialysis": Write("query_dialysis", "unlink_dialysis"),
}
READS = (
    *("patient", "unpaid", "paid", "bill_items", "fee_list", "fee_totals", "presettle"),
    *("inpatient", "admission_order", "beds", "deposits", "deposit_balance", "discharge_check"),
    *("departments", "schedules", "slots", "charges", "ping"),
)
UNDOES: Mapping[str, str] = {write.undo: name for name, write in WRITES.items() if write.undo}
ASKS: Mapping[str, str] = {write.ask: name for name, write in WRITES.items() if write.ask}
KNOWN = (*WRITES, *UNDOES, *ASKS, *READS)
