"""What a channel may be validated by: `validate: {as: ...}` to a validator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.errors import ConfigError
from config.registry import nearest
from schemas.validation.base import BadKind, Kind

_TREES = ("json", "fhir", "delimited", "xlsx", "fixed", "form")  # formats whose trees a JSON Schema reads


def kind_of(name: str, folder: Path) -> Kind:
    """`hl7v2/2.5`, `hl7v2`, `fhir/r4`, `fhir/r5`, `models`, `nhsa/2207`, `nhsa/guangdong/2207`, or a file
    (`order.json`, `v3/order.xsd`) of `schemas/`.

    Raises BadKind: JL-C070 for an unknown name, JL-C071 without the extra, JL-C072 for a file that is missing,
    JL-C073 for a bad schema.
    """
    standard, _, version = name.partition("/")
    if standard == "hl7v2":
        from schemas.validation.hl7 import Hl7Validator

        return Kind(name, ("hl7v2",), Hl7Validator(version))
    if name in ("fhir/r4", "fhir/r5", "models"):
        from schemas.validation import fhir

        fhir.need_extra()
        return Kind(name, ("fhir",), {"fhir/r4": fhir.r4, "fhir/r5": fhir.r5}.get(name, fhir.models))
    if standard == "nhsa":
        return _nhsa(name, folder)
    if name.endswith(".json"):
        return _by_file(name, folder, _json)
    if name.endswith(".xsd"):
        return _by_file(name, folder, _xsd)
    known = ["hl7v2", "hl7v2/2.5", "fhir/r4", "fhir/r5", "models", "nhsa/2207"]
    near = "fhir/r4" if name == "fhir" else nearest(name, known)  # as the format without a version is R4
    hint = f"did you mean {near}?" if near else f"one of {', '.join(known)}, or a .json or .xsd of schemas/"
    raise BadKind("JL-C070", f"nothing is validated as {name!r}", hint)


def _by_file(name: str, folder: Path, made: Callable[[str, Path, Path], Kind]) -> Kind:
    file = folder / name
    if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
        return made(name, file, folder)
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob(f"*{file.suffix}"))[:1000]]
    near = nearest(name, files)
    hint = f"did you mean {near}?" if near else f"put it into {folder}"
    raise BadKind("JL-C072", f"there is no schema {name}", hint)


def _nhsa(name: str, folder: Path) -> Kind:
    """The input of an insurance transaction; a province's profile may be the site's."""
    from schemas.nhsa.catalogue import Unknown
    from schemas.nhsa.check import checker
    from schemas.nhsa.profile import profile

    _, _, rest = name.partition("/")
    province, _, code = rest.rpartition("/")
    try:
        of = profile(province or "national", folder.parent / "profiles")
        return Kind(name, ("json",), checker(of.transaction(code), of).request)
    except Unknown as error:
        raise BadKind("JL-C070", str(error)) from None
    except ConfigError as error:
        raise BadKind("JL-C073", str(error.findings[0])) from None


def _json(name: str, file: Path, folder: Path) -> Kind:
    from schemas.validation.json_schema import JsonSchema

    schema = JsonSchema(file, folder)
    return Kind(name, _TREES, schema, tuple(schema.files))


def _xsd(name: str, file: Path, folder: Path) -> Kind:
    from schemas.validation.xsd import Xsd

    schema = Xsd(file, folder)
    return Kind(name, ("xml",), schema, tuple(schema.files))
