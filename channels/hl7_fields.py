"""The highest field of every HL7 v2 segment, to warn of a path that the standard does not have.

The highest number in any version up to 2.8.2; 999 where a segment has as many fields as a query wants.
Z-segments are a site's own, and nothing is said of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from config.errors import Problem
from config.registry import nearest
from config.text import At

_FIELDS = """
ABS 14 ACC 13 ADD 1 ADJ 15 AFF 5 AIG 14 AIL 12 AIP 12 AIS 12 AL1 6 APR 5 ARQ 25 ARV 6 AUT 29 BHS 14 BLC 2
BLG 4 BPO 14 BPX 21 BTS 3 BTX 20 BUI 12 CDM 13 CDO 4 CER 31 CM0 11 CM1 3 CM2 4 CNS 6 CON 25 CSP 4 CSR 16
CSS 3 CTD 7 CTI 3 DB1 8 DG1 26 DMI 5 DON 33 DPS 5 DRG 33 DSC 2 DSP 5 ECD 5 ECR 3 EDU 9 EQL 4 EQP 5 EQU 5
ERQ 3 ERR 12 EVN 7 FAC 12 FHS 14 FT1 43 FTS 2 GOL 22 GP1 5 GP2 14 GT1 57 IAM 30 IAR 4 IIM 15 ILT 10 IN1 55
IN2 72 IN3 27 INV 20 IPC 9 IPR 8 ISD 3 ITM 33 IVC 30 IVT 26 LAN 4 LCC 4 LCH 5 LDP 12 LOC 9 LRL 6 MCP 5 MFA
6 MFE 7 MFI 6 MRG 7 MSA 8 MSH 25 NCK 1 NDS 4 NK1 41 NPU 2 NSC 9 NST 15 NTE 8 OBR 54 OBX 30 ODS 4 ODT 3 OM1
59 OM2 10 OM3 7 OM4 18 OM5 3 OM6 2 OM7 24 OMC 13 ORC 34 ORG 13 OVR 5 PAC 8 PCE 4 PCR 23 PD1 22 PDA 9 PDC
15 PEO 25 PES 13 PID 40 PKG 8 PM1 24 PMT 12 PR1 25 PRA 12 PRB 28 PRC 18 PRD 14 PRT 22 PSG 6 PSH 14 PSL 48
PSS 5 PTH 7 PV1 54 PV2 50 PYE 7 QAK 6 QID 2 QRD 12 QRF 10 QRI 3 RCP 7 RDF 2 REL 16 RF1 25 RFI 4 RGS 3 RMI
3 ROL 14 RQ1 7 RQD 10 RXA 29 RXC 11 RXD 35 RXE 45 RXG 33 RXO 36 RXR 6 RXV 22 SAC 44 SCD 37 SCH 27 SCP 8
SDD 7 SFT 6 SGH 2 SGT 2 SHP 11 SID 4 SLT 5 SPM 32 SPR 4 STF 41 STZ 4 TCC 15 TCD 8 TQ1 14 TQ2 10 TXA 26 UAC
2 UB1 23 UB2 17 URD 7 URS 9 VAR 6 VND 5 VTQ 5 QPD 999 RDT 999
"""
HIGHEST = {segment: int(field) for segment, field in re.findall(r"(\w+) (\d+)", _FIELDS)}
_PATH = re.compile(r"\$([A-Z][A-Z0-9]{2})(?:\[[^\]]*\])?-([0-9]{1,4})")


def doubts(spec: Any, at: At) -> Iterator[Problem]:
    """A warning for every path in a condition or expression that no version of the standard has."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            yield from _of_text(key, (*at, key), on_key=True)
            yield from doubts(value, (*at, key))
    elif isinstance(spec, list):
        for number, value in enumerate(spec):
            yield from doubts(value, (*at, number))
    else:
        yield from _of_text(spec, at)


def _of_text(text: Any, at: At, on_key: bool = False) -> Iterator[Problem]:
    if not isinstance(text, str):
        return
    for segment, field in _PATH.findall(text):
        if segment.startswith("Z"):
            continue
        if segment not in HIGHEST:
            near = nearest(segment, HIGHEST)
            hint = f"did you mean {near}?" if near else ""
            what = f"HL7 v2 has no segment {segment}"
        elif not 1 <= int(field) <= HIGHEST[segment]:
            what, hint = (
                f"HL7 v2 has no field {segment}-{field}",
                f"the last one is {segment}-{HIGHEST[segment]}",
            )
        else:
            continue
        yield Problem(at, "JL-C037", what, hint, "warning", on_key)
