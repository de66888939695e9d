"""Statements as a destination: a message is one statement, as a file brought it or somebody sent it.

```yaml
from: {file: {path: in/his, pattern: "charges-*.csv"}}
format: {delimited: {header: false}}
to: {books: {send: {statement: {of: his}}}}
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground, Listed, Options
from endpoints.stating import day_before
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
_DAY = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


class StatementOptions(Options):
    short: ClassVar[str] = "of"

    of: str = Field(description="whose statement it is: a payment channel's system, or `his`")
    form: str = Field(
        "",
        description="wechat, alipay, unionpay, aggregated, aggregated-whole, terminal, his; without it as `of`",
    )
    merchants: Listed = Field(
        (), description="a statement of another merchant is refused; without it, none is"
    )
    day: str = Field(
        "name",
        pattern="^(name|yesterday)$",
        description="`name`: the day is in the file's name, or in `param.day`",
    )


@registry.destination("statement")
class StatementDestination:
    """Answers with what was compared, as JSON."""

    Options: ClassVar[type[Options]] = StatementOptions
    answers_in = "json"

    def __init__(self, options: StatementOptions, ground: Ground) -> None:
        self.options = options
        self._ground = ground

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing is open."""

    async def send(self, message: Message) -> Receipt:
        statements, options = self._ground.statements, self.options
        if statements is None:
            raise Unreachable("JL-Q022", "this process was given no database for reconciliation")
        if message.blob is not None:
            raise Refused("JL-Q007", "a statement comes whole, not as a large body 对账单过大")
        told = await statements.receive(
            options.of,
            options.form or options.of,
            self._day(message),
            message.body,
            tuple(options.merchants),
        )
        return Receipt("OK", _JSON.encode(dict(told)), "json")

    def _day(self, message: Message) -> str:
        """Raises Refused (JL-Q005)."""
        if self.options.day == "yesterday":
            return day_before(self._ground.now())
        for name in ("param.day", "file"):
            if found := _DAY.search(message.headers.get(name, "")):
                return "-".join(found.groups())
        raise Refused("JL-Q005", "neither a file's name nor `param.day` says of which day it is 缺少日期")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        return Receipt(code or "OK", answer or b"{}", "json")
