"""A hospital information system as a party of settlements: kind `his`.

The parts stand in `endpoints/hisparty/`.
"""

from __future__ import annotations

from config import registry
from endpoints.hisparty.destination import HisDestination

registry.destination("his")(HisDestination)
