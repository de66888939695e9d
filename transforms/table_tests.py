"""A table's own tests: what is asked of it, and what it must say.

    F -> female
    2 to name -> 女性
    男性 from name -> M
    X -> nothing
    X error -> refused

Left of the arrow stand a value and what the pipe `table` is given after the table's name, right of it the text that
it gives, `nothing` or `refused`. What holds spaces or these two words stands in quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from config import registry
from config.errors import Finding
from config.registry import nearest
from transforms.pipes import Argument, BadPipe, Unusable, bind, named, signature
from transforms.syntax import words
from transforms.tables import CODE, Asked, Table

ARROW = "->"
NOTHING, REFUSED = "nothing", "refused"
_HINT = f"write what is asked, {ARROW}, and what the table says: F {ARROW} female"


@dataclass(frozen=True, slots=True)
class Question:
    """One test, understood. `asked` is what stands left of the arrow; `wanted` None is nothing, and `refused` where
    the message must be refused.
    """

    asked: str
    line: int
    value: str
    call: Callable[[str], str | None]
    columns: frozenset[str]  # that it asks by, and that answers
    held: bool  # whether the table has this value
    wanted: str | None
    refused: bool

    def otherwise(self) -> tuple[str | None, str | None] | None:
        """What is wanted and what the table says, where that is not the same."""
        try:
            said, refused = self.call(self.value), False
        except Unusable:
            said, refused = REFUSED, True
        as_wanted = (said, refused) == (self.wanted, self.refused)
        return None if as_wanted else (self.wanted, said)


def questions_of(table: Table) -> tuple[list[Question], list[Finding]]:
    """A table's tests, those that can be asked, and what is wrong with the others."""
    questions: list[Question] = []
    findings: list[Finding] = []
    for test in table.tests:
        try:
            question = _question(test, table)
            if any(question.asked == other.asked for other in questions):
                raise BadPipe("JL-C084", f"two tests ask {question.asked!r}")
            questions.append(question)
        except BadPipe as error:
            place = (str(table.file), test.line, test.column)
            findings.append(Finding(*place, error.code, str(error), error.hint))
    return questions, findings


def _question(test: Asked, table: Table) -> Question:
    """Raises BadPipe."""
    asked, arrow, wanted = (part.strip() for part in test.text.partition(ARROW))
    first, *rest = words(asked) if asked else [None]
    if not arrow or first is None:
        raise BadPipe("JL-C119", "this asks a table nothing", _HINT)
    if not wanted:
        raise BadPipe("JL-C087", "a test that expects nothing proves nothing", f"write {ARROW} {NOTHING}")
    given = named("table", [Argument(table.name), *rest], signature(registry.functions.get("table")))
    asks = given.get("from", CODE)
    answers = given.get("to") or (table.answers if asks == CODE else CODE)
    for column in (asks, answers):
        if column not in (CODE, *table.columns):
            near = nearest(column, (CODE, *table.columns))
            hint = f"did you mean {near}?" if near else f"it has {', '.join([CODE, *table.columns])}"
            raise BadPipe("JL-C119", f"the table has no column {column!r}", hint)
    stage = bind("table", [Argument(table.name), *rest], lambda name: table)
    value = f"{first.name}={first.text}" if first.name else first.text
    columns = frozenset({asks, answers} - {CODE})
    held = value in table.between(asks, asks)
    return Question(
        asked, test.line, value, stage.call, columns, held, _text(wanted), refused=wanted == REFUSED
    )


def _text(wanted: str) -> str | None:
    if wanted[0] in "\"'":
        return "".join(word.text for word in words(wanted))
    return None if wanted == NOTHING else wanted


def unasked(table: Table, questions: Sequence[Question]) -> list[str]:
    """What of a table no test asks: a column, in words, or what it says of a code that it does not hold."""
    seen = {column for question in questions if question.held for column in question.columns}
    missed = [f"the column {column}" for column in table.columns if column not in seen]
    if all(question.held for question in questions):
        missed.append("a code that it does not hold")
    return missed
