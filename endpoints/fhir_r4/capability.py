"""The CapabilityStatement: what a client may count on, made from the channels."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from endpoints.fhir_r4.interactions import ANY, BUNDLES
from schemas.r4.types import TYPES

# How R4 calls them, of a type (value set type-restful-interaction).
_CALLED = {
    "create": ("create",),
    "update": ("update",),
    "read": ("read",),
    "vread": ("vread",),
    "history": ("history-instance", "history-type"),
    "search": ("search-type",),
}


def capability(doors: Iterable[Iterable[tuple[str, str]]], since: str, asks: bool) -> dict[str, Any]:
    """R4. `since`: when it last changed; `asks`: whether callers must show who they are."""
    by_type: dict[str, set[str]] = {}
    for claims in doors:
        for kind, interaction in claims:
            by_type.setdefault(kind, set()).add(interaction)
    anywhere = by_type.pop(ANY, set())
    system = [{"code": name} for name in sorted(by_type.get("Bundle", set()) & BUNDLES)]
    system += [{"code": "search-system"}] if "search" in anywhere else []
    kinds = sorted({*by_type, *(TYPES if anywhere else ())})
    resources = [_resource(kind, (by_type.get(kind, set()) | anywhere) - BUNDLES) for kind in kinds]
    rest: dict[str, Any] = {"mode": "server"}
    rest |= {"resource": found} if (found := [one for one in resources if one]) else {}
    rest |= {"interaction": system} if system else {}
    if asks:
        text = "Callers are known by signature (HMAC-SM3, SM2), access token or client certificate."
        rest["security"] = {"description": text}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": since,
        "kind": "instance",
        "software": {"name": "Jingluo 经络", "version": _version()},
        "implementation": {
            "description": "An integration engine: what it takes it brings to the systems behind it"
        },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [rest],
    }


def _resource(kind: str, interactions: set[str]) -> dict[str, Any] | None:
    codes = sorted(code for name in interactions for code in _CALLED[name])
    if not codes:
        return None
    made: dict[str, Any] = {"type": kind, "interaction": [{"code": code} for code in codes]}
    made |= {"conditionalCreate": True} if "create" in interactions else {}
    return made | ({"updateCreate": True, "conditionalUpdate": True} if "update" in interactions else {})


def _version() -> str:
    try:
        return version("jingluo")
    except PackageNotFoundError:
        return "0"
