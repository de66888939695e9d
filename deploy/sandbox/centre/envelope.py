"""The outer message of the institution interface: 18 fields in, 6 out, read and written by the centre's own hand."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from deploy.sandbox.centre import sessions
from deploy.sandbox.centre.books import Arrived, Row
from deploy.sandbox.centre.desk import ALL, HANDLERS, Call, Desk, FileOut, Handler, No, Output

_REQUIRED = (
    *("msgid", "infno", "mdtrtarea_admvs", "recer_sys_code", "infver", "opter_type", "opter"),
    *("opter_name", "inf_time", "fixmedins_code", "fixmedins_name"),
)
_SHAPES = {
    "mdtrtarea_admvs": r"\d{6}",
    "insuplc_admdvs": r"(\d{6})?",
    "opter_type": r"[1-9]\d{0,2}",
    "inf_time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "infver": r".{1,6}",
    "recer_sys_code": r".{1,10}",
    "opter": r".{1,30}",
}
log = logging.getLogger(__name__)
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def read(body: bytes) -> Row:
    """Raises No where it is no JSON object."""
    try:
        tree = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise No("报文格式错误,不是有效的JSON") from error
    if not isinstance(tree, Mapping):
        raise No("报文格式错误,不是JSON对象")
    return tree


def written(tree: Any) -> bytes:
    return _ENCODER.encode(tree)


class Reception:
    """Takes a message in, has it done, says what came of it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._serial = 0

    def answer(self, head: Row, path_infno: str, at: datetime, blind: int = ALL) -> dict[str, Any] | FileOut:
        """The answer's envelope, or a file. Whatever goes wrong in here is in it: -1 and a text."""
        try:
            with self.desk.books.lock:
                output = self._done(head, path_infno, at, blind)
        except No as no:
            return self.refusal(at, str(no), no.infcode)
        if isinstance(output, FileOut):
            return output
        return self._envelope(at, "0", "", _renamed(output, self._spelled(str(head["infno"]))))

    def refusal(self, at: datetime, text: str, infcode: str = "-1") -> dict[str, Any]:
        return self._envelope(at, infcode, text, None)

    def _done(self, head: Row, path_infno: str, at: datetime, blind: int) -> Output:
        call = self._checked(head, path_infno, at, blind)
        try:
            handler = HANDLERS.get(call.infno)
            if handler is None:
                raise No(f"交易编号[{call.infno}]不存在")
            if call.infno in self.desk.settings.instead:
                raise No(f"交易[{call.infno}]已停用,请使用[{self.desk.settings.instead[call.infno]}]")
            if self.desk.settings.sign_in_required:
                sessions.check(self.desk.books, call)
            output = _handled(handler, self.desk, call)
        except No as no:
            self._ended(call.msgid, no.infcode)
            raise
        self._ended(call.msgid, "0")
        return output

    def _checked(self, head: Row, path_infno: str, at: datetime, blind: int) -> Call:
        for name in _REQUIRED:
            if str(head.get(name) or "") == "":
                raise No(f"[{name}]不能为空")
        msgid, infno = str(head["msgid"]), str(head["infno"])
        self._arrived(msgid, infno, at)
        for name, shape in _SHAPES.items():
            if not re.fullmatch(shape, str(head.get(name) or "")):
                raise No(f"[{name}]格式错误")
        if path_infno not in ("", infno):
            raise No("请求地址与交易编号不一致")
        hospital = next(
            (i for i in self.desk.settings.institutions if i.code == head["fixmedins_code"]), None
        )
        if hospital is None:
            raise No("定点医药机构编号不存在")
        if not re.fullmatch(re.escape(hospital.code) + r"\d{18}", msgid):
            raise No("发送方报文ID格式错误")
        if head["mdtrtarea_admvs"] != hospital.admvs:
            raise No("就医地医保区划与定点医药机构不一致")
        if self.desk.settings.recer_sys_code not in ("", head["recer_sys_code"]):
            raise No("接收方系统代码错误")
        if infno in self.desk.settings.cainfo_required and not head.get("cainfo"):
            raise No("未校验密码,[cainfo]不能为空")
        tree = head.get("input")
        if not isinstance(tree, Mapping):
            raise No("[input]不能为空")
        names = _names(self.desk.settings.input_names, infno)
        return Call(infno, msgid, head, _renamed(tree, names, strict=True), at, hospital, blind)

    def _spelled(self, infno: str) -> Mapping[str, str]:
        return {**self.desk.settings.renamed, **_names(self.desk.settings.output_names, infno)}

    def _arrived(self, msgid: str, infno: str, at: datetime) -> None:
        """Writes it down. The first message of a msgid is the only one."""
        books = self.desk.books
        known = books.msgids.get(msgid)
        if known is None:
            books.msgids[msgid] = Arrived(msgid, infno, at)
            return
        books.msgids[msgid] = replace(known, times=known.times + 1)
        raise No("报文ID重复")

    def _ended(self, msgid: str, outcome: str) -> None:
        books = self.desk.books
        books.msgids[msgid] = replace(books.msgids[msgid], outcome=outcome)

    def _envelope(self, at: datetime, infcode: str, text: str, output: Output) -> dict[str, Any]:
        self._serial += 1
        number = infcode.lstrip("-").isdigit() and not self.desk.settings.infcode_as_text
        area = self.desk.settings.institutions[0].admvs
        moment = f"{at:%Y%m%d%H%M%S}"
        later = {"warn_msg": "", "enctype": "", "signtype": "", "cainfo": ""}
        return {
            "infcode": int(infcode) if number else infcode,
            "inf_refmsgid": f"{area}{moment}{self._serial:010d}",
            "refmsg_time": f"{moment}{at.microsecond // 1000:03d}",
            "respond_time": f"{moment}{at.microsecond // 1000:03d}",
            "err_msg": text,
            **(later if self.desk.settings.later_fields else {}),
            "output": output,
        }


def _handled(handler: Handler, desk: Desk, call: Call) -> Output:
    """What is not in the shape of the table, where no check of ours is for it, is refused too."""
    try:
        return handler(desk, call)
    except (AttributeError, TypeError, KeyError, ValueError, ArithmeticError) as error:
        log.info("%s: %r", call.infno, error)
        raise No("报文内容格式错误") from error


def _names(spelled: Mapping[str, Mapping[str, str]], infno: str) -> Mapping[str, str]:
    return {**spelled.get("*", {}), **spelled.get(infno, {})}


def _renamed(tree: Any, names: Mapping[str, str], strict: bool = False) -> Any:
    """The same under other names; with `strict` who uses the new ones already is not understood."""
    if not names:
        return tree
    if isinstance(tree, Mapping):
        unknown = set(names.values()).difference(names) if strict else ()
        kept = {name: value for name, value in tree.items() if name not in unknown}
        return {names.get(name, name): _renamed(value, names, strict) for name, value in kept.items()}
    return [_renamed(item, names, strict) for item in tree] if isinstance(tree, list) else tree
