"""Form data: `a=1&b=2` (application/x-www-form-urlencoded) and multipart/form-data (RFC 7578), told apart by the body.

A tree is a dict of texts by field; a field that comes several times is a list. A file that was sent along is
`{"filename": ..., "type": ..., "content": <Base64>}`. Paths are those of JSON: `$.patient`, `$.file.content`;
`each: $.item` goes through one as through several.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from email.message import Message as Headers
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import BaseModel, ConfigDict, Field

from config import registry
from config.errors import BadMessage
from schemas import charsets
from schemas.base import Path
from schemas.json import compile_path, laid_over
from schemas.rows import cell_text

MAX_BYTES = 100_000_000
MAX_FIELDS = 10_000
MAX_NAME = 1_000  # bytes
MAX_HEAD = 10_000  # bytes of a part's headers
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BOUNDARY = re.compile(rb"--([0-9A-Za-z'()+_,\-./:=? ]{1,70})[ \t]*\r?\n")
_PART = re.compile(rb"\r?\n\r?\n")
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
File = dict[str, str]


class FormText(BaseModel):
    """The options of `form`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    multipart: bool = Field(default=False, description="written as multipart/form-data; both are read")


class Form:
    """Format `form`. Trees are dicts of str, of file (dict), or of lists of these."""

    name = "form"
    plain_items = True
    Options = FormText

    def __init__(self, options: FormText | None = None) -> None:
        self.options = options or FormText()

    def decode(self, body: bytes, charset: str = "") -> dict[str, Any]:
        """Raises BadMessage: JL-M070 not form data, JL-M071 too large; the place is the field's number or name."""
        if len(body) > MAX_BYTES:
            raise BadMessage("JL-M071", f"larger than {MAX_BYTES} bytes")
        tree: dict[str, Any] = {}
        for number, (name, value) in enumerate(_fields(body, charset), 1):
            if number > MAX_FIELDS:
                raise BadMessage("JL-M071", f"more than {MAX_FIELDS} fields")
            if name not in tree:
                tree[name] = value
            elif isinstance(tree[name], list):
                tree[name].append(value)
            else:
                tree[name] = [tree[name], value]
        return tree

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """UTF-8, unless the receiver wants something else. Raises BadMessage (JL-M072 with the field)."""
        codec = charsets.codec(charset) or "utf-8"
        if not isinstance(tree, dict):
            raise BadMessage("JL-M072", "form data is an object: {field: value}")
        fields = [
            (str(name), value)
            for name, values in tree.items()
            for value in (values if isinstance(values, list) else [values])
            if value is not None
        ]
        if self.options.multipart:
            return _multipart(fields, codec)
        return b"&".join(
            _escaped(name, codec, name) + b"=" + _escaped(value, codec, name) for name, value in fields
        )

    def path(self, text: str) -> Path:
        return compile_path(text)

    def build(self, made: Any, start: Any = None) -> Any:
        return made if start is None else laid_over(start, made)

    def sniff(self, tree: Any) -> str:
        return ""


def media_type(body: bytes) -> str:
    """What a body is called on the web; of a multipart one with its boundary."""
    boundary = _BOUNDARY.match(body)
    if boundary is None:
        return "application/x-www-form-urlencoded"
    return f'multipart/form-data; boundary="{boundary[1].decode()}"'


def _fields(body: bytes, charset: str) -> Iterator[tuple[str, Any]]:
    if boundary := _BOUNDARY.match(body):
        yield from _parts(body, b"--" + boundary[1].rstrip(), charset)
        return
    for number, field in enumerate(body.strip(b"\r\n").split(b"&") if body.strip() else (), 1):
        if not field:
            continue
        if _BAD_ESCAPE.search(field) or b"\n" in field or b"\0" in field:
            raise BadMessage(
                "JL-M070", "not form data: no two hex digits after %, or a line end", f"field {number}"
            )
        name, _, value = (unquote_to_bytes(part) for part in field.replace(b"+", b" ").partition(b"="))
        yield _name(_decoded(name, charset), f"field {number}"), _decoded(value, charset)


