"""Tests of channels that take SOAP calls: a call is given whole, or its payload by itself."""

from __future__ import annotations

from pathlib import Path

from proving_parts import play

CHANNEL = """\
channel: front
from: {soap: {convention: call, action: "2131", callers: anybody}}
format: xml
index: {patient: $/Request/PatientID}
to:
  emr: {send: {http: {url: "http://emr.example/"}}}
reply: emr
tests:
  - name: a whole call
    given: |
      <s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Call xmlns="http://tempuri.org/">
        <tradeCode>2131</tradeCode>
        <xml><![CDATA[<?xml version="1.0" encoding="gb2312"?><Request><PatientID>张</PatientID></Request>]]></xml>
      </Call></s:Body></s:Envelope>
    while: {emr: {body: "<Response><ResultCode>7</ResultCode></Response>", headers: {content-type: text/xml}}}
    expect:
      reply: {code: "0000", $/Response/ResultCode: "7"}
      emr: {$/Request/PatientID: 张}
      journal: {state: accepted, index: {patient: 张}}
  - name: only its payload, and nobody answers
    given: <Request><TradeCode>2131</TradeCode></Request>
    while: {emr: silence}
    expect: {reply: {code: "0004", state: pending, $/Response/TradeCode: "2131"}}
  - name: an action that is not this channel's
    given: |
      <s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><Call xmlns="http://tempuri.org/">
        <tradeCode>9</tradeCode><xml>a</xml></Call></s:Body></s:Envelope>
    expect: {reply: {code: "9999", error: JL-E405}}
  - name: not as the WSDL says
    given: |
      <s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Call xmlns="http://tempuri.org/">
        <trade>9</trade><xml>a</xml></Call></s:Body></s:Envelope>
    expect: {reply: {code: fault, error: JL-E404}, journal: refused}
"""


def test_a_case_gives_a_call_or_its_payload(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "front.yaml").write_text(CHANNEL, encoding="utf-8")
    report = play(tmp_path)
    assert [str(failure) for result in report.failed for failure in result.failures] == []
    assert len(report.results) == 4
