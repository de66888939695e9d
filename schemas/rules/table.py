"""A table of rules from its file: YAML, or CSV as a spreadsheet saves it. Rows that may both hold are a finding."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.errors import ConfigError, Finding, Problem
from config.models import problems_of
from config.text import At, Document, Place, parse
from schemas.nhsa.amounts import NoAmount, amount
from schemas.rules.model import CODES, Rounding, Rule, Rules, Share

UNREADABLE = "JL-C170"
ROW = "JL-C171"
OVERLAP = "JL-C172"

MAX_RULES = 2000
MAX_FILE = 2_000_000  # bytes
_MOST_OVERLAPS = 50  # that are told of one table

# Columns of CSV, and the way of keys to what they say.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    **{name: (name,) for name in CODES},
    "age_from": ("age", "from"),
    "age_below": ("age", "below"),
    "from": ("valid", "from"),
    "to": ("valid", "to"),
    "fee": ("fee",),
    "fund_amount": ("fund", "amount"),
    "fund_ratio": ("fund", "ratio"),
    "fund_cap": ("fund", "cap"),
    "otherwise": ("otherwise",),
    "why": ("why",),
}
_ABOUT = ("title", "source", "rounding")


def _number(value: Any) -> Decimal:
    """A number of YAML may come as a float; its shortest text is what was written."""
    try:
        return amount(str(value) if isinstance(value, float) else value)
    except NoAmount:
        raise ValueError("must be a plain number, as 12.50") from None


def _fen(value: Any) -> int:
    fen = _number(value) * 100
    if fen != int(fen) or not 0 <= fen <= 10**8:
        raise ValueError("must be yuan with at most two decimals, as 12.50")
    return int(fen)


def _ratio(value: Any) -> Decimal:
    ratio = _number(value)
    if not 0 <= ratio <= 1:
        raise ValueError("must be a share of 1: 0.8 is 80%")
    return ratio


def _day(value: Any) -> date:
    try:
        if not isinstance(value, str) or len(value) != len("2026-01-31"):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date, as 2026-01-31") from None


def _codes(value: Any) -> frozenset[str]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str | int) and not isinstance(one, bool) for one in listed):
        raise ValueError("must be a code, or a list of them")
    return frozenset(str(one) for one in listed)


Fen = Annotated[int, BeforeValidator(_fen)]
Years = Annotated[Decimal, BeforeValidator(_number)]
Day = Annotated[date, BeforeValidator(_day)]
Codes = Annotated[frozenset[str], BeforeValidator(_codes)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgeText(_Text):
    from_: Years | None = Field(None, alias="from", description="years: from this birthday on")
    below: Years | None = Field(None, description="years: until the day before this birthday")


class ValidText(_Text):
    from_: Day | None = Field(None, alias="from", description="the first day")
    to: Day | None = Field(None, description="the last day")


class FundText(_Text):
    amount: Fen | None = Field(None, description="yuan")
    ratio: Annotated[Decimal, BeforeValidator(_ratio)] | None = Field(
        None, description="of the fee: 0.8 is 80%"
    )
    cap: Fen | None = Field(None, description="yuan: the most of it")

    @model_validator(mode="after")
    def _is_one(self) -> FundText:
        if (self.amount is None) == (self.ratio is None):
            raise ValueError("the fund pays either an amount or a ratio")
        return self


class RowText(_Text):
    """A row of the table."""

    id: str = Field(
        min_length=1, max_length=50, description="its name in answers; it stays when the row changes"
    )
    nature: Codes | None = Field(None, description="挂号性质")
    med_type: Codes | None = Field(None, description="医疗类别")
    insutype: Codes | None = Field(None, description="险种类型")
    level: Codes | None = Field(None, description="医院等级")
    channel: Codes | None = Field(None, description="渠道")
    age: AgeText = AgeText.model_validate({})
    valid: ValidText = ValidText.model_validate({})
    fee: Fen | None = Field(None, description="yuan: 诊查费, where the table says it")
    fund: FundText = Field(description="统筹金额: amount, or ratio, and cap")
    otherwise: bool = Field(False, description="holds only where no other row does")
    why: str = Field("", max_length=200, description="the document that says so")

    @model_validator(mode="after")
    def _is_possible(self) -> RowText:
        if self.valid.from_ and self.valid.to and self.valid.from_ > self.valid.to:
            raise ValueError("it ends before it begins")
        if self.age.below is not None and (self.age.from_ or 0) >= self.age.below:
            raise ValueError("nobody is of that age")
        return self


class TableText(_Text):
    """A file of rules."""

    rules: str = Field(min_length=1, description="the table's name: that of the file")
    title: str = ""
    source: str = Field("", description="who says so")
    rounding: Rounding = Field(description="of the fund's part, to the fen: half-up, down, up")
    rows: list[RowText] = Field(min_length=1, max_length=MAX_RULES)


@dataclass(frozen=True, slots=True)
class Read:
    """What a file came to. `rules` is None where any row is wrong."""

    rules: Rules | None
    findings: tuple[Finding, ...] = field(default=())


def read_rules(path: Path, shown_as: str) -> Read:
    """Never raises for a bad file: JL-C170 cannot be read, JL-C171 a row is wrong, JL-C172 two rows may both hold,
    and what every YAML file may have."""
    try:
        if path.stat().st_size > MAX_FILE:
            return _unread(shown_as, f"larger than {MAX_FILE} bytes")
        text = path.read_bytes()
    except OSError as error:
        return _unread(shown_as, f"cannot be read: {error.strerror}")
    return _read(text, path, shown_as)


@lru_cache(maxsize=32)
def _read(text: bytes, path: Path, shown_as: str) -> Read:
    try:
        written = text.decode("utf-8-sig")
        csv_file = path.suffix == ".csv"
        document = _of_csv(written, path.stem, shown_as) if csv_file else parse(written, shown_as, {})
    except ConfigError as error:
        return Read(None, error.findings)
    except UnicodeDecodeError:
        return Read(None, (Finding(shown_as, 1, 1, "JL-C002", "not UTF-8 text", "save the file as UTF-8"),))
    problems = list(document.problems)
    made: Rules | None = None
    try:
        table = TableText.model_validate(document.data)
    except ValidationError as error:
        problems += [_as_row(problem) for problem in problems_of(error, TableText)]
    else:
        made = _rules(table, document, hashlib.sha256(text).hexdigest()[:16])
        problems += _overlaps(made.rules, document)
        problems += _twice(made.rules)
        if table.rules != path.stem:
            what = f"the rules {table.rules!r} stand in a file called {path.stem!r}"
            problems.append(Problem(("rules",), ROW, what, f"call it {table.rules}{path.suffix}"))
    findings = tuple(document.findings(problems))
    return Read(None if any(one.severity == "error" for one in findings) else made, findings)


def _unread(shown_as: str, what: str) -> Read:
    return Read(None, (Finding(shown_as, 1, 1, UNREADABLE, what),))


def _as_row(problem: Problem) -> Problem:
    """What a value must be is said with this table's own code; unknown and missing keys with everybody's."""
    code = problem.code if problem.code in ("JL-C010", "JL-C011") else ROW
    return Problem(problem.at, code, problem.message, problem.hint, problem.severity, problem.on_key)


def _of_csv(text: str, name: str, shown_as: str) -> Document:
    """The same data as YAML's, with the places of its cells. `# rounding: half-up` and the like stand first."""
    lines = text.splitlines()
    data: dict[str, Any] = {"rules": name}
    places: dict[At, Place] = {}
    problems: list[Problem] = []
    columns: list[str] = []
    rows: list[Any] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            key, _, said = (part.strip() for part in line[1:].partition(":"))
            if key in _ABOUT:
                data[key], places[(key,)] = said, (number, 1)
        elif not line.strip(",\t ") or not columns:
            columns = columns or [cell.strip() for cell in next(csv.reader([line]), [])]
            places.setdefault(("rows",), (number, 1))
        else:
            places[("rows", len(rows))] = (number, 1)
            rows.append(
                _row(columns, next(csv.reader([line]), []), ("rows", len(rows)), number, places, problems)
            )
    wrong = [column for column in columns if column not in _COLUMNS]
    problems += [
        Problem(("rows",), ROW, f"no column is called {one!r}", f"known are {', '.join(_COLUMNS)}")
        for one in wrong
    ]
    return Document(shown_as, {**data, "rows": rows}, tuple(problems), (), places)


