"""The two ends of kind `wechat_medical`: what is asked of mixed orders, and the door of their notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from endpoints.base import Options
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination
from endpoints.payment.mixed.asked import Institution
from endpoints.payment.mixed.channel import MixedChannel, evidence_of
from endpoints.payment.mixed.party import MixedParty
from endpoints.payment.notices import Unproved, notice
from endpoints.payment.party import OPERATIONS
from endpoints.payment.wechat.channel import WechatChannel
from endpoints.payment.wechat.ends import WechatNotices
from endpoints.payment.wechat.options import WechatOptions

SUCCESS = "MEDICAL_INSURANCE.SUCCESS"


class WechatMedicalOptions(WechatOptions):
    """`mixed: {kind: wechat_medical, merchant: ..., city: "530100", institution: ..., institution_no: H..., ...}`."""

    known: ClassVar[tuple[str, ...]] = (*OPERATIONS, "number", "numbered", "told")

    city: str = Field(
        pattern=r"^\d{1,8}$", description="城市ID: Tencent's own code, not the division code (行政区划)"
    )
    institution: str = Field(min_length=1, max_length=128, description="医疗机构名称 med_inst_name")
    institution_no: str = Field(min_length=1, max_length=32, description="医疗机构编码 med_inst_no")
    callback: str = Field(
        pattern=r"^https?://[^\s?]+$",
        max_length=255,
        description="callback_url: where notices of mixed orders go, without a query",
    )
    channel_no: str = Field("", max_length=32, description="渠道号, where Tencent gave one")
    test_env: bool = Field(
        False, description="med_ins_test_env: the insurance's test environment; never in production"
    )


class WechatMedical(PaymentDestination):
    Options: ClassVar[type[Options]] = WechatMedicalOptions
    Party = MixedParty

    def channel_of(self) -> PaymentChannel:
        options: WechatMedicalOptions = self.options
        cash = WechatChannel(options, self.ground)
        us = Institution(
            appid=options.app,
            city=options.city,
            name=options.institution,
            number=options.institution_no,
            callback=options.callback,
            channel_no=options.channel_no,
            test_env=options.test_env,
        )
        seal = cash.wire.signing.sealed
        return MixedChannel(cash.wire, cash, us, seal, self.ground.now, options.sub_merchant)


class WechatMedicalNotices(WechatNotices):
    """Mixed orders, and what WeChat says of their cash. It is sent for half a minute only: the poll is what counts."""

    unnamed = frozenset((SUCCESS,))

    def of_event(self, id: str, event: str, tree: Mapping[str, Any], merchant: str) -> dict[str, Any] | None:
        if event != SUCCESS:
            return super().of_event(id, event, tree, merchant)
        seen = evidence_of(tree)
        if seen.state != "PAID":
            raise Unproved("JL-P104", "a notice of a payment that is none 通知状态不符")
        return notice(
            id,
            "paid",
            str(tree.get("out_trade_no") or ""),
            seen.fen,
            state=seen.code,
            channel_no=seen.channel_no,
            at_ms=seen.at_ms,
            app=str(tree.get("appid") or ""),
        )
