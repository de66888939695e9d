"""The fund's part of a consultation fee (诊查费统筹) by a table of the site: kind `rules`. There is no network.

A body is a JSON object of text and numbers: `nature` 挂号性质, `med_type` 医疗类别, `insutype`, `level`, `channel`,
`age` in years, `at` (yyyy-MM-dd), `fee` and `shown` in yuan. The answer says the split, and which rule made it and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from config import registry
from config.errors import BadMessage, Problem, Refused
from config.models import did_you_mean
from config.registry import nearest
from endpoints.base import Ground, Options
from schemas.json import Json
from schemas.message import Message, Receipt
from schemas.rules.evaluate import price, question
from schemas.rules.model import NAMES, Priced, Rules
from schemas.rules.table import UNREADABLE, read_rules

_MOST_STEPS = 20  # of the trace, in an answer


class DestinationOptions(Options):
    """`send: {rules: {table: rules/registration-fee.yaml}}`."""

    table: str = Field(min_length=1, description="the file, YAML or CSV, relative to the site")
    defaults: dict[str, str] = Field(
        default_factory=dict, description="what a question leaves out: `{level: '3', insutype: '310'}`"
    )
    zone: str = Field("Asia/Shanghai", description="whose day it is, where a question does not say `at`")

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"this machine knows no time zone {zone!r}; write Asia/Shanghai") from None
        return zone

    @field_validator("defaults")
    @classmethod
    def _are_parts(cls, defaults: dict[str, str]) -> dict[str, str]:
        for key in defaults:
            if key not in NAMES:
                known = list(NAMES)
                raise ValueError(
                    f"a question has no part {key!r}; {did_you_mean(nearest(key, known), known)}"
                )
        return defaults

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        path = site / self.table
        if not path.resolve().is_relative_to(site.resolve()) or path.suffix not in (".yaml", ".csv"):
            what = "the table is a .yaml or .csv file of the site"
            problems.append(Problem(("table",), UNREADABLE, what, "as rules/registration-fee.yaml"))
            return ()
        if not path.is_file():
            near = nearest(
                path.name, [one.name for one in path.parent.glob("*")] if path.parent.is_dir() else []
            )
            hint = f"did you mean {near!r}?" if near else ""
            problems.append(Problem(("table",), UNREADABLE, f"there is no file {self.table!r}", hint))
            return ()
        read = read_rules(path, self.table)
        problems += [
            Problem(("table",), one.code, one.message, one.hint, one.severity, elsewhere=one)
            for one in read.findings
        ]
        return [path]


@registry.destination("rules")
class RulesDestination:
    """Answers at once, by the table as it was when the channel began."""

    Options: ClassVar[type[Options]] = DestinationOptions
    codes = frozenset(("priced",))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._zone = ZoneInfo(options.zone)
        self._rules: Rules | None = None

    async def start(self) -> None:
        self._table()

    async def send(self, message: Message) -> Receipt:
        return self._priced(message)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        return self._priced(message)

    async def stop(self) -> None:
        """Nothing is open."""

    def _table(self) -> Rules | None:
        if self._rules is None:
            self._rules = read_rules(Path(self.ground.base_dir, self.options.table), self.options.table).rules
        return self._rules

    def _priced(self, message: Message) -> Receipt:
        rules = self._table()
        if rules is None:
            raise Refused(UNREADABLE, f"{self.options.table} cannot be used; `jingluo check` says why")
        today = datetime.fromtimestamp(self.ground.now(), self._zone).date()
        try:
            asked = question(Json().decode(message.body), self.options.defaults, today)
            answer = told(rules, price(rules, asked), asked.at)
        except BadMessage as error:
            raise Refused(error.code, error.text) from None
        return Receipt("priced", Json().encode(answer), "json")


def told(rules: Rules, priced: Priced, at: date) -> dict[str, Any]:
    """What who asked reads. Amounts are yuan with two decimals and, for machines that add, whole fen."""
    amounts = {"fee": priced.fee_fen, "fund": priced.fund_fen, "own": priced.own_fen}
    steps = sorted(priced.trace, key=lambda step: not step.holds)[:_MOST_STEPS]
    return {
        **{name: Decimal(fen).scaleb(-2) for name, fen in amounts.items()},
        **{f"{name}_fen": fen for name, fen in amounts.items()},
        "rule": priced.rule.id,
        "why": priced.rule.why,
        "at": at.isoformat(),
        "rounding": rules.rounding,
        "rules": rules.name,
        "digest": rules.digest,
        "trace": [
            {"rule": step.rule.id, "line": step.rule.line, "holds": step.holds, "because": step.because}
            for step in steps
        ],
    }
