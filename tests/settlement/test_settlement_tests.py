"""`jingluo test` of a settlement: its `tests:` are played over parties that do what the test says."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.loader import load_site
from channels.settling.loader import compiled
from config.settings import load_settings
from router.proving.runner import Report, run_tests
from router.proving.shown import as_text
from transforms.library import Library

PIPELINE = """\
settlement: outpatient
key: $.settle_no
steps:
  - hold: {do: his.hold, ask: his.query_hold, undo: his.release}
  - preset: {do: insurance.2206, with: {map: insurance-2206}, keep: {preset: $.output.setlinfo}}
  - pay:
      do: payment.pay
      ask: payment.query
      undo: payment.refund
      with: {amount: $preset.psn_cash_pay}
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.psn_cash_pay}]
  - settle:
      do: insurance.2207
      ask: insurance.5203
      reverse: insurance.2601
      undo: insurance.2208
      with: {map: insurance-2207}
      keep: {settled: $.output.setlinfo}
      post: [{debit: "receivable:fund", credit: "transit:{settle_no}", amount: $settled.fund_pay_sumamt}]
  - agreed: {wait: {for: his.agreed, until: 1h}}
  - post:
      do: his.post
      ask: his.query
      undo: his.unpost
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]
  - done: {emit: settlement.completed}
tests:
"""
CALLS = """\
channel: calls-of-{of}
from: {{calls: {of}}}
format: json
to: {{party: {{send: {{http: {{url: "http://party.example/"}}}}}}}}
reply: party
"""
PLAIN = """\
  - name: it is done
    given:
      settle_no: S1
      channel: wechat
      total: "100.00"
      mdtrt_id: M1
      patient: {psn_no: N1, insutype: "310", mdtrt_cert_type: "02", mdtrt_cert_no: "999999198001010010"}
      visit: {med_type: "11"}
    meanwhile: [{after: 10m, notice: {step: agreed}}]
    expect: {state: COMPLETED}
"""


def site(folder: Path, tests: str, pipeline: str = PIPELINE) -> Path:
    (folder / "channels" / "settlements").mkdir(parents=True)
    for of in ("his", "insurance", "payment"):
        (folder / "channels" / f"calls-of-{of}.yaml").write_text(CALLS.format(of=of))
    (folder / "channels" / "settlements" / "outpatient.yaml").write_text(pipeline + tests)
    return folder


def play(folder: Path) -> Report:
    return run_tests(load_settings(folder, {}), {}, ("outpatient",))


def failures(report: Report) -> list[str]:
    assert report.findings == []
    return [str(failure) for result in report.results for failure in result.failures]


def test_a_test_names_only_what_is_otherwise_than_all_saying_yes(tmp_path: Path) -> None:
    tests = (
        PLAIN
        + """\
  - name: a settlement that is refused takes the money back
    given: {total: "200.00"}
    parties: {insurance.2207: refused}
    expect:
      state: COMPENSATED
      facts: {$.total: 200, $preset.psn_cash_pay: "80.00"}
      sent: {insurance.2206: {$.input.data.medfee_sumamt: "200.00"}}
      asked: [payment.pay, insurance.2207, payment.refund, his.release]
      ledger: {"clearing:wechat": 0}
      left: {insurance: nothing, payment: nothing}
  - name: a settlement whose answer is lost is found, and not sent again
    parties: {insurance.2207: [lost], insurance.5203: [timeout]}
    expect:
      state: COMPLETED
      asked: {insurance.2207: 1, insurance.5203: 2, payment.pay: 1}
      ledger: {receivable:fund: 60, "clearing:wechat": "40.00", income:his: -100}
      left: {his: [hold, post], insurance: settle}
      events: [settlement.completed]
  - name: HIS is away for six hours
    parties: {his.hold: {says: down, until: 6h}}
    watch: 30s
    expect: {state: RUNNING, asked: {payment.pay: 0}}
  - name: nobody agrees
    meanwhile: []
    expect: {state: COMPENSATED, asked: [insurance.2208, payment.refund]}
  - name: a person must look, and says what there is
    parties: {insurance.2207: [timeout], insurance.5203: timeout, insurance.2601: refused}
    meanwhile: [{after: 30h, decide: {what: not done, step: settle}}, {after: 31h, decide: {what: compensate}}]
    expect: {state: COMPENSATED}
"""
    )
    report = play(site(tmp_path, tests))
    assert failures(report) == []
    assert len(report.results) == 6


def test_what_came_otherwise_is_told_with_its_place(tmp_path: Path) -> None:
    tests = (
        PLAIN
        + """\
  - name: all of it is wrong
    expect:
      state: COMPLETED
      code: JL-T001
      facts: {$preset.psn_cash_pay: "41.00"}
      asked: [his.post, payment.pay]
      sent: {payment.pay: {$.amount: 1}, his.unpost: {$.x: 1}}
      ledger: {receivable:fund: 1}
      left: {his: nothing}
      events: []
  - name: counts too
    parties: {insurance.2207: refused}
    expect: {state: COMPLETED, asked: {payment.pay: 2}}
