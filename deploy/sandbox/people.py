"""Invented people: a seeded generator, so that the same seed always makes the same hospital.

Nothing here can be anybody's. An identity number has the shape of GB 11643 (18 places, a birth date in the
middle) but the area 999999, which does not exist, and a check digit that is wrong. Mobile numbers begin with
154, which no operator holds. Names hold what breaks software: compound surnames, characters of four bytes in
GB18030, and characters whose second byte in GBK is one of HL7's delimiters (`\\` `|` `^` `~`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

SURNAMES = tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏")
COMPOUND = ("欧阳", "司马", "上官", "诸葛", "夏侯", "皇甫", "尉迟", "慕容", "令狐")
GIVEN = tuple(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰文建国志海秀云晓春梅红雪琳晨宇欣悦梓涵子轩雨桐嘉怡"
)
DELIMITERS_IN_GBK = tuple("頫誠淺珅瑋緗璣琟觀珇葉銅")
OUTSIDE_GBK = tuple("㛃㴔㛹𬱖𫖯𬀩𬍛𨱏𬘭𬭎𣲘𬴃")

WARDS = (
    ("CARD", "心内科"),
    ("RESP", "呼吸科"),
    ("ORTH", "骨科"),
    ("GYNE", "妇科"),
    ("PEDI", "儿科"),
    ("EMER", "急诊科"),
)
STREETS = ("示例路", "样板街", "虚构大道", "无名巷")
KIN = (("SPO", "配偶"), ("PAR", "父母"), ("CHD", "子女"), ("SIB", "兄弟姐妹"))
FUNDS = (("310", "职工基本医疗保险"), ("390", "城乡居民基本医疗保险"), ("07", "全自费"))

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_TODAY = date(2026, 1, 5)  # the example hospital's day: nothing here asks a clock


def check_digit(seventeen: str) -> str:
    """The last place of an identity number by GB 11643 (ISO 7064 MOD 11-2)."""
    return _CHECKS[sum(int(d) * w for d, w in zip(seventeen, _WEIGHTS, strict=True)) % 11]


@dataclass(frozen=True, slots=True)
class Doctor:
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class Kin:
    name: str
    code: str  # table 0063
    relation: str
    phone: str


@dataclass(frozen=True, slots=True)
class Person:
    number: str  # the hospital's own patient number
    surname: str
    given: str
    sex: str  # table 0001: M, F
    born: date
    identity: str
    phone: str
    address: str
    insurance: str
    fund: tuple[str, str]  # code and name of the insurance
    kin: Kin

    @property
    def name(self) -> str:
        return self.surname + self.given


@dataclass(frozen=True, slots=True)
class Visit:
    number: str
    kind: str  # table 0004: I inpatient, O outpatient, E emergency
    ward: tuple[str, str]
    room: str
    bed: str
    doctor: Doctor


class People:
    """All the chance of the example hospital comes from one `Random(seed)`.

    >>> People(1).person() == People(1).person()
    True
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._persons = 0
        self._visits = 0
        self.doctors = tuple(Doctor(f"D{n:04d}", "".join(self._name())) for n in range(1, 13))

    def person(self) -> Person:
        self._persons += 1
        sex = self.random.choice("MF")
        surname, given = self._name()
        born = _TODAY - timedelta(days=self.random.randrange(30, 95 * 365))
        return Person(
            number=f"P{self._persons:07d}",
            surname=surname,
            given=given,
            sex=sex,
            born=born,
            identity=self._identity(born, sex),
            phone=self._phone(),
            address=self._address(),
            insurance=f"99{self.random.randrange(10**10):010d}",
            fund=self.random.choice(FUNDS),
            kin=Kin("".join(self._name()), *self.random.choice(KIN), self._phone()),
        )

    def visit(self) -> Visit:
        self._visits += 1
        kind = self.random.choice("IIIOOE")
        room = f"{self.random.randrange(1, 9)}{self.random.randrange(1, 30):02d}"
        bed = f"{self.random.randrange(1, 7):02d}"
        number = f"V{_TODAY:%y%m%d}{self._visits:05d}"
        return Visit(number, kind, self.random.choice(WARDS), room, bed, self.random.choice(self.doctors))

    def _name(self) -> tuple[str, str]:
        surname = self.random.choice(COMPOUND if self.random.random() < 0.04 else SURNAMES)
        given = self.random.choice(GIVEN)
        rare = self.random.random()
        if rare < 0.05:
            return surname, given + self.random.choice(OUTSIDE_GBK)
        if rare < 0.12:
            return surname, given + self.random.choice(DELIMITERS_IN_GBK)
        return surname, given + (self.random.choice(GIVEN) if rare < 0.8 else "")

    def _identity(self, born: date, sex: str) -> str:
        order = self.random.randrange(0, 500) * 2 + (sex == "M")  # odd for men
        stem = f"999999{born:%Y%m%d}{order:03d}"
        return stem + self.random.choice([c for c in _CHECKS if c != check_digit(stem)])

    def _phone(self) -> str:
        return f"154{self.random.randrange(10**8):08d}"

    def _address(self) -> str:
        street, house = self.random.choice(STREETS), self.random.randrange(1, 400)
        block = self.random.choice(("", "甲座&乙座", "南|北院", "3栋"))  # delimiters that must be escaped
        room = f"{self.random.randrange(1, 30)}0{self.random.randrange(1, 9)}"
        return f"示例市虚构区{street}{house}号{block}{room}室"
