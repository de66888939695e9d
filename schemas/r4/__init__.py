"""FHIR R4: a JSON Schema made from the installed models, and the check that uses it."""
