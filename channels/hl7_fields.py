"""How many fields a segment of HL7 v2 has, by version: to doubt a path that the standard does not have.

`PID 2.1:20 2.2:27` is 20 fields from version 2.1 on and 27 from 2.2; `-` is withdrawn; 999 where a segment has as
many fields as a query wants. The numbers are those of HL7's own tables, versions 2.1 to 2.8.2. Z-segments are a
site's own, and nothing is known of them.
"""

from __future__ import annotations

import re

VERSIONS = (
    "2.1",
    "2.2",
    "2.3",
    "2.3.1",
    "2.4",
    "2.5",
    "2.5.1",
    "2.6",
    "2.7",
    "2.7.1",
    "2.8",
    "2.8.1",
    "2.8.2",
)
_TEXT = """
ABS 2.4:14; ACC 2.1:3 2.3:6 2.4:10 2.5:11 2.7:12 2.8:13; ADD 2.1:1; ADJ 2.6:15; AFF 2.4:5; AIG 2.3:14; AIL
2.3:12; AIP 2.3:12; AIS 2.3:10 2.4:12; AL1 2.2:6 2.7:5; APR 2.3:5; ARQ 2.3:23 2.4:25; ARV 2.6:6; AUT
2.3:10 2.7:12 2.8:29; BHS 2.1:12 2.6:14; BLC 2.4:2; BLG 2.1:3 2.5:4; BPO 2.5:14; BPX 2.5:21; BTS 2.1:3;
BTX 2.5:19 2.8:20; BUI 2.8:12; CDM 2.3:13; CDO 2.8:4; CER 2.5:31; CM0 2.3:11; CM1 2.3:3; CM2 2.3:4; CNS
2.4:6; CON 2.5:25; CSP 2.3:4; CSR 2.3:16; CSS 2.3:3; CTD 2.3:7; CTI 2.3:3; DB1 2.3:8; DG1 2.1:14 2.2:16
2.3:19 2.5:21 2.6:26; DMI 2.6:5; DON 2.8:33; DPS 2.8.2:5; DRG 2.3:10 2.4:11 2.6:33; DSC 2.1:1 2.4:2; DSP
2.1:5; ECD 2.4:5; ECR 2.4:3; EDU 2.4:8 2.5:9; EQL 2.3:4 2.6:-; EQP 2.4:5; EQU 2.4:5; ERQ 2.3:3 2.6:-; ERR
2.1:1 2.5:12; EVN 2.1:4 2.2:5 2.3:6 2.4:7; FAC 2.3:12; FHS 2.1:12 2.6:14; FT1 2.1:22 2.2:23 2.3:25
2.3.1:26 2.5:31 2.7:43; FTS 2.1:2; GOL 2.3:21 2.6:22; GP1 2.4:5; GP2 2.4:14; GT1 2.1:20 2.2:21 2.3:55
2.5:57; IAM 2.4:20 2.7:30; IAR 2.7:4; IIM 2.5:15; ILT 2.6:10; IN1 2.1:44 2.2:46 2.3:49 2.5:53 2.7:54
2.8:55; IN2 2.2:30 2.3:72; IN3 2.2:25 2.8:27; INV 2.4:18 2.5:20; IPC 2.5:9; IPR 2.6:8; ISD 2.4:3; ITM
2.6:29 2.8:33; IVC 2.6:30; IVT 2.6:26; LAN 2.4:4; LCC 2.3:4; LCH 2.3:5; LDP 2.3:11 2.4:12; LOC 2.3:8
2.4:9; LRL 2.3:6; MCP 2.8.2:5; MFA 2.2:5 2.3.1:6; MFE 2.2:4 2.3.1:5 2.6:7; MFI 2.2:6; MRG 2.1:3 2.2:4
2.3:7; MSA 2.1:5 2.2:6 2.6:8; MSH 2.1:14 2.2:17 2.3:19 2.3.1:20 2.4:21 2.6:25; NCK 2.1:1; NDS 2.4:4; NK1
2.1:5 2.2:13 2.3:37 2.5:39 2.7:41; NPU 2.1:2; NSC 2.1:9 2.3:8 2.3.1:9; NST 2.1:15; NTE 2.1:3 2.3.1:4
2.6:8; OBR 2.1:36 2.3:43 2.3.1:45 2.4:47 2.5:49 2.5.1:50 2.7:54; OBX 2.1:12 2.2:16 2.3:17 2.4:19 2.5.1:25
2.7:26 2.8:28 2.8.1:29 2.8.2:30; ODS 2.2:4; ODT 2.2:3; OM1 2.2:42 2.3:47 2.8:51 2.8.1:55 2.8.2:59; OM2
2.2:11 2.3:10; OM3 2.2:8 2.3:7; OM4 2.2:15 2.3:14 2.8:18; OM5 2.2:4 2.3:3; OM6 2.2:3 2.3:2; OM7 2.4:24;
OMC 2.8.2:13; ORC 2.1:14 2.2:19 2.3.1:24 2.4:25 2.5:30 2.5.1:31 2.7:33 2.8:34; ORG 2.4:12 2.7:13; ORO
2.1:0 2.2:-; OVR 2.5:5; PAC 2.7:8; PCE 2.6:4; PCR 2.3:23; PD1 2.1:1 2.2:- 2.3:12 2.4:21 2.6:22; PDA 2.4:9;
PDC 2.3:15; PEO 2.3:25; PES 2.3:13; PID 2.1:20 2.2:27 2.3:30 2.4:38 2.5:39 2.7:40; PKG 2.6:7 2.8:8; PM1
2.8.2:24; PMT 2.6:12; PR1 2.1:13 2.2:14 2.3:15 2.3.1:16 2.4:18 2.5:20 2.6:22 2.7:25; PRA 2.2:7 2.3.1:8
2.4:12; PRB 2.3:25 2.6:28; PRC 2.3:18; PRD 2.3:9 2.6:14; PRT 2.7:15 2.8.2:22; PSG 2.6:6; PSH 2.3:14; PSL
2.6:48; PSS 2.6:5; PTH 2.3:6 2.6:7; PV1 2.1:49 2.2:50 2.3:52 2.7:54; PV2 2.2:9 2.3:37 2.4:47 2.5:49
2.6:50; PYE 2.6:7; QAK 2.3:2 2.4:6; QID 2.4:2; QPD 2.4:999; QRD 2.1:12 2.7:0; QRF 2.1:5 2.2:8 2.3:9 2.4:10
2.7:0; QRI 2.4:3; RCP 2.4:7; RDF 2.3:2; RDT 2.3:999; REL 2.6:16; RF1 2.3:11 2.6:12 2.8:25; RFI 2.6:4; RGS
2.3:3; RMI 2.4:3; ROL 2.3:8 2.4:12 2.6:13 2.7:14; RQ1 2.2:7; RQD 2.2:10; RX1 2.1:30 2.2:-; RXA 2.2:12
2.3:22 2.5:26 2.6:28 2.8:29; RXC 2.2:4 2.3:6 2.4:7 2.5:9 2.8:11; RXD 2.2:15 2.3:24 2.4:27 2.5:33 2.7:34
2.8:35; RXE 2.2:24 2.3:30 2.4:31 2.5:44 2.7:45; RXG 2.2:16 2.3:22 2.5:26 2.6:30 2.8:33; RXO 2.2:17 2.3:22
2.3.1:23 2.4:24 2.5:28 2.6:35 2.7:36; RXR 2.2:4 2.3.1:5 2.5:6; RXV 2.8:22; SAC 2.4:44; SCD 2.6:37; SCH
2.3:25 2.4:27; SCP 2.6:8; SDD 2.6:7; SFT 2.5:6; SGH 2.8:2; SGT 2.8:2; SHP 2.7:11; SID 2.4:4; SLT 2.6:5;
SPM 2.5:29 2.7:32; SPR 2.3:4 2.6:-; STF 2.2:16 2.3:26 2.4:29 2.5:38 2.6:39 2.7:41; STZ 2.6:4; TCC 2.4:14
2.8:15; TCD 2.4:8; TQ1 2.5:14; TQ2 2.5:10; TXA 2.3:23 2.7:26; UAC 2.6:2; UB1 2.1:23; UB2 2.2:16 2.3:17;
URD 2.1:7 2.7:0; URS 2.1:5 2.2:8 2.3:9 2.7:0; VAR 2.3:6; VND 2.6:5; VTQ 2.3:5 2.6:-
"""
_FIELDS: dict[str, list[tuple[str, int]]] = {
    entry.split()[0]: [
        (since, 0 if number == "-" else int(number)) for since, number in re.findall(r"(\S+):(\d+|-)", entry)
    ]
    for entry in _TEXT.split(";")
}
SEGMENTS = tuple(_FIELDS)


def highest(segment: str, version: str = "") -> int:
    """The last field of a segment in a version, or in any; 0 where it has no such segment.

    >>> highest("PID", "2.3"), highest("PID"), highest("PRT", "2.5"), highest("XYZ")
    (30, 40, 0, 0)
    """
    said = _FIELDS.get(segment, [])
    if not version:
        return max((number for _, number in said), default=0)
    at = VERSIONS.index(version)
    return next((number for since, number in reversed(said) if VERSIONS.index(since) <= at), 0)
