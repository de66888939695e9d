"""`secret://name` to its value, from one place: a YAML file, a folder of files, or the environment.

The configuration holds references only. A value travels as `Secret`, whose repr hides it, so that neither a
log line nor a traceback nor a printed model shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from config.errors import ConfigError, Finding, Problem
from config.text import At, read

PREFIX = "JINGLUO_SECRET_"
MAX_SECRET = 64_000  # bytes: a certificate with its key is far below
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_REFERENCE = re.compile(rf"secret://({_NAME.pattern})")
_NAMES = re.compile(
    r"(?:.*[_-])?(?:password|passwd|passphrase|secret|token|bearer|credential|api[_-]?key|private[_-]?key|authorization|cookie)",
    re.I,
)
_IN_URL = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@:\s]*:(?!secret://)[^/@\s]+@", re.I)


class Secret(str):
    """A text that does not show itself. In an `Options` model: `password: Secret = Secret("")`."""

    def __repr__(self) -> str:
        return "'***'" if self else "''"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class NoSecret(LookupError):
    """A reference that nothing answers. `where` says what was looked at."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"no secret is called {name!r} in {where}")


class Secrets:
    """Where a site keeps its secrets. `known` holds what a file said, `folder` is read a secret at a time."""

    def __init__(
        self, where: str, known: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self.where = where
        self._known = known or {}
        self._folder = folder

    @classmethod
    def of_file(cls, path: Path) -> Secrets:
        """A YAML file `name: value`. Raises ConfigError."""
        document = read(path, env={})
        data = document.data if document.data is not None else {}
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise ConfigError([Finding(document.file, 1, 1, "JL-C012", "must be lines of `name: 'text'`")])
        return cls(str(path), data)

    @classmethod
    def of_env(cls, env: Mapping[str, str]) -> Secrets:
        """`JINGLUO_SECRET_EMR_TOKEN` answers `secret://emr-token`."""
        known = {_flat(key[len(PREFIX) :]): value for key, value in env.items() if key.startswith(PREFIX)}
        return cls(f"the environment ({PREFIX}NAME)", known)

    def get(self, name: str) -> Secret:
        """Raises NoSecret."""
        if self._folder is not None:
            path = self._folder / name
            if not _NAME.fullmatch(name) or not path.is_file() or path.stat().st_size > MAX_SECRET:
                raise NoSecret(name, self.where)
            return Secret(path.read_text(encoding="utf-8").rstrip("\r\n"))
        for key in (name, _flat(name)):
            if key in self._known:
                return Secret(self._known[key])
        raise NoSecret(name, self.where)

    def fill(self, text: str) -> str:
        """A text with its references answered; one inside a URL is quoted for it. Raises NoSecret."""
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self.get(whole[1])
        if "secret://" not in text:
            return text
        return Secret(_REFERENCE.sub(lambda found: quote(self.get(found[1]), safe=""), text))


UNNEEDED = Secret("unneeded")


class Unneeded(Secrets):
    """Answers for the parts of a site that this process does not run: it needs none of their credentials."""

    def __init__(self) -> None:
        super().__init__("nowhere")

    def get(self, name: str) -> Secret:
        return UNNEEDED


def filled(value: Any, secrets: Secrets, at: At, problems: list[Problem]) -> Any:
    """YAML data with its references answered. One that nothing answers stays, and is a problem (JL-C032)."""
    if isinstance(value, dict):
        return {key: filled(inner, secrets, (*at, key), problems) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, secrets, (*at, i), problems) for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        return secrets.fill(value)
    except NoSecret as error:
        problems.append(Problem(at, "JL-C032", str(error)))
        return value


def written_inline(key: object, value: object) -> bool:
    """Whether a value under this key is a secret that stands in the text itself.

    >>> written_inline("password", "123456"), written_inline("password", "secret://his")
    (True, False)
    >>> written_inline("url", "http://a:b@c")
    True
    """
    if not isinstance(value, str) or not value:
        return False
    if "PRIVATE KEY-----" in value:
        return True
    if isinstance(key, str) and _NAMES.fullmatch(key):
        return _REFERENCE.search(value) is None
    return _IN_URL.match(value) is not None


def inline_secrets(value: Any, at: At) -> list[Problem]:
    """A finding for every password that stands in the text itself."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [problem for key, inner in items for problem in inline_secrets(inner, (*at, key))]
    if at and written_inline(at[-1], value):
        hint = "write secret://name in its place"
        return [Problem(at, "JL-C031", f"{at[-1]}: a secret stands in the file", hint)]
    return []


def _flat(name: str) -> str:
    return name.upper().replace("-", "_")