"""
    )
    folder = site(tmp_path, tests)
    report = play(folder)
    found = failures(report)
    assert [one.split(": expected")[0] for one in found] == [
        "all of it is wrong: code",
        "all of it is wrong: facts: $preset.psn_cash_pay",
        "all of it is wrong: sent: payment.pay: $.amount",
        "all of it is wrong: sent: his.unpost",
        "all of it is wrong: asked",
        "all of it is wrong: ledger: receivable:fund",
        "all of it is wrong: left: his",
        "all of it is wrong: events",
        "counts too: state",
        "counts too: asked: payment.pay",
    ]
    assert "channels/settlements/outpatient.yaml:" in as_text(report, load_settings(folder, {}), 1)


def test_a_pipeline_that_leaves_money_in_between_or_effects_behind_fails_every_test(tmp_path: Path) -> None:
    broken = PIPELINE.replace("undo: payment.refund", "reverse: payment.reverse").replace(
        "amount: $.total}]", "amount: $preset.psn_cash_pay}]"
    )
    tests = (
        PLAIN
        + """\
  - name: nothing is left
    parties: {insurance.2207: refused}
    expect: {state: COMPENSATED}
"""
    )
    assert [one.split(": expected")[0] for one in failures(play(site(tmp_path, tests, broken)))] == [
        "it is done: M6: transit:S1",
        "nothing is left: M6: transit:S1",
        "nothing is left: M7: left: payment",
        "nothing is left: M7: clearing:wechat",
    ]


@pytest.mark.parametrize(
    ("said", "code", "what"),
    [
        ("{name: x, expect: {state: DONE}}", "JL-C014", "10"),
        ("{name: x, expect: {stat: COMPLETED, state: COMPLETED}}", "JL-C010", "stat"),
        (
            "{name: x, parties: {insurance.2270: lost}, expect: {state: COMPLETED}}",
            "JL-C218",
            "insurance.2207",
        ),
        ("{name: x, expect: {state: COMPLETED, asked: [his.pots]}}", "JL-C218", "his.post"),
        ("{name: x, expect: {state: COMPLETED, left: {hsi: nothing}}}", "JL-C218", "his"),
        ("{name: x, parties: {his.post: lots}, expect: {state: COMPLETED}}", "JL-C014", "lost"),
        ("{name: x, meanwhile: [{after: 1m}], expect: {state: COMPLETED}}", "JL-C", "a notice or a decide"),
        (
            "{name: x, meanwhile: [{after: 1m, notice: {step: agred}}], expect: {state: COMPLETED}}",
            "JL-C218",
            "ag",
        ),
        ("{name: x, expect: {state: COMPLETED, facts: {$.x | fooo: 1}}}", "JL-C102", "fooo"),
    ],
)
def test_a_mistake_in_a_test_is_found_with_its_place(tmp_path: Path, said: str, code: str, what: str) -> None:
    report = play(site(tmp_path, f"{PLAIN}  - {said}\n"))
    assert len(report.findings) >= 1
    finding = str(report.findings[0])
    assert code in finding
    assert report.findings[0].line > 30
    assert len(report.results) == 1, "the others are played all the same"


MAP = """\
map: order
from: json
to: json
make: {amount: $.preset.psn_cash_pay}
tests: [{name: the amount, given: {preset: {psn_cash_pay: "1.00"}}, expect: {$.amount: "1.00"}}]
"""


def test_what_is_sent_may_stand_in_a_map_and_is_kept_with_the_pipeline(tmp_path: Path) -> None:
    folder = site(
        tmp_path, PLAIN, PIPELINE.replace("with: {amount: $preset.psn_cash_pay}", "with: {map: order}")
    )
    (folder / "maps").mkdir()
    (folder / "maps" / "order.yaml").write_text(MAP)
    assert failures(play(folder)) == []
    settings = load_settings(folder, {})
    before = load_site(settings, {}).settlements["outpatient"]
    assert compiled(before.data, Library([], [])).digest == before.definition.digest, (
        "it needs no file any more"
    )
    (folder / "maps" / "order.yaml").write_text(MAP.replace("make: {", "make: {method: code, "))
    assert load_site(settings, {}).settlements["outpatient"].definition.digest != before.definition.digest
    (folder / "maps" / "order.yaml").write_text(MAP.replace("to: json", "to: xml"))
    assert "JL-C219" in " ".join(map(str, load_site(settings, {}).findings))


def test_what_a_centre_would_refuse_fails_the_test(tmp_path: Path) -> None:
    (found, *_) = failures(play(site(tmp_path, PLAIN.replace("      mdtrt_id: M1\n", ""))))
    assert found.startswith("it is done: sent: insurance.2206: expected")
    assert "mdtrt_id" in found


def test_some_steps_are_undone_in_an_order_of_their_own_and_the_caller_reads_why(tmp_path: Path) -> None:
    pipeline = PIPELINE.replace("steps:", "undo: [hold, settle]\nsteps:", 1)
    tests = (
        PLAIN
        + """\
  - name: HIS refuses
    parties: {his.post: {refused: {code: "7", text: 单据已变更}}}
    expect:
      state: COMPENSATED
      asked: [his.post, his.release, payment.refund, insurance.2208]
      reason: 单据已变更
  - name: nobody agreed
    meanwhile: []
    expect: {state: COMPENSATED, reason: 超时}
"""
    )
    assert failures(play(site(tmp_path, tests, pipeline))) == []


def test_a_check_that_undoes_tells_its_text(tmp_path: Path) -> None:
    check = "check: [{$settled.psn_cash_pay: $preset.psn_cash_pay, else: undo, text: 与预结算不符}]"
    pipeline = PIPELINE.replace(
        "keep: {settled: $.output.setlinfo}", "keep: {settled: $.output.setlinfo}\n      " + check
    )
    other = "{ok: {output: {setlinfo: {psn_cash_pay: '1.00', fund_pay_sumamt: '99.00'}}}}"
    tests = f"{PLAIN}  - name: other\n    parties: {{insurance.2207: {other}}}\n"
    tests += "    expect: {state: COMPENSATED, reason: 与预结算不符}\n"
    assert failures(play(site(tmp_path, tests, pipeline))) == []
