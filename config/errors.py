"""The four families of errors, and the finding that a check reports.

`ConfigError` is for whoever wrote the YAML, `BadMessage` for whoever sent the message, `Refused` and
`Unreachable` speak of the receiver. Everything else is a bug and stays loud. Each carries a stable code:
`JL-Cnnn` configuration, `JL-Mnnn` messages, `JL-Dnnn` delivery, `JL-Lnnn` large bodies, `JL-Bnnn` the broker,
`JL-Jnnn` the journal, `JL-Knnn` keys, `JL-Rnnn` a reload,
`JL-Vnnn` what validation finds in a message, `JL-Nnnn` insurance, `JL-Tnnn` settlements,
`JL-Pnnn` payment, `JL-Qnnn` reconciliation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong with a file: where, what, and what was meant.

    `line` and `column` count from 1. `severity` is `error` or `warning`; only errors keep a channel from running.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else f"{self.severity}: "
        tail = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {mark}{self.message}{tail}"


class JingluoError(Exception):
    """What the engine says on purpose. `code` is stable, `text` is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class ConfigError(JingluoError):
    """Text that cannot become objects. `findings` holds every mistake found, in file order."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(first.code, "\n".join(map(str, findings)))
        self.findings = tuple(findings)


class BadMessage(JingluoError):
    """A message that cannot be read or mapped. `path` says where in it (`PID-3.1`, `$.items[2]`, `byte 17`).

    `faults` are all that validation found, each with path, text and code.
    """

    faults: tuple[tuple[str, str, str], ...] = ()

    def __init__(self, code: str, text: str, path: str = "") -> None:
        super().__init__(code, f"{path}: {text}" if path else text)
        self.path = path


class Refused(JingluoError):
    """The receiver got it and said no. `retry` says whether the same message may succeed later.

    `headers` are those of its answer, as a receipt would have them.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        retry: bool = False,
        answer: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, text)
        self.retry = retry
        self.answer = answer
        self.headers = headers or {}


class Unreachable(JingluoError):
    """The receiver could not be asked, or did not answer. Always worth another try.

    `maybe_done` is true where the message had left before the silence, so the receiver may have it.
    `after_s` is the receiver's own wish (Retry-After), in seconds.
    """

    def __init__(
        self, code: str, text: str, *, maybe_done: bool = False, after_s: float | None = None
    ) -> None:
        super().__init__(code, text)
        self.maybe_done = maybe_done
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake inside YAML data, before it has a file: `at` is the way of keys and indexes to it.

    `on_key` puts the finding on the key itself rather than on its value. Compilers append problems to a list
    and go on, so that a check shows all of them at once; `config.text` turns them into findings. `elsewhere` is the
    finding where the mistake stands in a file that this one names.
    """

    at: tuple[str | int, ...]
    code: str
    message: str
    hint: str = ""
    severity: str = "error"
    on_key: bool = False
    elsewhere: Finding | None = None
