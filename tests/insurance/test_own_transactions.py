"""A transaction that only a province's profile knows is asked as the national ones are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_parts import gateway, options_for

from config.errors import Problem, Refused
from endpoints.insurance.inbound import InboundOptions
from endpoints.insurance.province import ProvinceOptions
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

PROFILE = """\
profile: ours
transactions:
  "2206A": {like: "2206", name_zh: 门诊预结算A}
input: {nodes: {"2206A": {data: previewinfo}}}
rules: {"2206A": {data.local_no: {required: true, name_zh: 本地号}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "ours.yaml").write_text(PROFILE, encoding="utf-8")
    return tmp_path


async def test_it_is_checked_renamed_and_sent(site: Path) -> None:
    async with gateway(site, site=str(site), province="ours") as at:
        tree = sample(transaction("2206"))
        with pytest.raises(Refused, match="local_no 本地号: is required 必填"):
            await at.send("2206A", tree)
        tree["data"]["local_no"] = "7"
        told = await at.send("2206A", tree)
        assert told["outcome"] == "REJECTED", "the example centre has no such transaction"
        sent = json.loads((await at.row(told["msgid"])).request)
        assert (sent["infno"], list(sent["input"])) == ("2206A", ["previewinfo"])


async def test_in_another_province_it_is_unknown(site: Path) -> None:
    async with gateway(site, site=str(site)) as at:
        with pytest.raises(Refused, match="did you mean"):
            await at.send("2206A", sample(transaction("2206")))


@pytest.mark.parametrize(("name", "said"), [("2206A", []), ("2206B", ["there is no transaction '2206B'"])])
def test_a_channel_may_name_it(site: Path, name: str, said: list[str]) -> None:
    problems: list[Problem] = []
    options_for("http://127.0.0.1:1", province="ours", transaction=name).files(site, problems)
    assert [problem.message for problem in problems] == said
    with pytest.raises(ValueError, match="there is no transaction or operation"):
        options_for("http://127.0.0.1:1", transaction=name)


def test_it_stands_at_the_doors_of_the_province(site: Path) -> None:
    options = options_for("http://127.0.0.1:1", province="ours")
    options.files(site, [])
    door = options.operations()["2206A"]
    assert door.title.startswith("门诊预结算A")
    assert "local_no" in str(door.request())
    assert "2206A" not in options_for("http://127.0.0.1:1").operations()


@pytest.mark.parametrize(
    "made",
    [
        lambda: options_for("http://127.0.0.1:1", province="oars"),
        lambda: InboundOptions(path="/notice", province="oars"),
    ],
)
def test_a_province_that_there_is_not_is_a_finding(site: Path, made: Callable[[], ProvinceOptions]) -> None:
    problems: list[Problem] = []
    made().files(site, problems)
    assert [(problem.at, problem.hint) for problem in problems] == [(("province",), "did you mean ours?")]
