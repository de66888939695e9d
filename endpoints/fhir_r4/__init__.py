"""FHIR R4 over HTTP: the parts of the kind `fhir`."""