def _row(
    columns: Sequence[str],
    cells: Sequence[str],
    at: At,
    number: int,
    places: dict[At, Place],
    problems: list[Problem],
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if len(cells) > len(columns):
        problems.append(Problem(at, ROW, "more cells than columns", "put quotes around what holds a comma"))
    for column, cell in zip(columns, cells, strict=False):
        way = _COLUMNS.get(column)
        if way is None or not cell.strip():
            continue
        inner = row
        for key in way[:-1]:
            inner = inner.setdefault(key, {})
        inner[way[-1]] = _cell(column, cell.strip())
        places[(*at, *way)] = (number, 1)
    return row


def _cell(column: str, text: str) -> Any:
    if column in CODES:
        return text.replace("|", " ").split()
    if column == "otherwise":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    return text


def _rules(table: TableText, document: Document, digest: str) -> Rules:
    made = tuple(_rule(row, document.place(("rows", number))[0]) for number, row in enumerate(table.rows))
    return Rules(table.rules, table.title, table.rounding, made, table.source, digest)


def _rule(row: RowText, line: int) -> Rule:
    named = {name: getattr(row, name) for name in CODES}
    return Rule(
        id=row.id,
        share=Share(row.fund.amount, row.fund.ratio, row.fund.cap),
        line=line,
        codes={name: codes for name, codes in named.items() if codes is not None},
        age_from=row.age.from_,
        age_below=row.age.below,
        first=row.valid.from_,
        last=row.valid.to,
        fee_fen=row.fee,
        otherwise=row.otherwise,
        why=row.why,
    )


def _overlaps(rules: Sequence[Rule], document: Document) -> Iterable[Problem]:
    found = 0
    for number, rule in enumerate(rules):
        for before in rules[:number]:
            if rule.overlaps(before):
                what = f"{rule.id!r} and {before.id!r} (line {before.line}) may both hold"
                hint = "end one of them, name more of what they differ in, or say `otherwise: true` of one"
                yield Problem(("rows", number), OVERLAP, what, hint)
                found += 1
                if found >= _MOST_OVERLAPS:
                    return


def _twice(rules: Sequence[Rule]) -> Iterable[Problem]:
    """One id may stand in rows of different times: it is one rule that changed."""
    first: dict[str, Rule] = {}
    for number, rule in enumerate(rules):
        before = first.setdefault(rule.id, rule)
        if before is not rule and before.otherwise == rule.otherwise and before.codes != rule.codes:
            what = f"{rule.id!r} is called like the row of line {before.line}, which is for others"
            yield Problem(("rows", number), ROW, what, "one id is one rule, at different times or ages")
