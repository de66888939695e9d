"""What the simulated UnionPay does by txnType. A no is raised as `No`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from deploy.sandbox.paying import CHINA
from deploy.sandbox.unionpay.books import Books, Trade, day

_FORM = "%Y%m%d%H%M%S"
Fields = Mapping[str, str]


class No(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Desk:
    """`told` sends the notice of a trade that is done. `mumbles` are respCodes that the next trades are answered with,
    though they are done."""

    def __init__(self, books: Books, told: Callable[[Trade], None]) -> None:
        self.books = books
        self.mumbles: list[str] = []
        self._told = told

    def trade(self, fields: Fields, now: datetime) -> dict[str, str]:
        """Of a back-end trade: fields of the answer. Raises No."""
        kind = fields.get("txnType", "")
        if kind == "99":
            return self._reversal(fields, now)
        key = (fields.get("orderId", ""), fields.get("txnTime", ""))
        if key in self.books.trades and not (kind == "01" and fields.get("txnSubType") == "07"):
            raise No("12", "重复交易")
        does: Mapping[str, Callable[[Fields, datetime], Trade]] = {
            "01": self._purchase,
            "31": self._void,
            "04": self._refund,
        }
        if kind not in does:
            raise No("10", "报文格式错误")
        trade = does[kind](fields, now)
        self.books.trades[key] = trade
        if trade.end == "00":
            self._told(trade)
        if self.mumbles:
            raise No(self.mumbles.pop(0), "交易状态未明，请查询对账结果")
        said = {"queryId": trade.query_id} if not trade.qr_code else {"qrCode": trade.qr_code}
        return {"respCode": "00", "respMsg": "成功[0000000]"} | said

    def query(self, fields: Fields, now: datetime) -> dict[str, str]:
        trade = self.books.trades.get((fields.get("orderId", ""), fields.get("txnTime", "")))
        if trade is None or trade.end == "":
            raise No("34", "查无此交易[2600000]")
        end = "35" if trade.reversed else trade.end
        return {"respCode": "00", "respMsg": "成功[0000000]", "origRespCode": end, **told(trade)}

    def pays(self, order_id: str, now: datetime) -> None:
        """The payer scans the code, or types the password. Raises No where the code is over."""
        trade = next(one for one in self.books.trades.values() if one.order_id == order_id)
        if trade.ends is not None and now >= trade.ends:
            raise No("39", "二维码已失效")
        trade.end, trade.at = "00", now
        self._told(trade)

    def _purchase(self, fields: Fields, now: datetime) -> Trade:
        """By the end of a payment code: 51 waits for the payer, 40 has no money, 97 is no code any more, 20 is done and
        answered with 04."""
        if fields.get("txnSubType") == "07":
            there = self.books.trades.get((fields.get("orderId", ""), fields.get("txnTime", "")))
            if there is not None:
                return there
            trade = self._new(fields, now, "")
            trade.qr_code = f"https://qr.example/000100/{self.books.next():012d}"
            until = fields.get("payTimeout", "")
            trade.ends = (
                datetime.strptime(until, _FORM).replace(tzinfo=CHINA) if until else now + timedelta(hours=1)
            )
            return trade
        code = fields.get("qrNo", "")
        if code.endswith("97"):
            raise No("30", "二维码无效，请刷新后重试")
        if code.endswith("20"):
            self.mumbles.insert(0, "04")
        return self._new(fields, now, {"51": "05", "40": "51"}.get(code[-2:], "00"))

    def _void(self, fields: Fields, now: datetime) -> Trade:
        original = self._original(fields)
        if day(original.at) != day(now):
            raise No("35", "原交易状态不正确：不在当日，不能撤销")
        if original.back or int(fields["txnAmt"]) != original.fen:
            raise No("36", "与原交易信息不符")
        original.back = original.fen
        return self._new(fields, now, "00")

    def _refund(self, fields: Fields, now: datetime) -> Trade:
        original, fen = self._original(fields), int(fields["txnAmt"])
        if original.back + fen > original.fen:
            raise No("36", "退货金额超过原交易金额")
        original.back += fen
        return self._new(fields, now, "00")

    def _reversal(self, fields: Fields, now: datetime) -> dict[str, str]:
        """Of an original by its own orderId and txnTime; again it says yes again."""
        trade = self.books.trades.get((fields.get("orderId", ""), fields.get("txnTime", "")))
        if trade is None or trade.end == "" or trade.back:
            raise No("35", "原交易不存在或状态不正确")
        if day(trade.at) != day(now):
            raise No("39", "交易不在受理时间范围内")
        if self.mumbles:
            raise No(self.mumbles.pop(0), "交易状态未明")
        trade.reversed = True
        return {"respCode": "00", "respMsg": "成功[0000000]"}

    def _original(self, fields: Fields) -> Trade:
        original = self.books.of_query_id(fields.get("origQryId", ""))
        if original is None or original.end != "00" or original.reversed:
            raise No("35", "原交易不存在或状态不正确")
        return original

    def _new(self, fields: Fields, now: datetime, end: str) -> Trade:
        serial = self.books.next()
        return Trade(
            fields.get("txnType", ""),
            fields.get("orderId", ""),
            fields.get("txnTime", ""),
            int(fields.get("txnAmt") or 0),
            f"{now:%Y%m%d%H%M%S}{serial:06d}8",
            f"{serial:06d}",
            now,
            fields.get("backUrl", ""),
            end,
            fields.get("reqReserved", ""),
            fields.get("origQryId", ""),
        )


def told(trade: Trade) -> dict[str, str]:
    """What queries and notices say of a trade that came to an end."""
    return {
        "txnAmt": str(trade.fen),
        "currencyCode": "156",
        "queryId": trade.query_id,
        "traceNo": trade.trace_no,
        "traceTime": f"{trade.at:%m%d%H%M%S}",
        "settleAmt": str(trade.fen),
        "settleCurrencyCode": "156",
        "settleDate": f"{day(trade.at):%m%d}",
    }
