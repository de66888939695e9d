"""FHIR as JSON, R4 or R5: the format `json` with a resource for a tree, and `validate`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from config import registry
from config.errors import BadMessage
from schemas.base import Gather, one_way
from schemas.json import Json
from schemas.r4.schema import Release
from schemas.validation.base import Fault

# Bundles whose entries stand each for itself; of a document or a message the first says what the others are.
_LISTS = {"collection", "batch", "transaction"}


class FhirText(BaseModel):
    """The options of `fhir`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal["R4", "R5"] = "R4"


class Fhir(Json):
    """Format `fhir`. Trees are resources as dict; paths and building are those of JSON."""

    name = "fhir"
    Options = FhirText

    def __init__(self, options: FhirText | None = None) -> None:
        self.version: Release = options.version if options else "R4"

    def decode(self, body: bytes, charset: str = "") -> Any:
        """As JSON, and JL-M040 for what is no resource. Its content is checked by `validate` only."""
        return _resource(super().decode(body, charset))

    def reread(self, body: bytes, charset: str = "") -> Any:
        return _resource(super().reread(body, charset))

    def gathers(self, text: str) -> Gather:
        """A Bundle."""
        return one_way(text, lambda trees, charset: self.encode(_bundle(trees), charset))

    def sniff(self, tree: Any) -> str:
        return str(tree.get("resourceType", "")) if isinstance(tree, dict) else ""

    def validate(self, resource: Any) -> list[Fault]:
        return validate(resource, self.version)


def _bundle(trees: list[Any]) -> Any:
    """The entries of Bundles that are lists of resources, and what else there is as an entry each.

    Its type is theirs, where all have one and the same; else it is a `collection`.
    """
    types = {tree.get("type") if tree["resourceType"] == "Bundle" else "" for tree in trees}
    alike = len(types) == 1 and types <= _LISTS
    entries = [entry for tree in trees for entry in _entries(tree)]
    return {"resourceType": "Bundle", "type": types.pop() if alike else "collection", "entry": entries}


def _entries(tree: Any) -> list[Any]:
    if tree["resourceType"] == "Bundle" and tree.get("type") in _LISTS:
        return list(tree.get("entry", ()))
    return [{"resource": tree}]


def _resource(tree: Any) -> Any:
    if not isinstance(tree, dict) or not isinstance(tree.get("resourceType"), str):
        raise BadMessage("JL-M040", "a FHIR resource is an object with a resourceType", "$.resourceType")
    return tree


def validate(resource: Any, version: Release = "R4") -> list[Fault]:
    """What is wrong with a resource by its schema. Needs the extra `fhir`."""
    from schemas.r4.check import validate as check

    return check(resource, version)


registry.format("fhir")(Fhir())
