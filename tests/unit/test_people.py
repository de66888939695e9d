"""The example hospital's people are invented, repeatable, and hard on software."""

import re
from datetime import datetime

from deploy.sandbox import labs
from deploy.sandbox.messages import GB18030, UTF8, adt, answer, escape, orm, oru, segments
from deploy.sandbox.people import _TODAY, DELIMITERS_IN_GBK, OUTSIDE_GBK, People, check_digit
from schemas.hl7v2 import Hl7v2

MORNING = datetime(2026, 1, 5, 8)
hl7 = Hl7v2()


def persons(count, seed=11):
    people = People(seed)
    return [people.person() for _ in range(count)]


def read(letter, path):
    return hl7.path(path).one(hl7.decode(letter.body))


def test_the_same_seed_makes_the_same_people_and_another_seed_makes_others():
    assert persons(50) == persons(50)
    assert persons(50) != persons(50, seed=12)


def test_the_check_digit_is_the_one_of_gb_11643():
    assert check_digit("11010519491231002") == "X"  # the standard's own example


def test_no_identity_number_could_be_anybodys():
    for person in persons(2000):
        assert re.fullmatch(r"999999\d{11}[\dX]", person.identity)
        assert person.identity[6:14] == f"{person.born:%Y%m%d}"
        assert int(person.identity[16]) % 2 == (person.sex == "M")
        assert person.identity[17] != check_digit(person.identity[:17])


def test_no_phone_number_is_in_a_range_that_an_operator_holds():
    assert {person.phone[:3] for person in persons(200)} == {"154"}
    assert {len(person.kin.phone) for person in persons(200)} == {11}


def test_patients_and_visits_have_numbers_of_their_own():
    people = People(5)
    assert len({people.person().number for _ in range(300)}) == 300
    assert len({people.visit().number for _ in range(300)}) == 300
    assert all(person.born <= _TODAY for person in persons(300))


def test_names_hold_what_breaks_software():
    names = [person.name for person in persons(1000)]
    assert any(set(OUTSIDE_GBK) & set(name) for name in names)
    seconds = {c.encode("gbk")[1:] for c in DELIMITERS_IN_GBK if any(c in name for name in names)}
    assert seconds == {b"\\", b"|", b"^", b"~"}
    assert all(len(c.encode("gb18030")) == 4 for c in OUTSIDE_GBK)


def test_every_message_is_read_by_the_engine_as_it_was_meant():
    people = People(3)
    for number in range(150):
        person, visit = people.person(), people.visit()
        charset = (GB18030, UTF8)[number % 2]
        for trigger in ("A01", "A02", "A03", "A04", "A08"):
            letter = adt(trigger, person, visit, f"C{number}", MORNING, charset)
            assert read(letter, "PID-5.1") + (read(letter, "PID-5.2") or "") == person.name
            assert read(letter, "PID-3.1") == person.number
            assert read(letter, "PID-11.1") == person.address
            assert read(letter, "PV1-19.1") == visit.number
            assert read(letter, "MSH-10") == f"C{number}"
            assert read(letter, "MSH-9.2") == trigger


def test_results_answer_their_order_and_are_about_three_kilobytes():
    people = People(4)
    person, visit = people.person(), people.visit()
    sizes = []
    for panel in labs.PANELS.values():
        order = orm(person, visit, "O1", panel, "C1", MORNING, GB18030)
        results = labs.measure(panel, people.random)
        letter = oru(segments(order.text), panel, results, "C2", MORNING, GB18030)
        tree = hl7.decode(letter.body)
        assert hl7.path("ORC-2.1").one(tree) == "O1"
        assert hl7.path("PID-3.1").one(tree) == person.number
        assert hl7.path("OBR-4.1").one(tree) == panel.loinc
        values = [hl7.path("-5").one(segment) for segment in hl7.path("OBX[]").many(tree)]
        assert len(values) == len(panel.items)
        assert 10 <= len(values) <= 30
        sizes.append(len(letter.body))
    assert 1000 < min(sizes) < max(sizes) < 6000


def test_a_result_is_flagged_when_it_is_outside_its_range():
    people = People(6)
    for _ in range(50):
        for result in labs.measure(labs.CHEMISTRY, people.random):
            value, item = float(result.value), result.item
            expected = "L" if value < item.low else "H" if value > item.high else "N"
            assert result.flag == expected


def test_escaped_text_comes_back_from_the_engine_as_it_was():
    text = r"a|b^c&d~e\f"
    made = f"MSH|^~\\&|A\rNTE|1||{escape(text)}\r".encode()
    assert hl7.path("NTE-3").one(hl7.decode(made)) == text


def test_an_answer_names_the_message_it_answers():
    people = People(8)
    letter = adt("A01", people.person(), people.visit(), "C77", MORNING)
    tree = hl7.decode(answer(letter.text, "AE").encode())
    assert hl7.path("MSA-1").one(tree) == "AE"
    assert hl7.path("MSA-2").one(tree) == "C77"
    assert hl7.path("MSH-3").one(tree) == "LIS"
