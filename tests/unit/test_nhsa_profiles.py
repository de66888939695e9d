"""What a province calls otherwise, and wants otherwise."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.settings import ROOT
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.check import checker
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import UnknownProfile, national, profile, profiles
from schemas.nhsa.sample import sample
from schemas.validation.base import CODE, MANY, MISSING, SIZE, UNKNOWN, BadKind
from schemas.validation.kinds import kind_of

EVERY = profiles()


def own(tmp_path: Path, text: str, name: str = "here") -> Profile:
    (tmp_path / f"{name}.yaml").write_text(f"profile: {name}\n{text}", encoding="utf-8")
    return profile(name, tmp_path)


def names_of(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield name
            yield from names_of(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from names_of(item)


@pytest.mark.parametrize("name", EVERY)
def test_what_goes_in_theirs_and_comes_back_in_ours_is_the_same_for_every_transaction(name: str) -> None:
    of = profile(name)
    for one in transactions():
        check = checker(one, of)
        for side in ("in", "out"):
            tree = sample(one, of, side=side, whole=True)
            theirs = check.normalized(tree, side)
            assert check.canonical(theirs, side) == tree, one.name
            assert check.normalized(theirs, side) == theirs, one.name
            if side == "in":
                assert check.request(tree) == check.request(theirs) == [], one.name
            else:
                assert check.response(theirs) == [], one.name


def test_guangdong_calls_nodes_and_fields_otherwise() -> None:
    of = profile("guangdong")
    for name in ("2206", "2207", "2208", "2304", "2305"):
        tree = checker(transaction(name), of).normalized(sample(transaction(name)))
        assert list(tree) == ["mdtrtinfo"]
    assert list(checker(transaction("3301"), of).normalized({"data": [{}]})) == ["catalogcompin"]
    assert list(checker(transaction("3302"), of).normalized({"data": [{}]})) == ["catalog"]
    assert list(checker(transaction("3403"), of).normalized({"data": {}})) == ["deptinfo"]
    assert list(checker(transaction("2303"), of).normalized(sample(transaction("2303")))) == ["data"]
    statement = checker(transaction("3201"), of).normalized({"data": {"refd_setl_flag": "0"}})
    assert statement == {"data": {"REFD_SETL_FLAG": "0"}}
    answer = {"setlinfo": {"psn_part_am": "36.10"}, "voladetail": [{"psn_part_am": 1}]}
    assert checker(transaction("2207"), of).canonical(answer) == {
        "setlinfo": {"psn_part_amt": "36.10"},
        "voladetail": [{"psn_part_am": 1}],
    }
    assert of.money.fund_holds_account
    assert (of.form.cancels, of.form.flag_name) == ("apart", "REFD_SETL_FLAG")


def test_a_fault_is_told_in_the_province_s_names() -> None:
    tree = sample(transaction("2207"))
    del tree["data"]["psn_no"]
    (fault,) = checker(transaction("2207"), profile("guangdong")).request(tree)
    assert fault.path == "/data/psn_no", "where the sender wrote it"
    (fault,) = checker(transaction("2207"), profile("guangdong")).request({})
    assert fault.path == "/mdtrtinfo"


def test_a_city_is_laid_over_its_province() -> None:
    assert profile("foshan").node_name("2207", "in", "data") == "mdtrtinfo"
    assert profile("foshan").form.upload[:2] == ("mdtrt_id", "setl_id")
    assert profile("zhongshan").instead == {"2203": "2203A", "2501": "2501A"}
    assert profile("zhongshan").money.fund_holds_account


def test_a_province_s_own_codes_are_let_through_there_alone() -> None:
    tree = sample(transaction("2207"))
    tree["data"]["mdtrt_cert_type"] = "04"
    assert checker(transaction("2207"), profile("jiangsu")).request(tree) == []
    (fault,) = checker(transaction("2207"), profile("hunan")).request(tree)
    assert fault.code == CODE


def test_names_as_printed_with_hyphens_leave_so_everywhere() -> None:
    for name in EVERY:
        one = transaction("4401")
        tree = checker(one, profile(name)).normalized(sample(one, whole=True))
        assert {"hcv-ab", "hiv-ab"} <= set(tree["baseinfo"])
        assert "hcv_ab" not in tree["baseinfo"]


def test_a_field_in_two_spellings_is_not_sent_as_one_of_them() -> None:
    tree = sample(transaction("2303"))
    tree["data"] |= {"dscgTime": "2024-01-15", "dscg_time": "2024-01-16"}
    (fault,) = checker(transaction("2303")).request(tree)
    assert fault.code == MANY
    tree = sample(transaction("2207"))
    tree["mdtrtinfo"] = copy.deepcopy(tree["data"])
    (fault,) = checker(transaction("2207"), profile("guangdong")).request(tree)
    assert fault.code == MANY


def test_a_site_has_rules_of_its_own(tmp_path: Path) -> None:
    of = own(
        tmp_path,
        """
