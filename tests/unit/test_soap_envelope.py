"""SOAP's envelope, and a WSDL as data."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from lxml import etree

from endpoints.webservice import envelope, wsdl
from endpoints.webservice.envelope import SOAP11, SOAP12, Fault, NoEnvelope
from endpoints.webservice.options import SourceOptions

IMPORT = '<a xmlns="http://schemas.xmlsoap.org/wsdl/"><import namespace="x" location="{}"/></a>'


@pytest.mark.parametrize("version", [SOAP11, SOAP12])
@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_an_envelope_is_read_in_both_versions_whatever_charset_it_says(version, charset):
    body = f'<e:Envelope xmlns:e="{version.namespace}"><e:Body><a><![CDATA[<b>张三</b>]]></a></e:Body></e:Envelope>'
    read = envelope.read(body.encode(charset), "utf-8")
    assert (read.version, read.child.tag, read.child.text) == (version, "a", "<b>张三</b>")


@pytest.mark.parametrize(
    ("body", "code", "role"),
    [
        (b"", "JL-E401", "sender"),
        (b"<a", "JL-E401", "sender"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "JL-E401", "sender"),
        (b"<a/>", "JL-E402", "sender"),
        (b'<e:Envelope xmlns:e="urn:other"/>', "JL-E402", "version"),
        (f'<e:Envelope xmlns:e="{SOAP11.namespace}"><e:Body/></e:Envelope>'.encode(), "JL-E402", "sender"),
    ],
)
def test_what_is_no_soap_is_a_fault(body, code, role):
    with pytest.raises(NoEnvelope) as found:
        envelope.read(body)
    assert (found.value.fault.code, found.value.fault.role) == (code, role)


@pytest.mark.parametrize("version", [SOAP11, SOAP12])
def test_a_fault_is_escaped_and_read_again(version):
    made = envelope.read(envelope.write_fault(version, Fault("JL-E402", "no <b> & \x01 张", "receiver")))
    said = "".join(made.child.itertext())
    assert made.version is version
    assert "no <b> &  张" in said
    assert ("soap:Server" if version is SOAP11 else "soap:Receiver") in said
    assert made.child.find(".//{urn:jingluo:soap}error").get("code") == "JL-E402"


def test_a_wsdl_says_its_operations_and_judges_bodies():
    contract = SourceOptions(convention="hip").contract(Path())
    operation = contract.operations["HIPMessageServer"]
    assert [part.name for part in operation.arguments] == ["action", "message"]
    assert [part.name for part in operation.results] == ["HIPMessageServerResult"]
    assert contract.versions == {"1.1", "1.2"}
    good = etree.fromstring('<HIPMessageServer xmlns="urn:hl7-org:v3"><action>A</action></HIPMessageServer>')
    assert contract.schema is not None
    assert contract.schema(good) == []
    bad = copy.deepcopy(good)
    etree.SubElement(bad, "{urn:hl7-org:v3}other")
    assert [fault.path for fault in contract.schema(bad)] == ["/HIPMessageServer/other"]
    assert b'location="http://his:8080/soap?a=1&amp;b"' in (
        contract.served(contract.main, "http://his:8080/soap?a=1&b") or b""
    )


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("no xml", "JL-C131", "no WSDL"),
        ("<a/>", "JL-C131", "no service"),
        (IMPORT.format("http://a/b"), "JL-C130", "not fetched"),
        (IMPORT.format("../b"), "JL-C130", "outside"),
        (IMPORT.format("b"), "JL-C130", "cannot be read"),
    ],
)
def test_a_file_that_is_no_wsdl(tmp_path, text, code, says):
    (tmp_path / "a.wsdl").write_text(text)
    with pytest.raises(wsdl.BadWsdl, match=says) as found:
        wsdl.load(tmp_path / "a.wsdl", tmp_path)
    assert found.value.code == code


def test_a_wsdl_is_read_again_when_one_of_its_files_changed(tmp_path):
    contract = SourceOptions(convention="hip").contract(Path())
    (tmp_path / "a.wsdl").write_bytes(contract.files[contract.main])
    first = wsdl.load(tmp_path / "a.wsdl", tmp_path)
    assert wsdl.load(tmp_path / "a.wsdl", tmp_path) is first
    (tmp_path / "a.wsdl").write_bytes(contract.files[contract.main].replace(b"HIPMessageServer", b"Other"))
    assert list(wsdl.load(tmp_path / "a.wsdl", tmp_path).operations) == ["Other"]


OLD = """<w:definitions targetNamespace="urn:his" xmlns:t="urn:his" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema">
 <w:types>
  <x:schema targetNamespace="urn:his"><x:import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>
   <x:complexType name="Texts"><x:complexContent><x:restriction base="e:Array">
    <x:attribute ref="e:arrayType" w:arrayType="x:string[]"/></x:restriction></x:complexContent></x:complexType>
  </x:schema>
  <x:schema targetNamespace="urn:his"><x:element name="other" type="x:string"/></x:schema>
 </w:types>
 <w:message name="in"><w:part name="code" type="e:string"/><w:part name="texts" type="t:Texts"/></w:message>
 <w:message name="out"><w:part name="said" type="e:string"/></w:message>
 <w:portType name="P"><w:operation name="do"><w:input message="t:in"/><w:output message="t:out"/></w:operation>
 </w:portType>
 <w:binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="do"><s:operation soapAction=""/>
   <w:input><s:body use="encoded" namespace="urn:his" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></w:input>
   <w:output><s:body use="encoded" namespace="urn:his" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></w:output>
  </w:operation></w:binding>
 <w:service name="S"><w:port name="S" binding="t:B"><s:address location="http://his/"/></w:port></w:service>
</w:definitions>"""


def test_an_old_wsdl_in_rpc_style_needs_nothing_from_the_network(tmp_path):
    (tmp_path / "old.wsdl").write_text(OLD)
    contract = wsdl.load(tmp_path / "old.wsdl", tmp_path)
    (operation,) = contract.operations.values()
    assert operation.rpc
    assert [(part.name, part.text) for part in operation.arguments] == [("code", True), ("texts", False)]
    assert (operation.tag, operation.answer, operation.results[0].text) == (
        "{urn:his}do",
        "{urn:his}doResponse",
        True,
    )
    assert contract.doubt == ""
    assert contract.schema is not None
    assert contract.schema(etree.fromstring('<other xmlns="urn:his">a</other>')) == []  # of the second schema
