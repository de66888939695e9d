"""FHIR R4 as JSON: the format `json` with a resource for a tree, and `validate`."""

from __future__ import annotations

from typing import Any

from config import registry
from config.errors import BadMessage
from schemas.json import Json
from schemas.validation.base import Fault


class Fhir(Json):
    """Format `fhir`. Trees are resources as dict; paths and building are those of JSON."""

    name = "fhir"

    def decode(self, body: bytes, charset: str = "") -> Any:
        """As JSON, and JL-M040 for what is no resource. Its content is checked by `validate` only."""
        tree = super().decode(body, charset)
        if not isinstance(tree, dict) or not isinstance(tree.get("resourceType"), str):
            raise BadMessage("JL-M040", "a FHIR resource is an object with a resourceType", "$.resourceType")
        return tree

    def sniff(self, tree: Any) -> str:
        return str(tree.get("resourceType", "")) if isinstance(tree, dict) else ""

    def validate(self, resource: Any) -> list[Fault]:
        return validate(resource)


def validate(resource: Any) -> list[Fault]:
    """What is wrong with a resource by its schema. Needs the extra `fhir`."""
    from schemas.r4.check import validate as check

    return check(resource)


registry.format("fhir")(Fhir())
