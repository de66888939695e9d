"""`jingluo wsdl`: a service's WSDL saved with all that it imports, and shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from soap_parts import NS, wsdl
from typer.testing import CliRunner

from config.errors import JingluoError
from endpoints.webservice.saving import save
from endpoints.webservice.wsdl import BadWsdl, load
from router.commands.wsdl import app

X = 'xmlns:x="http://www.w3.org/2001/XMLSchema"'


def parted(url: str) -> dict[str, str]:
    """As .NET and JAX-WS services have it: the binding apart from the types, and these in two files."""
    whole = wsdl(f"{url}/call", ("1.1",))
    begins, _, rest = whole.partition("<types>")
    types, _, ends = rest.partition("</types>")
    types = types.replace("<x:schema ", f"<x:schema {X} ", 1).replace(
        '<x:element name="Send">', '<x:include schemaLocation="/xsd?xsd=2"/><x:element name="Send">', 1
    )
    leads = (
        f'<types><x:schema><x:import namespace="{NS}" schemaLocation="{url}/xsd?xsd=1"/></x:schema></types>'
    )
    second = (
        f'<x:schema {X} targetNamespace="{NS}"><x:include schemaLocation="?xsd=1"/>'
        '<x:simpleType name="Code"><x:restriction base="x:string"/></x:simpleType></x:schema>'
    )
    return {"/Lis.asmx?wsdl": begins + leads + ends, "/xsd?xsd=1": types, "/xsd?xsd=2": second}


@pytest.fixture
def server() -> Iterator[Any]:
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{made.server_address[1]}"
    pages.update(parted(url))
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield url
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_service_in_several_files_is_saved_and_can_be_called_without_the_network(
    server: str, tmp_path: Path
) -> None:
    said = CliRunner().invoke(app, ["save", f"{server}/Lis.asmx?wsdl", "--into", str(tmp_path / "wsdl")])
    assert said.exit_code == 0, said.output
    names = sorted(path.name for path in (tmp_path / "wsdl").iterdir())
    assert names == ["Lis-1.xsd", "Lis-2.xsd", "Lis.wsdl"]
    contract = load(tmp_path / "wsdl" / "Lis.wsdl", tmp_path)
    assert [part.name for part in contract.operations["Send"].arguments] == ["action", "message"]
    assert contract.doubt == ""
    lines = said.output.splitlines()
    assert lines[3].endswith(f"Lis.wsdl: SOAP 1.1; {server}/call")
    assert "  Send(action, [message]) -> [SendResult]" in lines
    assert "  Tell(text)" in lines
    again = {path.name: path.read_bytes() for path in (tmp_path / "wsdl").iterdir()}
    CliRunner().invoke(app, ["save", f"{server}/Lis.asmx?wsdl", "--into", str(tmp_path / "wsdl")])
    assert {path.name: path.read_bytes() for path in (tmp_path / "wsdl").iterdir()} == again
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "wsdl" / "Lis.wsdl")])
    assert shown.output.splitlines() == lines[3:]


def test_what_is_not_there_is_said_and_leaves_nothing_behind(server: str, tmp_path: Path) -> None:
    for url, code in ((f"{server}/none?wsdl", "JL-C130"), ("http://127.0.0.1:1/a?wsdl", "JL-C130")):
        said = CliRunner().invoke(app, ["save", url, "--into", str(tmp_path / "wsdl")])
        assert isinstance(said.exception, JingluoError)
        assert said.exception.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ({"http://h/a?wsdl": "<html><body>login"}, "JL-C131"),
        ({"http://h/a?wsdl": "<html/>"}, "JL-C131"),
        ({"http://h/a?wsdl": parted("file:///etc")["/Lis.asmx?wsdl"]}, "JL-C130"),
        ({"http://h/a?wsdl": parted("http://h")["/Lis.asmx?wsdl"]}, "JL-C130"),
    ],
)
def test_a_wsdl_that_cannot_be_saved_whole_is_not_saved(
    tmp_path: Path, pages: dict[str, str], code: str
) -> None:
    def fetch(url: str) -> bytes:
        if url not in pages:
            raise OSError("404")
        return pages[url].encode()

    with pytest.raises(BadWsdl) as caught:
        save("http://h/a?wsdl", tmp_path / "wsdl", "", fetch)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_no_path(tmp_path: Path) -> None:
    (file,) = save("http://h/a", tmp_path / "wsdl", "../../a b", lambda url: wsdl().encode())
    assert file == tmp_path / "wsdl" / "a-b.wsdl"


def test_a_service_that_leads_on_for_ever_is_given_up(tmp_path: Path) -> None:
    def fetch(url: str) -> bytes:
        place = f"{url}1"
        return f'<x:schema {X}><x:include schemaLocation="{place}"/></x:schema>'.encode()

    with pytest.raises(BadWsdl, match="more than 200"):
        save("http://h/a", tmp_path / "wsdl", "", fetch)
