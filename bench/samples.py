"""The two messages of every measurement: an admission of 1 KB, a laboratory's result of 3 KB in 33 segments.

Invented people; an identity number's area 999999 does not exist. Chinese in UTF-8, as hospitals send it.
"""

from __future__ import annotations

from typing import NamedTuple

_MARK = "@CONTROLID@"
_ADT_PATHS = """
MSH-9.1 MSH-9.2 MSH-10 EVN-2 PID-3.1 PID-3[2].1 PID-5.1 PID-7 PID-8 PID-11.1 PID-13
PV1-2 PV1-3.1 PV1-19.1 IN1-3.1
"""
_ADT = r"""
MSH|^~\&|HIS|A院区|ENGINE|HUB|20260105080000||ADT^A01^ADT_A01|@CONTROLID@|P|2.5.1|||||CHN|UNICODE UTF-8
EVN|A01|20260105080000|||D0031^李^医^^^医生|20260105075500
PID|1||P0000172^^^HIS^MR~999999199001011239^^^CHN^NI||测试^一号^^^^^L@PINYIN@||19900101|M|||@ADDRESS@||@PHONE@
NK1|1|测试^二号|SPO^配偶^HL70063|解放路100号^^南昌^江西^330000^CHN|13900000000
PV1|1|I|W301^05^01^A院区^^N^B3^F3|E|||D0031^李^医^^^医生|D0042^王^医^^^医生||CAR||||1|||D0031^李^医|IP|@VISIT@
AL1|1|DA^药物过敏^HL70127|PCN^青霉素^L|SV^重度^HL70128|皮疹、呼吸困难|20190315
AL1|2|FA^食物过敏^HL70127|SHR^虾^L|MI^轻度^HL70128|荨麻疹
DG1|1||I20.900^不稳定型心绞痛^ICD-10||20260105080000|A
IN1|1|310^城镇职工基本医疗保险^INS|H36000001|南昌市医疗保障局|红谷滩区1号^^南昌^江西^330000||||||||20260101|20261231
ZHN|1|门诊转入|310
"""
_FILLED = {
    "@PINYIN@": "~Ceshi^Yihao^^^^^P",
    "@ADDRESS@": "解放路100号^^南昌^江西^330000^CHN^H",
    "@PHONE@": "13800000000^PRN^CP|||M|||||||汉族",
    "@VISIT@": "V0000456^^^HIS||||||||||||||||||||A院区|||||20260105080000",
}
_ORU_PATHS = """
MSH-9.1 MSH-9.2 MSH-10 PID-3.1 PID-5.1 PID-7 PID-8 PV1-2 ORC-3.1 OBR-4.1 OBR-7
OBX-3.1 OBX-5 OBX[14]-5 OBX[27]-5
"""
_ORU = r"""
MSH|^~\&|LIS|A院区|ENGINE|HUB|20260105091500||ORU^R01^ORU_R01|@CONTROLID@|P|2.5.1|||||CHN|UNICODE UTF-8
PID|1||P0000172^^^HIS^MR||测试^一号^^^^^L||19900101|M
PV1|1|I|W301^05^01^A院区||||D0031^李^医|||||||||||IP|V0000456^^^HIS
ORC|RE|O0009001^HIS|S2026010500017^LIS||CM||||20260105083000|||D0031^李^医
OBR|1|O0009001^HIS|S2026010500017^LIS|LAB-CBC^血常规五分类^L|||20260105083500|||||||20260105084000|B^静脉血|D0031
@RESULTS@
NTE|1|L|标本合格，结果已由检验者复核；中性粒细胞比例偏高，请结合临床，必要时复查并送检外周血涂片镜检。
"""
_TESTS = """
WBC RBC HGB HCT MCV MCH MCHC PLT RDWSD RDWCV PDW MPV PLCR PCT
NEUT LYMPH MONO EO BASO NEUTP LYMPHP MONOP EOP BASOP IG IGP NRBC
"""


class Sample(NamedTuple):
    """A message with a gap where its control id (MSH-10) goes."""

    name: str
    head: bytes
    tail: bytes
    paths: list[str]  # the fifteen that are read

    def body(self, control_id: bytes) -> bytes:
        return self.head + control_id + self.tail


def _sample(name: str, text: str, paths: str, filled: dict[str, str]) -> Sample:
    for mark, value in filled.items():
        text = text.replace(mark, value)
    head, tail = text.lstrip().replace("\n", "\r").split(_MARK)
    return Sample(name, head.encode(), tail.encode(), paths.split())


def _result(n: int, code: str) -> str:
    value = f"{3.1 + n * 1.37:.2f}|10*9/L|3.50-9.50|N|||F|||20260105090000||LT07"
    return f"OBX|{n}|NM|{code}^血细胞分析{code}^L||{value}"


def _results() -> str:
    return "\n".join(_result(n, code) for n, code in enumerate(_TESTS.split(), 1))


ADT = _sample("ADT 1 KB", _ADT, _ADT_PATHS, _FILLED)
ORU = _sample("ORU 3 KB", _ORU, _ORU_PATHS, {"@RESULTS@": _results()})
MIXED = (ADT, ORU)  # by turns
