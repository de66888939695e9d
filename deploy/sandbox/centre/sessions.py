"""签到 and 签退 (9001, 9002): a sign-in is one operator's, for one day."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from deploy.sandbox.centre.books import Books, SignIn
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves, when

FREE = ("9001",)  # what needs no sign-in
OVER = "签到信息已失效,请重新签到"


@serves("9001")
def sign_in(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "signIn")
    opter = need(row, "opter_no")
    need(row, "mac")
    need(row, "ip")
    if opter != call.opter:
        raise No("签到操作员与经办人不一致")
    made = SignIn(desk.number("S"), opter, call.hospital.code, call.at)
    desk.books.signins[made.sign_no] = made
    return {"signinoutb": {"sign_time": when(call.at), "sign_no": made.sign_no}}


@serves("9002")
def sign_out(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "signOut")
    known = desk.books.signins.get(need(row, "sign_no"))
    if known is None or known.over or known.opter != need(row, "opter_no"):
        raise No("未查询到有效的签到信息")
    desk.books.signins[known.sign_no] = replace(known, over=True)
    return {"signoutoutb": {"sign_time": when(call.at)}}


def check(books: Books, call: Call) -> None:
    """Refuses a message without a sign-in of this operator on this day."""
    if call.infno in FREE:
        return
    known = books.signins.get(str(call.head.get("sign_no") or ""))
    if known is None:
        raise No("操作员未签到,请先签到")
    if (known.opter, known.fixmedins_code) != (call.opter, call.hospital.code):
        raise No("签到编号与经办人不一致")
    if known.over or known.at.date() != call.at.date():
        raise No(OVER)


def expire(books: Books, opter: str = "", before: datetime | None = None) -> None:
    """Ends the sign-ins of an operator, or of all, as a centre does when it restarts."""
    for sign_no, known in books.signins.items():
        if opter in ("", known.opter) and (before is None or known.at < before):
            books.signins[sign_no] = replace(known, over=True)
