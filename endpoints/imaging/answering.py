"""Devices' questions for the worklist (C-FIND, PS3.4 annex K) and what they report as performed (annex F.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from config.errors import BadMessage
from endpoints.base import Ground
from endpoints.imaging.matching import days, fits
from endpoints.imaging.options import SourceOptions
from endpoints.imaging.status import (
    CANCELLED,
    CANNOT_ANSWER,
    DUPLICATE,
    INVALID_VALUE,
    NO_RESOURCES,
    NOT_A_QUESTION,
    PENDING,
    PROCESSING_FAILURE,
    SUCCESS,
    UNKNOWN,
)
from endpoints.imaging.steps import FINAL, Steps
from schemas.imaging.charsets import CODECS, UTF_8
from schemas.imaging.reading import tree_of
from schemas.imaging.writing import dataset_of

log = structlog.get_logger()

_STATUS = "PerformedProcedureStepStatus"


class Worklist:
    """Called by the door's threads."""

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self._options = options
        self._now = ground.now
        self._steps = Steps(Path(ground.base_dir, options.store))
        self._log = log.bind(channel=ground.name)

    def answers(self, event: Any) -> Iterator[tuple[int, Any]]:
        """Statuses and data sets, at most `answers` of them; of more, the last status says that there are."""
        try:
            asked = tree_of(event.identifier)
        except Exception:  # the library has no end of them
            yield NOT_A_QUESTION, None
            return
        try:
            found = [step for step in self._steps.planned(*days(asked)) if fits(asked, step)]
        except OSError as error:
            self._cannot(error)
            yield CANNOT_ANSWER, None
            return
        most = self._options.answers
        for step in found[:most]:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            yield PENDING, _answer(asked, step, self._options.charset)
        if len(found) > most:
            self._log.warning("worklist.too_many", code="JL-E841", found=len(found), most=most)
            yield NO_RESOURCES, None

    def refuses(self, event: Any, service: str, uid: str) -> int:
        """Why a performed step cannot begin, or be changed so (PS3.4 F.7.2); 0 where it can."""
        try:
            step, state = _performed(event, service), self._steps.state_of(uid)
        except OSError as error:
            self._cannot(error)
            return PROCESSING_FAILURE
        except Exception:
            return INVALID_VALUE
        if service == "mpps-create":
            return INVALID_VALUE if step.get(_STATUS) != "IN PROGRESS" else DUPLICATE if state else SUCCESS
        if not state or state in FINAL:
            return PROCESSING_FAILURE if state else UNKNOWN
        return SUCCESS if step.get(_STATUS, state) in ("IN PROGRESS", *FINAL) else INVALID_VALUE

    def note(self, event: Any, service: str, uid: str) -> None:
        """What the engine has taken is kept, and marks the steps that were planned."""
        step = _performed(event, service)
        state = str(step.get(_STATUS) or "")
        try:
            if service == "mpps-create":
                planned = step.get("ScheduledStepAttributesSequence") or []
                numbers = [
                    (_text(one, "AccessionNumber"), _text(one, "ScheduledProcedureStepID")) for one in planned
                ]
                self._steps.begin(uid, state, [one for one in numbers if one[0]], self._now())
            elif state:
                self._steps.go_on(uid, state, self._now())
        except OSError as error:
            self._cannot(error)

    def _cannot(self, error: OSError) -> None:
        self._log.error("worklist.failed", code="JL-E840", reason=str(error))


def _performed(event: Any, service: str) -> dict[str, Any]:
    data = event.request.AttributeList if service == "mpps-create" else event.request.ModificationList
    if data is None:
        return {}
    return tree_of(event.attribute_list if service == "mpps-create" else event.modification_list)


def _answer(asked: Mapping[str, Any], step: Mapping[str, Any], charset: str) -> Any:
    """In the caller's charset, where it has all letters; else in ours."""
    tree = _asked_for(asked, step)
    said = asked.get("SpecificCharacterSet")
    for term in (said, charset, UTF_8):
        if isinstance(term, str) and term in CODECS:
            try:
                return dataset_of({**tree, "SpecificCharacterSet": term})
            except BadMessage:
                continue
    raise AssertionError("UTF-8 has all letters, and what is kept was written once")


def _asked_for(asked: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Each key that was asked for, empty where the step does not have it."""
    tree: dict[str, Any] = {}
    for keyword, wanted in asked.items():
        value = step.get(keyword)
        if isinstance(wanted, list) and isinstance(value, list) and wanted and isinstance(wanted[0], Mapping):
            tree[keyword] = [_asked_for(wanted[0], item) if wanted[0] else item for item in value]
        elif isinstance(wanted, list) and (not wanted or isinstance(wanted[0], Mapping)):
            tree[keyword] = value or []
        else:
            tree[keyword] = "" if value is None else value
    return {keyword: value for keyword, value in tree.items() if keyword != "SpecificCharacterSet"}


def _text(tree: Mapping[str, Any], keyword: str) -> str:
    return str(tree.get(keyword) or "")
