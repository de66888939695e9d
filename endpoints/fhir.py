"""FHIR R4 over HTTP: kind `fhir`. A source that is a part of the engine's FHIR server, a destination that is a client.

The parts stand in `endpoints/fhir_r4/`; `schemas/fhir.py` is the format.
"""

from __future__ import annotations

from config import registry
from endpoints.fhir_r4.destination import FhirDestination
from endpoints.fhir_r4.source import FhirSource

registry.source("fhir")(FhirSource)
registry.destination("fhir")(FhirDestination)
