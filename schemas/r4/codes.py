"""Codes of required bindings that the models break off with a plus sign (from FHIR R4)."""

from __future__ import annotations

_OBSERVATION = ["corrected", "cancelled", "entered-in-error", "unknown"]
_ENCOUNTER = ["entered-in-error", "unknown"]

MORE: dict[str, list[str]] = {
    "DetectedIssue.status": _OBSERVATION,
    "Observation.status": _OBSERVATION,
    "RiskAssessment.status": _OBSERVATION,
    "DeviceUdiCarrier.entryType": ["card", "self-reported", "unknown"],
    "DeviceUseStatement.status": ["intended", "stopped", "on-hold"],
    "DiagnosticReport.status": [
        *("amended", "corrected", "appended"),
        *("cancelled", "entered-in-error", "unknown"),
    ],
    "Encounter.status": _ENCOUNTER,
    "EncounterStatusHistory.status": _ENCOUNTER,
    "QuestionnaireItem.type": [
        *("time", "string", "text", "url", "choice", "open-choice"),
        *("attachment", "reference", "quantity"),
    ],
    "StructureMapGroupRuleTarget.transform": [
        *("truncate", "escape", "cast", "append", "translate", "reference", "dateOp"),
        *("uuid", "pointer", "evaluate", "cc", "c", "qty", "id", "cp"),
    ],
    "SupplyRequest.status": ["cancelled", "completed", "entered-in-error", "unknown"],
    "Task.status": [
        *("rejected", "ready", "cancelled", "in-progress"),
        *("on-hold", "failed", "completed", "entered-in-error"),
    ],
}
