"""The institution's interface of the medical insurance (医保): kind `nhsa`, the infno envelope.

Its parts stand in `endpoints/insurance/`.
"""

from __future__ import annotations

from config import registry
from endpoints.insurance.inbound import InboundSource

registry.source("nhsa")(InboundSource)
