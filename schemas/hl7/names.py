"""The names of the fields that are asked for most, so that who writes a name hears the number.

As HL7 v2.5 calls them, in their order.
"""

from __future__ import annotations

import re

from config.registry import nearest

_TEXT = """
MSH: field separator, encoding characters, sending application, sending facility, receiving application,
  receiving facility, date time of message, security, message type, message control id, processing id,
  version id, sequence number, continuation pointer, accept acknowledgment type, application
  acknowledgment type, country code, character set, principal language of message, alternate character set
  handling scheme, message profile identifier
EVN: event type code, recorded date time, date time planned event, event reason code, operator id, event
  occurred, event facility
PID: set id, patient id, patient identifier list, alternate patient id, patient name, mother's maiden
  name, date time of birth, administrative sex, patient alias, race, patient address, county code, phone
  number home, phone number business, primary language, marital status, religion, patient account number,
  ssn number patient, driver's license number patient, mother's identifier, ethnic group, birth place,
  multiple birth indicator, birth order, citizenship, veterans military status, nationality, patient death
  date and time, patient death indicator, identity unknown indicator, identity reliability code, last
  update date time, last update facility, species code, breed code, strain, production class code, tribal
  citizenship
PV1: set id, patient class, assigned patient location, admission type, preadmit number, prior patient
  location, attending doctor, referring doctor, consulting doctor, hospital service, temporary location,
  preadmit test indicator, readmission indicator, admit source, ambulatory status, vip indicator,
  admitting doctor, patient type, visit number, financial class, charge price indicator, courtesy code,
  credit rating, contract code, contract effective date, contract amount, contract period, interest code,
  transfer to bad debt code, transfer to bad debt date, bad debt agency code, bad debt transfer amount,
  bad debt recovery amount, delete account indicator, delete account date, discharge disposition,
  discharged to location, diet type, servicing facility, bed status, account status, pending location,
  prior temporary location, admit date time, discharge date time, current patient balance, total charges,
  total adjustments, total payments, alternate visit id, visit indicator, other healthcare provider
MRG: prior patient identifier list, prior alternate patient id, prior patient account number, prior
  patient id, prior visit number, prior alternate visit id, prior patient name
NK1: set id, name, relationship, address, phone number, business phone number, contact role, start date,
  end date, next of kin associated parties job title, next of kin associated parties job code class, next
  of kin associated parties employee number, organization name, marital status, administrative sex, date
  time of birth, living dependency, ambulatory status, citizenship, primary language, living arrangement,
  publicity code, protection indicator, student indicator, religion, mother's maiden name, nationality,
  ethnic group, contact reason, contact person s name, contact person s telephone number, contact person s
  address, next of kin associated party s identifiers, job status, race, handicap, contact person social
  security number, next of kin birth place, vip indicator
ORC: order control, placer order number, filler order number, placer group number, order status, response
  flag, quantity timing, parent, date time of transaction, entered by, verified by, ordering provider,
  enterer s location, call back phone number, order effective date time, order control code reason,
  entering organization, entering device, action by, advanced beneficiary notice code, ordering facility
  name, ordering facility address, ordering facility phone number, ordering provider address, order status
  modifier, advanced beneficiary notice override reason, filler s expected availability date time,
  confidentiality code, order type, enterer authorization mode
OBR: set id, placer order number, filler order number, universal service identifier, priority  , requested
  date time, observation date time, observation end date time, collection volume, collector identifier,
  specimen action code, danger code, relevant clinical information, specimen received date time, specimen
  source, ordering provider, order callback phone number, placer field 1, placer field 2, filler field 1,
  filler field 2, results rpt status chng date time, charge to practice, diagnostic serv sect id, result
  status, parent result, quantity timing, result copies to, parent, transportation mode, reason for study,
  principal result interpreter, assistant result interpreter, technician, transcriptionist, scheduled date
  time, number of sample containers, transport logistics of collected sample, collector s comment,
  transport arrangement responsibility, transport arranged, escort required, planned patient transport
  comment, procedure code, procedure code modifier, placer supplemental service information, filler
  supplemental service information, medically necessary duplicate procedure reason, result handling
OBX: set id, value type, observation identifier, observation sub id, observation value, units, references
  range, abnormal flags, probability, nature of abnormal test, observation result status, effective date
  of reference range, user defined access checks, date time of the observation, producer s id, responsible
  observer, observation method, equipment instance identifier, date time of the analysis
NTE: set id, source of comment, comment, comment type
SPM: set id  , specimen id, specimen parent ids, specimen type, specimen type modifier, specimen
  additives, specimen collection method, specimen source site, specimen source site modifier, specimen
  collection site, specimen role, specimen collection amount, grouped specimen count, specimen
  description, specimen handling code, specimen risk code, specimen collection date time, specimen
  received date time, specimen expiration date time, specimen availability, specimen reject reason,
  specimen quality, specimen appropriateness, specimen condition, specimen current quantity, number of
  specimen containers, container type, container condition, specimen child role
MSA: acknowledgment code, message control id, text message, expected sequence number, delayed
  acknowledgment type, error condition
ERR: error code and location, error location, hl7 error code, severity, application error code,
  application error parameter, diagnostic information, user message, inform person indicator, override
  type, override reason code, help desk contact point
AL1: set id, allergen type code, allergen code mnemonic description, allergy severity code, allergy
  reaction code, identification date
DG1: set id, diagnosis coding method, diagnosis code, diagnosis description, diagnosis date time,
  diagnosis type, major diagnostic category, diagnostic related group, drg approval indicator, drg grouper
  review code, outlier type, outlier days, outlier cost, grouper version and type, diagnosis priority,
  diagnosing clinician, diagnosis classification, confidential indicator, attestation date time, diagnosis
  identifier, diagnosis action code
IN1: set id, insurance plan id, insurance company id, insurance company name, insurance company address,
  insurance co contact person, insurance co phone number, group number, group name, insured s group emp
  id, insured s group emp name, plan effective date, plan expiration date, authorization information, plan
  type, name of insured, insured s relationship to patient, insured s date of birth, insured s address,
  assignment of benefits, coordination of benefits, coord of ben priority, notice of admission flag,
  notice of admission date, report of eligibility flag, report of eligibility date, release information
  code, pre admit cert pac, verification date time, verification by, type of agreement code, billing
  status, lifetime reserve days, delay before l r day, company plan code, policy number, policy
  deductible, policy limit amount, policy limit days, room rate semi private, room rate private, insured s
  employment status, insured s administrative sex, insured s employer s address, verification status,
  prior insurance plan id, coverage type, handicap, insured s id number, signature code, signature code
  date, insured s birth place, vip indicator
SCH: placer appointment id, filler appointment id, occurrence number, placer group number, schedule id,
  event reason, appointment reason, appointment type, appointment duration, appointment duration units,
  appointment timing quantity, placer contact person, placer contact phone number, placer contact address,
  placer contact location, filler contact person, filler contact phone number, filler contact address,
  filler contact location, entered by person, entered by phone number, entered by location, parent placer
  appointment id, parent filler appointment id, filler status code, placer order number, filler order
  number
TXA: set id, document type, document content presentation, activity date time, primary activity provider
  code name, origination date time, transcription date time, edit date time, originator code name,
  assigned document authenticator, transcriptionist code name, unique document number, parent document
  number, placer order number, filler order number, unique document file name, document completion status,
  document confidentiality status, document availability status, document storage status, document change
  reason, authentication person time stamp, distributed copies code and name of recipients
"""
NAMES: dict[str, tuple[str, ...]] = {
    segment: tuple(" ".join(name.split()) for name in said.split(","))
    for segment, said in re.findall(r"^(\w{3}): ([^:]+)$", _TEXT, re.MULTILINE)
}
_FIRST = ("PID", "PV1", "MSH")  # whose field is meant where two segments have the name
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def field_name(segment: str, number: int) -> str:
    """`PID`, 5 to `patient name`; '' where it is not one of those that are known here."""
    names = NAMES.get(segment, ())
    return names[number - 1] if 0 < number <= len(names) else ""


def path_of(text: str) -> str:
    """The path that a name means: `PID.PatientName`, `visit_number`; '' where nobody can say.

    >>> path_of("PID.PatientName"), path_of("visit_number"), path_of("XYZ")
    ('PID-5', 'PV1-19', '')
    """
    segment, _, rest = re.sub(r"[-_/]", ".", text, count=1).partition(".")
    if segment.upper() not in NAMES:
        segment, rest = "", text
    wanted = " ".join(_WORD.findall(rest.partition(".")[0])).lower()
    known = {
        name: f"{owner}-{number}"
        for owner in reversed([segment.upper()] if segment else [*_FIRST, *(NAMES.keys() - set(_FIRST))])
        for number, name in enumerate(NAMES[owner], 1)
    }
    return known.get(nearest(wanted, known), "") if wanted else ""
