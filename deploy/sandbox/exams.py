"""The examinations of the example hospital, and the HIS's orders of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deploy.sandbox.messages import UTF8, Charset, Letter, order
from deploy.sandbox.people import Person, Visit


@dataclass(frozen=True, slots=True)
class Exam:
    code: str
    name: str
    modality: str  # DICOM PS3.3 C.7.3.1.1.1


EXAMS = (
    Exam("CT0101", "胸部CT平扫", "CT"),
    Exam("MR0101", "头颅磁共振平扫", "MR"),
    Exam("DR0101", "胸部正位片", "CR"),
    Exam("US0101", "腹部彩超", "US"),
)


def exam_order(
    person: Person, visit: Visit, exam: Exam, control: str, at: datetime, charset: Charset = UTF8
) -> Letter:
    """An order of an examination (ORM^O01) without an appointment; `control` is its accession number too (OBR-18)."""
    asked = {4: f"{exam.code}^{exam.name}^99EXAM", 18: control, 24: exam.modality}
    return order(person, visit, f"X{control}", control, at, asked, charset)
