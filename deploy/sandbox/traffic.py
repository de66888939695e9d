"""A day in the example hospital: who comes, what is ordered, what is asked; the same seed, the same day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from deploy.sandbox.exams import EXAMS, exam_order
from deploy.sandbox.labs import PANELS
from deploy.sandbox.messages import GB18030, UTF8, Charset, Letter, adt, front_visit, orm, price_list
from deploy.sandbox.people import People, Person, Visit

# Which comings and goings the example channel hands on to whom; a transfer (A02) interests nobody here.
TO_LIS = ("ADT^A01", "ADT^A04", "ADT^A08")
TO_EMR = ("ADT^A01", "ADT^A03", "ADT^A04", "ADT^A08")

FEWEST = 9  # messages of a day: one for every channel
_MOST_EXAMS = 20  # each image is an association of its own, which takes a while

_TRANSACTIONS = 6  # 1101, 2201, 2203A, 2204, 2206, 2207
_MOST_INSURED = 40

_STAY = ("A01", "A08", "A02", "A08", "A03")
_CALL = ("A04", "A08")


@dataclass(slots=True)
class Day:
    """Letters with the patient they are about, and what is asked and dropped."""

    adt: list[tuple[str, Letter]] = field(default_factory=list)
    orders: list[tuple[str, Letter]] = field(default_factory=list)
    exams: list[tuple[str, Letter]] = field(default_factory=list)  # orders of examinations
    queries: list[str] = field(default_factory=list)  # patient numbers
    checkins: list[tuple[str, str]] = field(default_factory=list)  # at the kiosks: number and patient
    visits: list[tuple[str, str]] = field(default_factory=list)  # at the branch: number and Request
    files: dict[str, str] = field(default_factory=dict)  # price lists by number
    insured: int = 0  # outpatients who are settled with the insurance centre, six transactions each

    @property
    def messages(self) -> int:
        """How many the engine will be handed: every order brings a result, or an image."""
        single = len(self.adt) + len(self.queries) + len(self.checkins) + len(self.visits) + len(self.files)
        return single + 2 * (len(self.orders) + len(self.exams)) + _TRANSACTIONS * self.insured


def plan(count: int, seed: int, imaging: bool = True) -> Day:
    """A day of exactly `count` messages over nine channels (nine at the least); without `imaging`, over seven.

    From 60 on some of them are transactions of insured outpatients, from 240 on by both of the doors for that.
    """
    if count < FEWEST:
        raise ValueError(f"a day has at least {FEWEST} messages, one for every channel")
    day, people = Day(), People(seed)
    chance = people.random
    files = max(count // 50, 1)
    queries = max(count * 2 // 25, 1)
    orders = max(count // 5, 1)
    checkins = max(count // 25, 1)
    visits = max(count // 25, 1)
    exams = min(max(count // 40, 1), _MOST_EXAMS) if imaging else 0
    day.insured = min(count // 60, _MOST_INSURED)
    seen: dict[str, tuple[Person, Visit]] = {}
    for number, (person, visit, trigger) in enumerate(
        _stays(
            people,
            count - files - queries - checkins - visits - 2 * (orders + exams) - _TRANSACTIONS * day.insured,
        )
    ):
        seen[person.number] = person, visit
        letter = adt(trigger, person, visit, f"A{number:06d}", _at(number), _charset(person))
        day.adt.append((person.number, letter))
    for number in range(orders):
        person, visit = chance.choice(tuple(seen.values()))
        panel = chance.choice(tuple(PANELS.values()))
        order = orm(person, visit, f"R{number:06d}", panel, f"O{number:06d}", _at(number), _charset(person))
        day.orders.append((person.number, order))
    arrived = chance.choices(tuple(seen), k=checkins)
    day.checkins = [(f"K{number:06d}", patient) for number, patient in enumerate(arrived)]
    for number in range(visits):
        key = f"S{number:06d}"
        day.visits.append((key, front_visit(people.person(), people.visit(), key, _at(number))))
    for number in range(exams):
        person, visit = chance.choice(tuple(seen.values()))
        exam = EXAMS[number % len(EXAMS)]
        order = exam_order(person, visit, exam, f"I{number:06d}", _at(number), _charset(person))
        day.exams.append((person.number, order))
    day.queries = chance.choices(tuple(seen), k=queries)
    for number in range(files):
        name = f"PL{number:05d}"
        day.files[name] = price_list(name, chance, _at(number))
    return day


def _stays(people: People, count: int) -> Iterator[tuple[Person, Visit, str]]:
    """`count` events of patients who are here at the same time, each patient's in the order of a stay."""
    here: list[Iterator[tuple[Person, Visit, str]]] = []
    while count:
        if len(here) < 12:
            here.append(_stay(people))
        bed = people.random.randrange(len(here))
        event = next(here[bed], None)
        if event is None:
            del here[bed]
        else:
            count -= 1
            yield event


def _stay(people: People) -> Iterator[tuple[Person, Visit, str]]:
    person, visit = people.person(), people.visit()
    for trigger in _CALL if visit.kind == "O" else _STAY:
        yield person, visit, trigger


def _charset(person: Person) -> Charset:
    """Half of the patients sit in an old ward whose programs write GB18030."""
    return GB18030 if int(person.number[1:]) % 2 else UTF8


def _at(number: int) -> datetime:
    return datetime(2026, 1, 5, 8) + timedelta(seconds=7 * number)
