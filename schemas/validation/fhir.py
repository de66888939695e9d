"""Validates FHIR: the schema of a version and the rules that it misses, or the models of fhir.resources."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from schemas.r4.check import faults as schema_faults
from schemas.r4.rules import rule_faults
from schemas.validation.base import KIND, MAX_FAULTS, MISSING, TYPE, UNKNOWN, BadKind, Fault
from schemas.validation.words import pointer

_MODEL_WORDS = {"missing": ("is missing", MISSING), "extra_forbidden": ("is no element of it", UNKNOWN)}


def r4(tree: Any) -> list[Fault]:
    """By JSON Schema, and by rules: references, dates, fullUrl, codes that a schema does not know."""
    return list(islice(chain(schema_faults(tree), rule_faults(tree)), MAX_FAULTS))


def r5(tree: Any) -> list[Fault]:
    """The same for R5, which has all of these rules too."""
    return list(islice(chain(schema_faults(tree, "R5"), rule_faults(tree)), MAX_FAULTS))


def models(tree: Any) -> list[Fault]:
    """By the R4B models of fhir.resources: 50 times slower than the schema, and stricter in places."""
    return list(islice(_model_faults(tree), MAX_FAULTS))


def need_extra() -> None:
    """Raises BadKind (JL-C071)."""
    try:
        import fhir.resources.R4B  # noqa: F401
        import jsonschema_rs  # noqa: F401
    except ImportError as error:
        raise BadKind("JL-C071", f"validating FHIR needs the package extra jingluo[fhir]: {error}") from None


def _model_faults(tree: Any) -> Iterator[Fault]:
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    kind = tree.get("resourceType") if isinstance(tree, dict) else None
    try:
        model = get_fhir_model_class(str(kind)[:60])
    except (ValueError, KeyError, ImportError):
        yield Fault("/resourceType", "R4 has no resource type of this name", KIND)
        return
    try:
        model.model_validate(tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            text, code = _MODEL_WORDS.get(detail["type"], ("does not fit the model", TYPE))
            yield Fault(pointer(detail["loc"]), text, code)
