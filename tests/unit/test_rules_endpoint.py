"""Kind `rules`: a question in, the split and its reason out; `jingluo rules` does the same on a terminal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from config.errors import Refused
from endpoints.base import Ground
from endpoints.rules import DestinationOptions, RulesDestination
from router.commands.rules import app
from schemas.json import Json
from schemas.message import Message

NEW_YEAR = 1798732800.0  # 2026-12-31 16:00 UTC: in Beijing it is 2027

TABLE = """\
rules: fees
rounding: half-up
rows:
  - {id: a, nature: "1", valid: {to: 2026-12-31}, fund: {ratio: 0.5}}
  - {id: b, nature: "1", valid: {from: 2027-01-01}, fund: {ratio: 0.4, cap: 4.00}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "fees.yaml").write_text(TABLE, encoding="utf-8")
    return tmp_path


def destination(site: Path, at: float = NEW_YEAR, **options: Any) -> RulesDestination:
    made = DestinationOptions(**{"table": "rules/fees.yaml", **options})
    return RulesDestination(made, Ground("fees.rules", "json", base_dir=str(site), now=lambda: at))


async def ask(kind: RulesDestination, body: bytes) -> Any:
    await kind.start()
    return Json().decode((await kind.send(Message(body))).answer)


async def test_the_answer_is_the_split_in_yuan_and_fen_with_the_rule_and_its_reasons(site: Path) -> None:
    answer = await ask(destination(site), b'{"nature": "1", "fee": 10.10}')
    assert {key: answer[key] for key in ("fee", "fund", "own")} == {
        "fee": Decimal("10.10"),
        "fund": Decimal("4.00"),
        "own": Decimal("6.10"),
    }
    assert (answer["fee_fen"], answer["fund_fen"], answer["own_fen"]) == (1010, 400, 610)
    assert (answer["rule"], answer["rounding"], answer["rules"]) == ("b", "half-up", "fees")
    assert [(step["rule"], step["line"], step["holds"]) for step in answer["trace"]] == [
        ("b", 5, True),
        ("a", 4, False),
    ]


async def test_the_day_is_the_hospitals_not_greenwichs(site: Path) -> None:
    question = b'{"nature": "1", "fee": 1}'
    assert (await ask(destination(site), question))["at"] == "2027-01-01"
    assert (await ask(destination(site, NEW_YEAR - 1), question))["rule"] == "a"
    assert (await ask(destination(site, zone="UTC"), question))["at"] == "2026-12-31"


async def test_what_a_kiosk_leaves_out_is_the_channels_default(site: Path) -> None:
    assert (await ask(destination(site, defaults={"nature": "1"}), b'{"fee": "5.00"}'))["fund_fen"] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"fee": 1}', "JL-N411"),
        (b'{"nature": "9", "fee": 1}', "JL-N410"),
        (b'{"nature": "1"}', "JL-N412"),
        (b"{", "JL-M020"),
    ],
)
async def test_a_question_without_an_answer_is_refused_and_not_tried_again(
    site: Path, body: bytes, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        await ask(destination(site), body)
    assert (refused.value.code, refused.value.retry) == (code, False)


async def test_a_table_that_is_away_refuses(site: Path) -> None:
    with pytest.raises(Refused, match="JL-C170"):
        await ask(destination(site, table="rules/none.yaml"), b'{"fee": 1}')


@pytest.mark.parametrize("options", [{"defaults": {"natur": "1"}}, {"zone": "Mars/Phobos"}, {"table": ""}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DestinationOptions(**{"table": "rules/fees.yaml", **options})


def test_the_command_shows_a_table_and_tries_a_question(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SITE", str(site))

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    assert run("show").stdout == "rules/fees.yaml: 2 rules\n"
    shown = run("show", "fees").stdout
    assert "5 b: 40%, at most 4.00; nature 挂号性质 1, 2027-01-01.." in shown
    tried = run("try", "fees", "nature=1", "fee=10.10", "at=2027-01-01")
    assert tried.stdout.splitlines()[0] == "b: fee 诊查费 10.10 = fund 统筹 4.00 + own 个人 6.10"
    refused = run("try", "fees", "fee=10.10")
    assert refused.exit_code == 1
    assert "JL-N411" in refused.stderr
    (site / "rules" / "fees.yaml").write_text(TABLE + "  - {id: c, fund: {amount: 1}}\n", encoding="utf-8")
    broken = run("show", "fees")
    assert broken.exit_code == 1
    assert "rules/fees.yaml:6:5: JL-C172" in broken.stderr
