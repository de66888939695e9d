"""`jingluo insurance list, show, check`: what people see, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from router.cli import options
from router.commands.insurance import app as insurance

app = typer.Typer()
app.callback()(options)
app.add_typer(insurance, name="insurance")

ENVELOPE: dict[str, Any] = {
    "infno": "2207",
    "msgid": "H99999900001202401151030000007",
    "mdtrtarea_admvs": "999900",
    "insuplc_admdvs": "999901",
    "recer_sys_code": "MBS",
    "infver": "V1.0",
    "opter_type": "1",
    "opter": "0001",
    "opter_name": "TEST",
    "inf_time": "2024-01-15 10:30:00",
    "fixmedins_code": "H99999900001",
    "fixmedins_name": "一家名字超过二十个字的医院用来测试名称长度不被拒绝",
}


def run(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--site", str(folder), "insurance", *words])
    return done.exit_code, done.output


def sampled(folder: Path, name: str) -> Any:
    code, said = run(folder, "show", name, "--sample")
    assert code == 0
    return json.loads(said)


def checked(folder: Path, tree: Any, *words: str) -> tuple[int, str]:
    file = folder / "request.json"
    file.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return run(folder, "check", str(file), *words)


def test_the_list_is_of_all_and_narrowed_by_group_and_nature(tmp_path: Path) -> None:
    code, said = run(tmp_path, "list", "--json")
    rows = json.loads(said)
    assert (code, len([row for row in rows if not row["version"]])) == (0, 115)
    code, said = run(tmp_path, "list", "--group", "2", "--nature", "settle")
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["2102", "2207", "2304"]
    assert "门诊结算" in said
    code, said = run(tmp_path, "list", "-g", "移动支付", "--json")
    assert [row["name"] for row in json.loads(said)][:2] == ["MP-6201", "MP-6202"]
    code, said = run(tmp_path, "list", "--nature", "pay")
    assert (code, "known are query" in said) == (2, True)


def test_a_transaction_is_shown_with_its_names_codes_and_undoing(tmp_path: Path) -> None:
    code, said = run(tmp_path, "show", "2207")
    assert code == 0
    assert "2207 门诊结算: outpatient settlement" in said
    assert "never send it twice 不可重发; ask 查询 5201, 5203; 2601 冲正 with oinfno 2207" in said
    assert "undo 撤销: 2208 门诊结算撤销" in said
    (line,) = [line for line in said.splitlines() if line.strip().startswith("acct_used_flag")]
    assert line.split()[1:5] == ["个人账户使用标志", "字符型", "1", "必填"]
    assert "0 不使用, 1 使用" in line


def test_a_province_s_names_are_shown_beside_ours(tmp_path: Path) -> None:
    _, said = run(tmp_path, "show", "2207", "--province", "guangdong")
    assert "> data = mdtrtinfo: object 对象, required 必填" in said
    assert "psn_part_amt = psn_part_am" in said
    _, said = run(tmp_path, "show", "2207", "-p", "guangdong", "--json")
    facts = json.loads(said)
    assert facts["input"][0]["wire"] == "mdtrtinfo"
    assert facts["undoing"]["probes"] == ["5201", "5203"]
    _, said = run(tmp_path, "show", "2203", "-p", "zhongshan")
    assert "instead 本省改用: 2203A 门诊就诊信息上传A" in said


@pytest.mark.parametrize("name", ["5101", "6101", "EC-QUERY", "5204", "3101", "D001"])
def test_what_has_no_table_or_an_odd_one_is_shown_too(tmp_path: Path, name: str) -> None:
    code, said = run(tmp_path, "show", name)
    assert (code, said.startswith(f"{name} ")) == (0, True)


def test_a_schema_is_of_the_input_or_the_output(tmp_path: Path) -> None:
    _, said = run(tmp_path, "show", "2207", "--schema")
    assert "data" in json.loads(said)["properties"]
    _, said = run(tmp_path, "show", "2207", "--schema", "--output")
    assert "setlinfo" in json.loads(said)["properties"]


def test_an_input_alone_is_checked_where_it_is_said_of_what(tmp_path: Path) -> None:
    tree = sampled(tmp_path, "2204")
    assert checked(tmp_path, tree, "--transaction", "2204") == (0, "valid 合格\n")
    tree["feedetail"][0]["cnt"] = "1.23456"
    code, said = checked(tmp_path, tree, "-t", "2204")
    assert (code, said.splitlines()) == (
        1,
        ["/feedetail/0/cnt: JL-V007: cnt 数量: has more than 4 decimals 小数位超长", "1 faults"],
    )
    code, said = checked(tmp_path, tree)
    assert (code, "--transaction" in said) == (2, True)


def test_a_whole_message_says_what_it_is_and_its_envelope_is_checked(tmp_path: Path) -> None:
    message = ENVELOPE | {"input": sampled(tmp_path, "2207")}
    assert checked(tmp_path, message) == (0, "valid 合格\n")
    del message["insuplc_admdvs"]
    message |= {"opter_type": "9", "input": {"data": message["input"]["data"] | {"psn_no": ""}}}
    code, said = checked(tmp_path, message, "--json")
    assert code == 1
    assert {fault["path"]: fault["code"] for fault in json.loads(said)} == {
        "/opter_type": "JL-V006",
        "/insuplc_admdvs": "JL-V001",
        "/input/data/psn_no": "JL-V001",
    }


def test_an_answer_is_checked_leniently(tmp_path: Path) -> None:
    answer = {"infcode": 0, "output": {"setlinfo": {"psn_name": "x" * 100}}}
    code, said = checked(tmp_path, answer, "-t", "2207", "--json")
    paths = {fault["path"] for fault in json.loads(said)}
    assert (code, "/output/setlinfo/setl_id" in paths, "/output/setlinfo/psn_name" in paths) == (
        1,
        True,
        False,
    )


def test_code_lists_are_shown_with_those_of_a_province(tmp_path: Path) -> None:
    code, said = run(tmp_path, "codes")
    assert (code, "insutype" in said, "not found" in said) == (0, True, True)
    _, said = run(tmp_path, "codes", "mdtrt_cert_type")
    assert "others refused 拒绝" in said
    (line,) = [line for line in said.splitlines() if "电子社保卡" in line]
    assert line.split() == ["04", "电子社保卡", "Jiangsu"]
    _, said = run(tmp_path, "codes", "mdtrt_cert_type", "-p", "jiangsu", "--json")
    (found,) = json.loads(said)
    assert found["values"]["04"] == "电子社保卡"
    code, said = run(tmp_path, "codes", "insutyp")
    assert (code, "did you mean insutype" in said) == (2, True)


def test_what_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_bytes(b"{")
    assert run(tmp_path, "check", str(tmp_path / "request.json"), "-t", "2207")[0] == 2
    code, said = run(tmp_path, "show", "2227")
    assert (code, "did you mean 2207" in said) == (2, True)
    code, said = run(tmp_path, "show", "2207", "-p", "guandong")
    assert (code, "did you mean guangdong" in said) == (2, True)


def test_a_site_s_own_profile_is_found(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "ours.yaml").write_text(
        'profile: ours\nrules: {"2207": {data.invono: {required: true}}}\n', encoding="utf-8"
    )
    code, said = checked(tmp_path, sampled(tmp_path, "2207"), "-t", "2207", "-p", "ours")
    assert (code, "invono 发票号: is required 必填" in said) == (1, True)
    (tmp_path / "profiles" / "ours.yaml").write_text("profile: theirs\n", encoding="utf-8")
    code, said = run(tmp_path, "show", "2207", "-p", "ours")
    assert (code, "ours.yaml:1:10" in said) == (2, True)
