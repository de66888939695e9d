"""The centre's insured: invented persons, the first seven of one kind each, so that a test can choose.

0 a worker, who is the person of schemas/nhsa/sample.py, 1 retired, 2 a civil servant, 3 a resident, 4 a resident with
medical aid, 5 a worker insured in another place, 6 a worker with a family account and nothing on her own. The rest
come as chance has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from deploy.sandbox.people import People
from schemas.nhsa.sample import CERTNO

AREA, ELSEWHERE = "999901", "999801"  # insuplc_admdvs: no areas of China
_FEW = 40


@dataclass(frozen=True, slots=True)
class Insured:
    """A person and the account. Names as 1101 answers them; money in fen."""

    psn_no: str
    psn_name: str
    gend: str
    brdy: date
    certno: str
    card_no: str
    token: str  # of the e-voucher
    insutype: str
    insuplc_admdvs: str
    psn_type: str  # 11 在职, 12 退休, 14 居民: local values
    cvlserv_flag: str = "0"
    aided: bool = False
    chronic: tuple[str, ...] = ()  # codes of filed chronic diseases
    balance_fen: int = 0
    family_fen: int = 0
    emp_name: str = ""
    password: str = "000000"


_KINDS = (
    {"insutype": "310", "psn_type": "11", "balance_fen": 200_000},
    {"insutype": "310", "psn_type": "12", "balance_fen": 500_000, "chronic": ("M03900",)},
    {"insutype": "310", "psn_type": "11", "balance_fen": 100_000, "cvlserv_flag": "1"},
    {"insutype": "390", "psn_type": "14"},
    {"insutype": "390", "psn_type": "14", "aided": True},
    {"insutype": "310", "psn_type": "11", "balance_fen": 80_000, "insuplc_admdvs": ELSEWHERE},
    {"insutype": "310", "psn_type": "11", "balance_fen": 0, "family_fen": 30_000},
)


def insured(seed: int, count: int = _FEW) -> tuple[Insured, ...]:
    """The same for the same seed."""
    people = People(seed)
    made = []
    for number in range(count):
        who = people.person()
        kind: dict[str, object] = dict(_KINDS[number if number < len(_KINDS) else people.random.randrange(4)])
        place = str(kind.pop("insuplc_admdvs", AREA))
        made.append(
            Insured(
                psn_no=f"999900{number + 1:020d}",
                psn_name=who.name,
                gend="1" if who.sex == "M" else "2",
                brdy=who.born,
                certno=who.identity,
                card_no=f"Z{number + 1:08d}",
                token=f"EC{number + 1:026d}",
                insuplc_admdvs=place,
                emp_name="示例单位" if kind["insutype"] == "310" else "",
                **kind,  # type: ignore[arg-type]
            )
        )
    made[0] = replace(made[0], psn_name="测试患者", gend="1", brdy=date(1980, 1, 1), certno=CERTNO)
    return tuple(made)
