"""The insurance platform's interface for institutions (医疗保障信息平台定点医药机构接口): kind `nhsa`.

The parts stand in `endpoints/insurance/`: a destination that asks the centre, a source that the centre asks.
"""

from __future__ import annotations

from config import registry
from endpoints.insurance.destination import InsuranceDestination
from endpoints.insurance.inbound import InboundSource

registry.source("nhsa")(InboundSource)
registry.destination("nhsa")(InsuranceDestination)