def _parts(body: bytes, mark: bytes, charset: str) -> Iterator[tuple[str, Any]]:
    """The fields between the lines that begin with the boundary."""
    pieces = re.split(
        rb"(?:^|\r?\n)" + re.escape(mark) + rb"(?=\r?\n|--|[ \t])", body, maxsplit=MAX_FIELDS + 2
    )
    if len(pieces) > MAX_FIELDS + 2:
        raise BadMessage("JL-M071", f"more than {MAX_FIELDS} fields")
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BadMessage("JL-M070", "not form data: its last boundary is missing", f"part {len(pieces) - 1}")
    for number, piece in enumerate(pieces[1:-1], 1):
        head, value = _split(piece, f"part {number}")
        name = _name(_parameter(head, "name", charset), f"part {number}")
        filename = _parameter(head, "filename", charset)
        if filename:
            content = base64.b64encode(value).decode()
            yield name, {"filename": filename, "type": head.get_content_type(), "content": content}
        else:
            yield name, _decoded(value, head.get_content_charset("") or charset)


def _split(piece: bytes, at: str) -> tuple[Headers, bytes]:
    """A part's headers and its content."""
    found = _PART.search(piece, 0, MAX_HEAD)
    if found is None:
        raise BadMessage("JL-M070", f"not form data: its headers do not end within {MAX_HEAD} bytes", at)
    headers = Headers()
    for line in charsets.decode(piece[: found.start()]).text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("content-disposition", "content-type"):
            del headers[name.strip()]
            headers[name.strip()] = "".join(filter(str.isprintable, value)).strip()
    return headers, piece[found.end() :]


def _parameter(head: Headers, name: str, charset: str) -> str:
    """`name` and `filename` of a part; browsers write `%22` for a quote in it."""
    disposition = str(head.get("content-disposition", ""))
    found = re.search(rf';\s*{name}="([^"]*)"|;\s*{name}=([^;\s"]+)', disposition, re.IGNORECASE)
    text = (found[1] if found[1] is not None else found[2]) if found else ""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _name(name: str, at: str) -> str:
    if not name or len(name) > MAX_NAME:
        raise BadMessage("JL-M070", f"a field has a name, of at most {MAX_NAME} characters", at)
    return name


def _decoded(value: bytes, charset: str) -> str:
    return charsets.decode(value, ["utf-8"] if not charset else [charset]).text


def _escaped(value: Any, codec: str, at: str) -> bytes:
    return quote_from_bytes(_bytes(value, codec, at), safe=" ").replace(" ", "+").encode()


def _bytes(value: Any, codec: str, at: str) -> bytes:
    if isinstance(value, dict | list):
        raise BadMessage("JL-M072", "a field holds a text, or a list of texts", f"$.{at}")
    try:
        return cell_text(value, f"$.{at}").encode(codec)
    except UnicodeEncodeError:
        raise BadMessage("JL-M072", f"a character that {codec} does not have", f"$.{at}") from None


def _multipart(fields: list[tuple[str, Any]], codec: str) -> bytes:
    parts: list[bytes] = []
    for name, value in fields:
        said = f'form-data; name="{name.translate(_QUOTED)}"'
        kind = "" if codec == "utf-8" else f"text/plain; charset={codec}"
        if isinstance(value, dict):
            content, kind = _file(value, name), str(value.get("type") or "application/octet-stream")
            said += f'; filename="{str(value.get("filename", "")).translate(_QUOTED)}"'
        else:
            content = _bytes(value, codec, name)
        head = f"Content-Disposition: {said}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
        parts.append(_bytes(head, "utf-8", name) + b"\r\n" + content + b"\r\n")
    boundary = b"form-" + hashlib.sha256(b"".join(parts)).hexdigest()[:32].encode()  # in no part, then
    return b"".join(b"--" + boundary + b"\r\n" + part for part in parts) + b"--" + boundary + b"--\r\n"


def _file(value: File, name: str) -> bytes:
    if "\r" in str(value.get("type", "")) or "\n" in str(value.get("type", "")):
        raise BadMessage("JL-M072", "a media type has no line end", f"$.{name}.type")
    try:
        return base64.b64decode(str(value.get("content", "")), validate=True)
    except binascii.Error:
        raise BadMessage("JL-M072", "the content of a file is Base64", f"$.{name}.content") from None


registry.format("form")(Form())
