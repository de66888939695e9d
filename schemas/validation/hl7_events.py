"""Which structure an HL7 v2 message has, where MSH-9.3 does not say: of several events one, by table 0354.

An event whose own name is a structure (`ADT_A01`) needs no line here. The facts are those of HL7 v2.5.1 and v2.8.2,
table 0354 (chapter 2).
"""

from __future__ import annotations

_FAMILIES = """
ADT_A01: A04 A08 A13
ADT_A05: A14 A28 A31
ADT_A06: A07
ADT_A09: A10 A11 A12
ADT_A16: A25
ADT_A21: A22 A23 A25 A26 A27 A29 A32 A33
ADT_A30: A34 A35 A36 A46 A47 A48 A49
ADT_A39: A40 A41 A42
ADT_A43: A44
ADT_A50: A51
ADT_A52: A53
ADT_A54: A55
ADT_A61: A62
CRM_C01: C02 C03 C04 C05 C06 C07 C08
CSU_C09: C10 C11 C12
LSU_U12: U13
MDM_T01: T03 T05 T07 T09 T11
MDM_T02: T04 T06 T08 T10
MFK_M01: M02 M03 M04 M05 M06 M07 M08 M09 M10 M11 M12 M13 M14 M15
OMG_O19: O19
ORU_R01: R01
PEX_P07: P08
PGL_PC6: PC7 PC8
PMU_B01: B02
PMU_B04: B05 B06
PPG_PCG: PCH PCJ
PPP_PCB: PCC PCD
PPR_PC1: PC2 PC3
QBP_Q21: Q22 Q23 Q24 Q25
RSP_K21: K22 K23 K24 K25
REF_I12: I13 I14 I15
RRI_I12: I13 I14 I15
RPA_I08: I09 I10 I11
RQA_I08: I09 I10 I11
RPI_I01: I04
RQI_I01: I02 I03 I07
RPL_I02: I06
RQC_I05: I06
SIU_S12: S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26 S27
SRM_S01: S02 S03 S04 S05 S06 S07 S08 S09 S10 S11
SRR_S01: S02 S03 S04 S05 S06 S07 S08 S09 S10 S11
TCU_U10: U11
"""


def _read() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _FAMILIES.split("\n"):
        structure, _, events = line.partition(": ")
        for event in events.split():
            found.setdefault(f"{structure[:3]}_{event}", structure)
    return found


STRUCTURES = _read()  # "ADT_A04" -> "ADT_A01"