based_on: guangdong
rules:
  "2207":
    data.mdtrt_mode: {required: true, codes: gend}
    data.chrg_bchno: {required: false, length: 5}
    data.local_no: {required: true, name_zh: 本地号, type: text, length: 3}
closed: [med_type]
opened: [insutype]
unknown_fields: refuse
oinfno: {"2305": "2207"}
signature: upper
discharge: after
money: {fund_holds_account: false, tolerance_fen: 2}
""",
    )
    one = transaction("2207")
    tree = sample(one)
    del tree["data"]["chrg_bchno"]
    tree["data"] |= {"insutype": "999", "med_type": "9999", "strange": "x", "mdtrt_mode": "7"}
    found = {fault.path: fault.code for fault in checker(one, of).request(tree)}
    assert found == {
        "/data/med_type": CODE,
        "/data/mdtrt_mode": CODE,
        "/data/local_no": MISSING,
        "/data/strange": UNKNOWN,
    }
    tree["data"] = tree["data"] | {"chrg_bchno": "123456", "local_no": "1234"}
    del tree["data"]["strange"]
    found = {fault.path: fault.code for fault in checker(one, of).request(tree)}
    assert (found["/data/chrg_bchno"], found["/data/local_no"]) == (SIZE, SIZE)
    assert checker(one, of).request(sample(one, of)) == []
    assert checker(one).request(sample(one)) == [], "the national rules are as they were"
    assert (of.reverse(transaction("2305")), of.reverse(transaction("2207"))) == ("2207", "2207")
    assert national().reverse(transaction("2305")) == "2305"
    assert (of.upper_signature, of.discharge, of.money.fund_holds_account) == (True, "after", False)
    assert of.money.tolerance.as_tuple()[1:] == ((2,), -2)
    assert of.node_name("2207", "in", "data") == "mdtrtinfo"


def test_a_site_s_profile_of_a_shipped_name_is_laid_over_the_shipped_one(tmp_path: Path) -> None:
    of = own(tmp_path, "based_on: hunan\ndischarge: after\n", "hunan")
    assert (of.discharge, of.codes["med_type"]) == ("after", {"15": "门诊统筹"})
    assert profile("hunan").discharge == "before"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input: {nodes: {'2207': {dta: mdtrtinfo}}}", "2:26: JL-N081: the input of 2207 has no node 'dta'"),
        ("output: {fields: {'2270': {x: y}}}", "there is no transaction '2270'"),
        ("rules: {'2207': {dat.x: {required: true}}}", "the input of 2207 has no node 'dat'"),
        ("rules: {'2207': {data.x: {codes: gender}}}", "there is no code list 'gender'"),
        ("closed: [insutyp]", "did you mean insutype"),
        ("statement: {like: fosan}", "is none of baseline"),
        ("sign_in_over: ['(']", "no regular expression"),
        ("based_on: guangdog", "did you mean 'guangdong'"),
        ("based_on: here", "there is no profile 'here'"),
        ("discharge: later", "must be 'before' or 'after'"),
        ("nodes: {}", "unknown key 'nodes'"),
        ("profile: there", "twice"),
    ],
)
def test_a_mistake_in_a_profile_is_found_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"here\.yaml:") as error:
        own(tmp_path, text)
    assert said in str(error.value)


def test_profiles_that_are_laid_over_one_another_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "there.yaml").write_text("profile: there\nbased_on: here\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="in a circle"):
        own(tmp_path, "based_on: there")


def test_a_profile_that_there_is_not_says_what_was_perhaps_meant(tmp_path: Path) -> None:
    with pytest.raises(UnknownProfile, match="did you mean guangdong"):
        profile("guandong")
    with pytest.raises(UnknownProfile):
        profile("../guangdong", tmp_path)


@pytest.mark.parametrize(
    "text", ["签到已失效", "请先签到", "操作员未签到", "sign_no is invalid", "交易签到流水号已过期"]
)
def test_a_sign_in_that_is_over_is_known_by_its_words(text: str) -> None:
    assert national().sign_in_is_over(text)
    assert not national().nothing_found(text)


@pytest.mark.parametrize("text", ["原交易不存在", "未找到原交易", "没有查到该笔结算记录", "交易信息未查询到"])
def test_nothing_was_booked_where_the_centre_has_no_such_record(text: str) -> None:
    assert national().nothing_found(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "人员信息不存在",
        "未查询到该人员的参保结算信息",
        "未查询到机构的交易权限",
        "交易超时",
        "结算失败",
        "医保目录不存在",
    ],
)
def test_other_refusals_do_not_say_that_nothing_was_booked(text: str) -> None:
    assert not national().nothing_found(text)
    assert not national().sign_in_is_over(text)


def test_the_manual_s_profile_and_its_code_are_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manual = (ROOT / "schemas" / "nhsa" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    exec(code, {})
    printed = [line.rpartition("  # ")[2] for line in code.splitlines() if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == printed
    (text,) = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "ourcity.yaml").write_text(text, encoding="utf-8")
    of = profile("ourcity", tmp_path)
    assert checker(transaction("2207"), of).request(sample(transaction("2207"), of)) == []
    assert checker(transaction("2203A"), of).normalized({"mdtrtinfo": {}}) == {"mdtrt": {}}


def test_a_channel_validates_an_input_by_name_of_transaction_and_province(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    tree = sample(transaction("2207"))
    assert kind_of("nhsa/2207", schemas).validator(tree) == []
    theirs = checker(transaction("2207"), profile("guangdong")).normalized(tree)
    assert kind_of("nhsa/guangdong/2207", schemas).validator(theirs) == []
    assert [fault.path for fault in kind_of("nhsa/2207", schemas).validator(theirs)] == ["/data"]
    (tmp_path / "profiles").mkdir()
    own(tmp_path / "profiles", 'rules: {"2207": {data.invono: {required: true}}}')
    assert [fault.path for fault in kind_of("nhsa/here/2207", schemas).validator(tree)] == ["/data/invono"]
    with pytest.raises(BadKind, match="did you mean 2207"):
        kind_of("nhsa/2227", schemas)
    with pytest.raises(BadKind, match="did you mean guangdong"):
        kind_of("nhsa/guandong/2207", schemas)
    (tmp_path / "profiles" / "here.yaml").write_text("profile: there", encoding="utf-8")
    with pytest.raises(BadKind, match=r"here\.yaml:1:10"):
        kind_of("nhsa/here/2207", schemas)


def test_a_province_has_transactions_of_its_own(tmp_path: Path) -> None:
    of = own(
        tmp_path,
        """
