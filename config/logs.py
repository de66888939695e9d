"""The engine's own log: JSON lines for a collector, or lines for a terminal.

What a message says is never logged; the processor here is the net below that rule: it masks by the key's
name.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.secrets import Secret

MASK = "***"
_PATIENT = re.compile(
    r"(?:.*_)?(?:patient|patient_id|patient_name|full_name|family|given|birth|birthdate|birth_date|identity|"
    r"identifier|id_card|id_number|mrn|visit|phone|mobile|telephone|email|address|insurance_number|index|body|"
    r"answer|payload|password|passwd|token|secret|authorization|cookie)",
    re.IGNORECASE,
)
_DEPTH = 6


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
        last = structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask,
            structlog.processors.format_exc_info if form == "json" else _untouched,
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


def _untouched(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return event
