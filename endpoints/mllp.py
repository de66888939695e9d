"""HL7 v2 over MLLP: kind `mllp`. The two sides stand in `endpoints/hl7/`.

Both are asyncio protocols with callbacks: a message costs no task and no stream.
"""

from __future__ import annotations

from config import registry
from endpoints.hl7.destination import MllpDestination
from endpoints.hl7.source import MllpSource

registry.source("mllp")(MllpSource)
registry.destination("mllp")(MllpDestination)
