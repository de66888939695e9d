"""`jingluo wsdl`: what a web service offers, and its WSDL saved as files of the site."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.errors import JingluoError

if TYPE_CHECKING:
    from endpoints.webservice.wsdl import BadWsdl, Contract, Part

app = typer.Typer(help="Web services: what their WSDL offers. WSDL 服务描述")

_WITHIN_S = 30.0


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A WSDL.", exists=True, dir_okay=False)],
) -> None:
    """The operations, their arguments (in brackets: may be left out) and results. 查看操作"""
    from endpoints.webservice.wsdl import BadWsdl, load

    try:
        contract = load(file, file.resolve().parent)
    except BadWsdl as error:
        raise _said(error) from None
    for line in _lines(str(file), contract):
        typer.echo(line)


@app.command()
def save(
    url: Annotated[str, typer.Argument(help="Where the service shows it: http://host/service?wsdl")],
    into: Annotated[Path, typer.Option(help="A folder of the site.")] = Path("wsdl"),
    name: Annotated[str, typer.Option(help="Of the file; by default as the service is called.")] = "",
    ca: Annotated[Path | None, typer.Option(help="Who signed its certificate: PEM.", exists=True)] = None,
) -> None:
    """Saves a WSDL with all that it imports, and shows it. 保存服务描述及其引用文件"""
    from endpoints.webservice.saving import save as saved
    from endpoints.webservice.wsdl import BadWsdl, load

    try:
        files = saved(url, into, name, _Fetching(ca).fetch)
        contract = load(files[0], into.resolve())
    except BadWsdl as error:
        raise _said(error) from None
    for file in files:
        typer.echo(f"saved {file}")
    for line in _lines(str(files[0]), contract):
        typer.echo(line)


class _Fetching:
    """Redirects are followed, proxies of the environment not used; an https service's certificate is verified."""

    def __init__(self, ca: Path | None) -> None:
        from config.tls import ClientTls, client_context

        self._tls = client_context(ClientTls(ca=str(ca.resolve()) if ca else ""))

    def fetch(self, url: str) -> bytes:
        import httpx2

        from endpoints.webservice.wsdl import MAX_FILE

        body = b""
        try:
            with (
                httpx2.Client(
                    verify=self._tls, trust_env=False, timeout=_WITHIN_S, follow_redirects=True
                ) as client,
                client.stream("GET", url) as answer,
            ):
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_FILE:
                        break
        except httpx2.HTTPError as error:
            raise OSError(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
        return body


def _lines(file: str, contract: Contract) -> Iterable[str]:
    addresses = ", ".join(dict.fromkeys(contract.addresses)) or "no address"
    yield f"{file}: SOAP {', '.join(sorted(contract.versions))}; {addresses}"
    for name, operation in sorted(contract.operations.items()):
        results = _named(operation.results)
        yield f"  {name}({_named(operation.arguments)})" + (f" -> {results}" if results else "")


def _named(parts: Iterable[Part]) -> str:
    shown = ((f"{part.name}: XML" if not part.text else part.name, part.needed) for part in parts)
    return ", ".join(name if needed else f"[{name}]" for name, needed in shown)


def _said(error: BadWsdl) -> JingluoError:
    return JingluoError(error.code, f"{error.text}; {error.hint}" if error.hint else error.text)
