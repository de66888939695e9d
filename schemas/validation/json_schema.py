"""Validates JSON by a schema of the site's: draft 2020-12, compiled once by jsonschema-rs."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from schemas.validation.base import MAX_FAULTS, BadKind, Fault
from schemas.validation.words import fault_of, pointer

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 10_000_000


class JsonSchema:
    """A schema's file, and those beside it that its `$ref` names. Nothing is fetched."""

    def __init__(self, file: Path, folder: Path) -> None:
        """Raises BadKind: JL-C071 without the extra, JL-C073 and the place for a bad schema."""
        try:
            from jsonschema_rs import Draft202012Validator, ValidationError, meta
        except ImportError as error:
            what = f"validating by a JSON Schema needs the package extra jingluo[fhir]: {error}"
            raise BadKind("JL-C071", what) from None
        self._folder = folder.resolve()
        self.files: list[Path] = []
        schema = self._read(file)
        try:
            meta.validate(schema)
            self._validator = Draft202012Validator(
                schema, base_uri=file.resolve().as_uri(), retriever=self._retrieve, validate_formats=True
            )
        except ValidationError as error:
            fault = fault_of(error)
            at, what = fault.path, fault.text
            if error.kind.name in ("$ref", "format"):  # no patient's value, and it says what is wrong with it
                what = error.message
            raise BadKind("JL-C073", f"{file.name}{at and ': '}{at}: {what[:300]}") from None
        except ValueError as error:
            raise BadKind("JL-C073", f"{file.name}: {str(error).splitlines()[0][:300]}") from None

    def __call__(self, tree: Any) -> list[Fault]:
        if self._validator.is_valid(tree):
            return []
        return [fault_of(error) for error in islice(self._validator.iter_errors(tree), MAX_FAULTS)]

    def _read(self, file: Path) -> Any:
        name = file.name
        try:
            body = file.read_bytes()
        except OSError as error:
            raise BadKind("JL-C072", f"{name} cannot be read: {error.strerror}") from None
        if len(body) > MAX_BYTES:
            raise BadKind("JL-C073", f"{name} is larger than {MAX_BYTES} bytes")
        try:
            schema = json.loads(body)
        except json.JSONDecodeError as error:
            what = f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}"
            raise BadKind("JL-C073", what) from None
        except (ValueError, RecursionError):
            raise BadKind("JL-C073", f"{name}: not JSON") from None
        said = schema.get("$schema", DRAFT) if isinstance(schema, dict) else DRAFT
        if said != DRAFT and said != DRAFT + "#":
            hint = f'"$schema": "{DRAFT}"'
            raise BadKind("JL-C073", f"{name}: {pointer(['$schema'])}: only draft 2020-12 is known", hint)
        self.files.append(file)
        return schema

    def _retrieve(self, uri: str) -> Any:
        """What a `$ref` names: a file of the folder."""
        parts = urlsplit(uri)
        file = Path(unquote(parts.path)).resolve()
        if parts.scheme != "file" or not file.is_relative_to(self._folder):
            raise ValueError(f"{uri} is no file of {self._folder.name}/, and nothing is fetched")
        try:
            return self._read(file)
        except BadKind as error:
            raise ValueError(error.text) from None
