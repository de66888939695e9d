"""The engine's own log: JSON lines for a collector, or lines for a terminal.

What a message says is never logged; the processors here are the net below that rule: they mask by the key's
name, and of an exception show where it happened, and what it says only where that cannot be a message's words.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.errors import JingluoError
from config.secrets import Secret

MASK = "***"
_PATIENT = re.compile(
    r"(?:.*_)?(?:patient|patient_id|patient_name|full_name|family|given|birth|birthdate|birth_date|identity|"
    r"identifier|id_card|id_number|mrn|visit|phone|mobile|telephone|email|address|insurance_number|index|body|"
    r"answer|payload|password|passwd|token|secret|authorization|cookie)",
    re.IGNORECASE,
)
_DEPTH = 6
_OF_CODE = (AttributeError, NameError, TypeError, ImportError)  # what these say is about our code alone
_CAUSES = 5


class _Unfailing:
    """A full disk or a closed pipe costs log lines, never messages."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def setup(level: str = "info", form: str = "console", stream: TextIO | None = None) -> None:
    """Sets structlog up for this process. `level`: debug, info, warning, error; `form`: json or console."""
    out = stream or sys.stderr
    last: Processor
    if form == "json":
        last = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        last = structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask,
            trace,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=_Unfailing(out)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


def mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hides what stands under a patient's or a secret's key, at any depth, and all bytes."""
    return {key: value if key == "event" else _masked(key, value) for key, value in event.items()}


def _masked(key: Any, value: Any, depth: int = 0) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Secret) or depth > _DEPTH:
        return MASK
    if isinstance(key, str) and value not in (None, "") and _PATIENT.fullmatch(key):
        return MASK
    if isinstance(value, Mapping):
        return {inner: _masked(inner, item, depth + 1) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", item, depth + 1) for item in value]
    return value


def trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """An exception as text, under `exception`: its frames, its kind, and that of its causes."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        event["exception"] = "\nafter\n".join(_traced(each) for each in _with_causes(error))
    return event


def _with_causes(error: BaseException) -> list[BaseException]:
    """Itself last."""
    found = [error]
    while len(found) < _CAUSES:
        cause = found[-1].__cause__ or (None if found[-1].__suppress_context__ else found[-1].__context__)
        if cause is None:
            break
        found.append(cause)
    return found[::-1]


def _traced(error: BaseException) -> str:
    """`ValueError('invalid date: ...')` quotes a message: then only its kind is told."""
    says = f": {error}" if isinstance(error, _OF_CODE) else ""
    if isinstance(error, JingluoError):
        says = f": {error.code}"
    elif isinstance(error, OSError) and error.strerror:
        says = f": {error.strerror}"
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__ + says