title: 本市
based_on: guangdong
transactions:
  "2206A": {like: "2206", name_zh: 门诊预结算A}
  "2207A": {like: "2207", name_zh: 门诊结算A, undo: "2208", probes: ["9301"]}
  "9301": {name_zh: 本地查询, nature: query, input: [data, "rows[]"]}
  "9302": {name_zh: 本地上传, nature: upload, undo: "9302"}
rules:
  "9301": {data.psn_no: {required: true, type: text, length: 5}, rows.x: {type: number}}
""",
    )
    preview = of.transaction("2206A")
    tree = sample(transaction("2206"))
    assert checker(preview, of).request(tree) == []
    assert checker(preview, of).request({"data": {}})
    assert list(checker(preview, of).normalized(tree)) == ["mdtrtinfo"], "as the one that it is like"
    settle = of.transaction("2207A")
    assert (settle.nature, settle.undoing.reverse, settle.undoing.probes) == ("settle", "2207A", ("9301",))
    query = checker(of.transaction("9301"), of)
    assert [fault.path for fault in query.request({})] == ["/data"]
    assert [fault.code for fault in query.request({"data": {"psn_no": "123456"}, "rows": [{"x": "y"}]})]
    assert query.request({"data": {"psn_no": "1", "other": "x"}, "strange": 1}) == []
    upload = of.transaction("9302")
    assert (upload.writes, upload.open, upload.undoing.repeatable) == (True, True, False)
    assert of.transaction("9301").undoing.repeatable
    assert [one.name for one in of.transactions()][-4:] == ["2206A", "2207A", "9301", "9302"]
    assert of.transaction("2207") is transaction("2207")
    with pytest.raises(LookupError):
        transaction("9301")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transactions: {'2206A': {name_zh: x}}", "its nature is missing"),
        ("transactions: {'2206A': {name_zh: x, like: '2270'}}", "there is no transaction '2270'"),
        ("transactions: {'2206A': {name_zh: x, like: '2206', undo: '22'}}", "there is no transaction '22'"),
        ("transactions: {'2206 A': {name_zh: x, like: '2206'}}", "is no number of a transaction"),
        ("rules: {'2206A': {}}", "there is no transaction '2206A'"),
    ],
)
def test_a_mistake_in_an_own_transaction_is_found(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"here\.yaml:2") as error:
        own(tmp_path, text)
    assert said in str(error.value)


def test_a_site_s_profile_is_read_again_only_where_a_file_changed(tmp_path: Path) -> None:
    before = own(tmp_path, "discharge: after")
    assert profile("here", tmp_path) is before
    after = own(tmp_path, "discharge: before # again")
    assert (after is before, after.discharge) == (False, "before")
