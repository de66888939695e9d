"""What the simulated Alipay does by method. A no is raised as `No`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.sandbox.alipay.books import Books, Repaid, Trade
from deploy.sandbox.paying import CHINA

_FORM = "%Y-%m-%d %H:%M:%S"
Told = Callable[[Trade, Mapping[str, str]], None]


class No(Exception):
    """40004, or another code, with a sub_code and its text."""

    def __init__(self, sub_code: str, text: str, code: str = "40004") -> None:
        super().__init__(text)
        self.sub_code, self.text, self.code = sub_code, text, code


class Desk:
    """`told` is asked to send a notice of a trade, with further fields."""

    def __init__(self, books: Books, told: Told, url: Callable[[], str]) -> None:
        self.books = books
        self._told = told
        self._url = url
        self._does: Mapping[str, Callable[[Mapping[str, Any], datetime], dict[str, Any]]] = {
            "alipay.trade.precreate": self._precreate,
            "alipay.trade.pay": self._pay,
            "alipay.trade.query": self._query,
            "alipay.trade.close": self._close,
            "alipay.trade.cancel": self._cancel,
            "alipay.trade.refund": self._refund,
            "alipay.trade.fastpay.refund.query": self._refunded,
            "alipay.data.dataservice.bill.downloadurl.query": self._bill,
        }

    def do(self, method: str, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The answer's fields. Raises No."""
        if method not in self._does:
            raise No("isv.invalid-method", "不存在的方法名", "40002")
        self.books.expire(now)
        return {"code": "10000", "msg": "Success"} | self._does[method](biz, now)

    def pays(self, out_trade_no: str, now: datetime) -> None:
        """The payer scans the code, or confirms on the phone: the money is taken."""
        self.books.expire(now)
        trade = self.books.trades[out_trade_no]
        if trade.state not in ("", "WAIT_BUYER_PAY"):
            raise No("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
        self._paid(trade, now)

    def scans(self, out_trade_no: str) -> None:
        """The payer looks at it and does not pay yet."""
        self.books.trades[out_trade_no].state = "WAIT_BUYER_PAY"

    def _paid(self, trade: Trade, now: datetime) -> None:
        trade.state, trade.paid = "TRADE_SUCCESS", now
        self._told(trade, {})

    def _new(self, biz: Mapping[str, Any], now: datetime, minutes: int) -> Trade:
        number = str(biz.get("out_trade_no") or "")
        fen = int(Decimal(str(biz.get("total_amount") or 0)) * 100)
        if not number or not fen or not biz.get("subject"):
            raise No("ACQ.INVALID_PARAMETER", "参数无效")
        there = self.books.trades.get(number)
        if there is None:
            ends = str(biz.get("time_expire") or "")
            until = (
                datetime.strptime(ends, _FORM).replace(tzinfo=CHINA)
                if ends
                else now + timedelta(minutes=minutes)
            )
            trade_no = f"{now:%Y%m%d}22001400000{self.books.next():09d}"
            there = Trade(
                number, trade_no, fen, str(biz["subject"]), str(biz.get("seller_id") or ""), "", now, until
            )
            there.notify_url = str(biz.get("notify_url") or "")
            self.books.trades[number] = there
        elif there.fen != fen:
            raise No("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        elif there.paid is not None:
            raise No("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        elif there.state == "TRADE_CLOSED":
            raise No("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
        return there

    def _precreate(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        trade = self._new(biz, now, 120)
        trade.qr_code = trade.qr_code or f"https://qr.example/bax{self.books.next():010d}"
        return {"out_trade_no": trade.out_trade_no, "qr_code": trade.qr_code}

    def _pay(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """By the end of the code: 51 asks for the password first, 40 has no money, 97 is no code any more; of 20 nobody
        can say what became."""
        code = str(biz.get("auth_code") or "")
        if code.endswith("97"):
            raise No("ACQ.PAYMENT_AUTH_CODE_INVALID", "支付失败,获取顾客账户信息失败")
        if code.endswith("40"):
            raise No("ACQ.BUYER_BALANCE_NOT_ENOUGH", "支付失败,买家余额不足")
        trade = self._new(biz, now, 3)
        if code.endswith("51"):
            trade.state = "WAIT_BUYER_PAY"
            return {"code": "10003", "msg": "Waiting for user payment"} | self._named(trade)
        self._paid(trade, now)
        if code.endswith("20"):
            raise No("isp.unknow-error", "系统繁忙", "20000")
        paid = {
            "gmt_payment": f"{now:{_FORM}}",
            "total_amount": yuan(trade.fen),
            "receipt_amount": yuan(trade.fen),
        }
        return self._named(trade) | paid

    def _query(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        trade = self._trade(biz)
        paid = {} if trade.paid is None else {"send_pay_date": f"{trade.paid:{_FORM}}"}
        return self._named(trade) | {"trade_status": trade.state, "total_amount": yuan(trade.fen)} | paid

    def _close(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        trade = self._trade(biz)
        if trade.paid is not None:
            raise No("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        trade.state = "TRADE_CLOSED"
        return self._named(trade)

    def _cancel(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        number = str(biz.get("out_trade_no") or "")
        trade = self.books.trades.get(number)
        if trade is None or trade.state == "":
            return {"out_trade_no": number, "retry_flag": "N"}
        if trade.paid is not None and trade.paid.date() != now.date():
            raise No("ACQ.TRADE_CANCEL_TIME_OUT", "超过撤销时间范围")
        action = "close" if trade.paid is None else "refund"
        if trade.paid is not None and trade.back < trade.fen:
            if trade.back:
                raise No("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效")
            trade.refunds[f"cancel-{number}"] = Repaid(trade.fen, now)
        trade.state = "TRADE_CLOSED"
        return self._named(trade) | {"retry_flag": "N", "action": action}

    def _refund(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        trade = self._trade(biz)
        fen = int(Decimal(str(biz.get("refund_amount") or 0)) * 100)
        number = str(biz.get("out_request_no") or trade.out_trade_no)
        if trade.state == "TRADE_FINISHED":
            raise No("ACQ.TRADE_HAS_FINISHED", "交易已完结")
        if trade.paid is None:
            raise No("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        there = trade.refunds.get(number)
        if there is not None and there.fen != fen:
            raise No("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额与已退请求号金额不一致")
        if there is None and (fen <= 0 or trade.back + fen > trade.fen):
            raise No("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效")
        if there is None:
            trade.refunds[number] = Repaid(fen, now)
            trade.state = "TRADE_CLOSED" if trade.back >= trade.fen else "TRADE_SUCCESS"
            self._told(
                trade, {"out_biz_no": number, "refund_fee": yuan(trade.back), "gmt_refund": f"{now:{_FORM}}"}
            )
        moved = {"fund_change": "N" if there else "Y", "refund_fee": yuan(trade.back)}
        return self._named(trade) | moved

    def _refunded(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        trade = self._trade(biz)
        number = str(biz.get("out_request_no") or "")
        one = trade.refunds.get(number)
        if one is None:
            return {}
        amounts = {"refund_amount": yuan(one.fen), "total_amount": yuan(trade.fen)}
        found = {
            "out_request_no": number,
            "refund_status": "REFUND_SUCCESS",
            "gmt_refund_pay": f"{one.at:{_FORM}}",
        }
        return self._named(trade) | found | amounts

    def _bill(self, biz: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        day = str(biz.get("bill_date") or "")
        if not day or day >= f"{now:%Y-%m-%d}":
            raise No("isp.bill_not_exist", "账单不存在")
        token = f"t{self.books.next()}"
        self.books.bills[token] = (now + timedelta(seconds=30), day)
        return {"bill_download_url": f"{self._url()}/bill/{token}"}

    def _trade(self, biz: Mapping[str, Any]) -> Trade:
        number, other = str(biz.get("out_trade_no") or ""), str(biz.get("trade_no") or "")
        trade = self.books.trades.get(number)
        if trade is None and other:
            trade = next((one for one in self.books.trades.values() if one.trade_no == other), None)
        if trade is None or trade.state == "":
            raise No("ACQ.TRADE_NOT_EXIST", "交易不存在")
        return trade

    @staticmethod
    def _named(trade: Trade) -> dict[str, Any]:
        return {
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "buyer_logon_id": "exa***@example.com",
        }


def yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"
