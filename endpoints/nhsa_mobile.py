"""移动支付中心, 电子凭证, 电子处方中心: kind `nhsa_mobile`, the SM2/SM4 envelope both ways.

The two sides stand in `endpoints/insurance/mobile/`.
"""

from __future__ import annotations

from config import registry
from endpoints.insurance.mobile.destination import NhsaMobile
from endpoints.insurance.mobile.source import NoticeSource

registry.source("nhsa_mobile")(NoticeSource)
registry.destination("nhsa_mobile")(NhsaMobile)
