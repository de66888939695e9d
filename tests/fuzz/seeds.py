"""Good input to begin from, and what each language is made of."""

from __future__ import annotations

import gzip
from typing import Any

from dicom_parts import picture

HL7 = (
    "MSH|^~\\&|HIS|A|LIS|B|20260105080000||ORU^R01^ORU_R01|1|P|2.5\r"
    "PID|1||P0001^^^A^MR||张^三||19800101|F\r"
    "OBR|1|7|8|GLU^血糖\rOBX|1|NM|GLU||5.2|mmol/L|3.9-6.1|N|||F\r"
).encode()
BATCH = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + HL7 + HL7 + b"BTS|2\rFTS|1\r"
XML = (
    '<?xml version="1.0" encoding="UTF-8"?><Request xmlns="urn:his:1" id="1">'
    "<Name>张三</Name><Item><![CDATA[<a/>]]></Item></Request>"
).encode()
FHIR = (
    '{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient",'
    '"identifier":[{"system":"urn:oid:1.2","value":"P0001"}],"name":[{"family":"张"}],"birthDate":"1980-01-01"},'
    '"request":{"method":"PUT","url":"Patient?identifier=P0001"}}]}'
).encode()
JSON = '{"id":"P0001","amount":12.30,"items":[{"code":"GLU","name":"血糖"},null,true,-1e3]}'.encode()
ROWS = 'id,name,amount\r\nP0001,张三,12.30\r\nP0002,"李, 四",0\r\n'.encode()
RECORDS = "H20260105\r\nDP0001张三      0000012.30\r\n".encode("gb18030")
FORM = b"id=P0001&name=%E5%BC%A0%E4%B8%89&item=1&item=2"
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\nP0001\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF\r\n"
    b"--x--\r\n"
)
_SOAP = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><R><CallResult>%s</CallResult></R>'
    b"</s:Body></s:Envelope>"
)
_INCLUDE = b'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:d"/>'
SOAP = (
    _SOAP % b"<![CDATA[<Response><ResultCode>0</ResultCode></Response>]]>",
    _SOAP % b'<a xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"/></a>',
    _SOAP.replace(b"R>", b"s:Fault>") % b"",
    b"--b\r\nContent-ID: <r>\r\n\r\n" + _SOAP % _INCLUDE + b"\r\n--b\r\nContent-ID: <d>\r\n\r\n1\r\n--b--",
)
SOAP_CALLS = (
    _SOAP.replace(b"R>", b"Call>").replace(b"CallResult>", b"xml>") % b"<![CDATA[<Request/>]]>",
    _SOAP.replace(b"R>", b"HIPMessageServer>").replace(b"CallResult>", b"message>") % b"&lt;a id='1'/&gt;",
)
FHIR_ANSWERS = (
    b'{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created"}}]}',
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","expression":["a[0].b"]}]}',
    b'{"resourceType":"Bundle","type":"searchset","total":0,"link":[{"relation":"self","url":"http://a/Patient"}]}',
)
LAYOUT = {"charset": "GB18030", "records": {"H": {"day": 8}, "D": {"id": 5, "name": 10, "amount": 10}}}
SPECS: dict[str, tuple[Any, tuple[bytes, ...]]] = {
    "hl7v2": ("hl7v2", (HL7,)),
    "json": ("json", (JSON, FHIR)),
    "xml": ({"xml": {"namespaces": {"h": "urn:his:1"}}}, (XML,)),
    "fhir": ("fhir", (FHIR,)),
    "delimited": ("delimited", (ROWS,)),
    "fixed": ({"fixed": LAYOUT}, (RECORDS,)),
    "form": ("form", (FORM, PARTS)),
    "dicom": (
        "dicom",
        (picture(), picture(RequestAttributesSequence=[{"RequestedProcedureDescription": "胸部"}])),
    ),
}
SIGNED = (
    b"app=kiosk, time=1767571200, nonce=9f2c51b0a4, digest="
    + b"0a" * 32
    + b', signature="'
    + b"1f" * 64
    + b'"'
)
TOKEN = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwiZXhwIjoxNzY3NTcxMjAwfQ.c2lnbmF0dXJl"
CHANNEL = b"""\
channel: adt
from: {mllp: {port: 2575, charset: GB18030}}
format: hl7v2
order: {by: $PID-3.1, lanes: 8}
when: {$MSH-9.1: ADT, any: [{$PV1-2: I}, {$PID-7: {before: 2008-01-01}}]}
to:
  lis:
    map: {make: {MSH: {9: $MSH-9}, PID: {each: $PID, make: {3: $-3.1 | upper}}}, start: $}
    send: {mllp: {host: 127.0.0.1, port: 2576}}
    retry: {first: 1s, factor: 2, max: 5m, for: 24h}
reply: lis
keep: {body: 30d, rows: 400d}
"""
PACKED = (gzip.compress(HL7, mtime=0), gzip.compress(b" " * 500_000, mtime=0))

# Words for mutations.
SEGMENTS = (
    b"MSH",
    b"PID",
    b"OBX",
    b"OBR",
    b"PV1",
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\\X0D\\",
    b"\x1b",
)
FRAME = (b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|^~\\&|")
MARKS = (
    b"<",
    b">",
    b"&",
    b"]]>",
    b"<![CDATA[",
    b"<!DOCTYPE a [",
    b"<!ENTITY x 'y'>",
    b"&x;",
    b"xmlns=''",
    b"</",
)
BRACES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"null",
    b"\xef\xbb\xbf",
)
FIELDS = (b"%", b"&", b"=", b"--x", b"\r\n")
