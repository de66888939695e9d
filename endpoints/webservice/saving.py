"""A WSDL of the network, saved as files of a site: with all that it imports, their links leading to one another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree

from endpoints.webservice.wsdl import MAX_FILE, BadWsdl, hardened, links
from schemas.xml import Element

MAX_FILES = 200
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}definitions"

Fetch = Callable[[str], bytes]  # raises OSError


def save(url: str, folder: Path, name: str, fetch: Fetch) -> list[Path]:
    """The files, the WSDL first, called `name` or as the url's last part. All are fetched before the first is written.

    Raises BadWsdl, and OSError where they cannot be written.
    """
    name = _plain(name or PurePosixPath(urlsplit(url).path).stem)
    names = {url: f"{name}.wsdl"}
    documents: dict[str, Element] = {}
    waiting = [url]
    while waiting:
        one = waiting.pop(0)
        root = documents[names[one]] = _document(one, fetch)
        for element, key in links(root):
            target = urldefrag(urljoin(one, element.get(key, ""))).url
            if target not in names:
                if len(names) >= MAX_FILES:
                    raise BadWsdl("JL-C130", f"{url} imports more than {MAX_FILES} files")
                kind = "wsdl" if element.tag.endswith("wsdl/}import") else "xsd"
                names[target] = f"{name}-{len(names)}.{kind}"
                waiting.append(target)
            element.set(key, names[target])
    if documents[names[url]].tag != _WSDL:
        raise BadWsdl("JL-C131", f"{url} is no WSDL 1.1", "most services show theirs at `?wsdl`")
    folder.mkdir(parents=True, exist_ok=True)
    for file, root in documents.items():
        (folder / file).write_bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))
    return [folder / file for file in documents]


def _plain(name: str) -> str:
    """`http://his/HIPService.asmx?wsdl` is HIPService; what comes from outside is no path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "service"


def _document(url: str, fetch: Fetch) -> Element:
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadWsdl("JL-C130", f"{url} is no address of http or https")
    try:
        body = fetch(url)
    except OSError as error:
        raise BadWsdl("JL-C130", f"{url} cannot be fetched: {error}") from None
    if len(body) > MAX_FILE:
        raise BadWsdl("JL-C130", f"{url} is larger than {MAX_FILE} bytes")
    try:
        return etree.fromstring(body, hardened())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadWsdl("JL-C131", f"{url} is no XML: {error}", "it may be the page of a login") from None
