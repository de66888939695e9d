"""SOAP 1.1 and 1.2: kind `soap`. A source that serves the operations of a WSDL, and a destination that calls them.

The parts stand in `endpoints/webservice/`.
"""

from __future__ import annotations

from config import registry
from endpoints.webservice.destination import SoapDestination
from endpoints.webservice.source import SoapSource

registry.source("soap")(SoapSource)
registry.destination("soap")(SoapDestination)
