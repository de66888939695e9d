"""A profile's message on the wire and its answer back: SOAP with a text in it, or JSON. Knows nothing of outcomes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from config.errors import BadMessage, Refused, Unreachable
from endpoints.hisparty.filling import filled, found_at
from endpoints.hisparty.profile import Operation, Profile, Soap
from endpoints.insurance.envelope import CHINA
from endpoints.rest.media import content_type
from endpoints.rest.sending import Answer
from endpoints.webservice import envelope
from endpoints.webservice.envelope import SOAP11, SOAP12, NoEnvelope
from schemas.json import Json
from schemas.xml import Element, Xml, text_within

_JSON, _XML = Json(), Xml()
_PROLOG = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_PLACE = re.compile(r"\{(\w+)\}")
# Method, url, headers, body. Raises as `Sending.ask` does.
Post = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]


class Heard(NamedTuple):
    """`tree` is None where nobody can say what was answered; then `code` and `text` say why."""

    tree: Any = None
    code: str = ""
    text: str = ""


class Wire:
    """To one HIS. `now` is Unix seconds; `settings` and `secret` as systems.yaml has them."""

    def __init__(
        self, profile: Profile, url: str, settings: Mapping[str, str], secret: str, now: Callable[[], float]
    ) -> None:
        self.profile = profile
        self._url = url
        self._settings = settings
        self._secret = secret
        self._now = now

    async def ask(self, post: Post, name: str, op: Operation, tree: Any, about: Mapping[str, Any]) -> Heard:
        """Raises Refused (JL-H002, JL-H003) where nothing can be sent of it, Unreachable where nothing left."""
        names = {**self._settings, **about, "operation": name, "trade": op.trade or name, "now": self.now()}
        url, headers, body = self.request(op, tree, names)
        try:
            answer = await post("POST", url, headers, body)
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return Heard(None, error.code, error.text)
        except Refused as error:  # too large an answer
            return Heard(None, error.code, error.text)
        return self.heard(answer)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC).astimezone(CHINA)

    def request(
        self, op: Operation, tree: Any, names: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, str], bytes]:
        """Address, headers and body."""
        try:
            return self._request(op, tree, names)
        except BadMessage as error:
            raise Refused("JL-H003", f"it cannot be written: {error.text}") from None
        except ValueError as error:  # of lxml: a character that XML does not have; of a key: it is none
            raise Refused("JL-H003", f"it cannot be written: {type(error).__name__} 报文无法生成") from None

    def _request(
        self, op: Operation, tree: Any, names: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, str], bytes]:
        profile = self.profile
        content = filled(op.send, tree, names)
        if profile.content == "xml":
            content = self._xml({profile.content_root: content})
        elif profile.content == "json":
            content = _JSON.encode(content).decode()
        names = {**names, "content": content}
        names["sign"] = self._signed(names)
        made = filled(profile.body, tree, names)
        soap, gateway = profile.speaks.soap, profile.speaks.json_
        if soap is not None:
            return self._url, *self._soap(soap, self._xml(made), names)
        assert gateway is not None
        url = self._url + _put(gateway.path, names)
        if gateway.form == "form":
            fields = {
                key: one if isinstance(one, str) else _JSON.encode(one).decode() for key, one in made.items()
            }
            kind = "application/x-www-form-urlencoded"
            return url, {"content-type": kind}, urlencode(fields, encoding=gateway.charset).encode()
        kind = f"application/json; charset={gateway.charset}"
        return url, {"content-type": kind}, _JSON.encode(made, gateway.charset)

    def _soap(self, soap: Soap, text: str, names: Mapping[str, Any]) -> tuple[Mapping[str, str], bytes]:
        called = _put(soap.operation, names)
        root = etree.Element(f"{{{soap.namespace}}}{called}", nsmap={"m": soap.namespace})
        for name, value in soap.arguments.items():
            made = str(filled(value, {}, {**names, "body": text}) or "")
            inside: Any = etree.CDATA(made) if soap.form == "cdata" and "]]>" not in made else made
            etree.SubElement(root, f"{{{soap.namespace}}}{name}").text = inside
        version = SOAP12 if soap.version == "1.2" else SOAP11
        base = soap.namespace if soap.namespace.endswith("/") else f"{soap.namespace}/"
        action = _put(soap.soap_action, names) or base + called
        kind = f"{version.media_type}; charset={soap.charset}"
        headers = {"content-type": kind, "soapaction": f'"{action}"'}
        if version is SOAP12:
            headers = {"content-type": f'{kind}; action="{action}"'}
        return headers, envelope.write(version, root, charset=soap.charset)

    def _xml(self, tree: Any) -> str:
        if self.profile.empty == "omit":
            tree = _without_nothing(tree)
        text = etree.tostring(_XML.build(tree), encoding="unicode")
        prolog = self.profile.prolog
        return f'<?xml version="1.0" encoding="{prolog}"?>{text}' if prolog else str(text)

    def _signed(self, names: Mapping[str, Any]) -> str | None:
        how = self.profile.sign
        if how is None:
            return None
        plain = {**names, "secret": self._secret}
        if how.md5:
            digest = hashlib.md5(_put(how.md5, plain).encode(how.charset), usedforsecurity=False).hexdigest()
            return digest.upper() if how.upper else digest
        key = serialization.load_pem_private_key(self._secret.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise Refused("JL-H003", "`sign_key` is no RSA key")
        made = key.sign(_put(how.rsa, plain).encode(how.charset), padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(made).decode()

    def heard(self, answer: Answer) -> Heard:
        """Whatever came back."""
        try:
            tree = self._of_soap(answer) if self.profile.speaks.soap is not None else self._of_json(answer)
        except (BadMessage, NoEnvelope, ValueError) as error:
            text = f"status {answer.status}, an answer that nobody can read: {error} 无法识别的应答"
            return Heard(None, "JL-H006", text)
        if not 200 <= answer.status < 300:
            return Heard(None, "JL-H006", f"status {answer.status} {answer.reason}")
        return Heard(tree)

    def _of_json(self, answer: Answer) -> Any:
        gateway = self.profile.speaks.json_
        assert gateway is not None
        charset = content_type(answer.headers.get("content-type", ""))[1]
        tree = _JSON.decode(answer.body, charset or gateway.charset)
        if not isinstance(tree, dict):
            raise ValueError("no JSON object")
        return tree

    def _of_soap(self, answer: Answer) -> Any:
        soap = self.profile.speaks.soap
        assert soap is not None
        found = envelope.read(answer.body, content_type(answer.headers.get("content-type", ""))[1])
        child = found.child
        if etree.QName(child).localname == "Fault":
            raise ValueError(f"Fault: {' '.join(text_within(child).split())[:200]}")
        held = _result(child, soap.result)
        return tree_of(held) if len(held) else parsed(text_within(held))

    def content_of(self, tree: Any) -> Any:
        """What an answer holds. Raises ValueError."""
        at = self.profile.answer.content
        held = found_at(at, tree, {}) if at else tree
        return parsed(held) if isinstance(held, str) and held.strip()[:1] in ("<", "{", "[") else held


def parsed(text: str) -> Any:
    """A text that holds XML or JSON, whatever encoding it declares. Raises ValueError and BadMessage.

    >>> parsed('<?xml version="1.0" encoding="gb2312"?><A><B>甲</B><B>2</B></A>')
    {'A': {'B': ['甲', '2']}}
    """
    inner = _PROLOG.sub("", text).strip()
    if inner[:1] in ("{", "["):
        return _JSON.decode(inner.encode())
    try:
        root = _XML.decode(inner.encode())
    except BadMessage:
        return tree_of(_XML.decode(f"<several>{inner}</several>".encode()))  # elements side by side
    return {etree.QName(root).localname: tree_of(root)}


def tree_of(element: Element) -> Any:
    """Text, or an object of attributes (`@name`) and children; several of one name are a list."""
    made: dict[str, Any] = {
        f"@{etree.QName(name).localname}": str(one) for name, one in element.attrib.items()
    }
    for child in element:
        if not isinstance(child.tag, str):
            continue
        name, value = etree.QName(child).localname, tree_of(child)
        if name in made:
            made[name] = [*(made[name] if isinstance(made[name], list) else [made[name]]), value]
        else:
            made[name] = value
    text = (element.text or "").strip()
    return text if not made else made | ({"#text": text} if text else {})


def _result(child: Element, name: str) -> Element:
    """The element that holds the answer: the one called so, or the first that holds anything. Raises ValueError."""
    inner = [one for one in child if isinstance(one.tag, str)]
    if name:
        inner = [one for one in child.iter("*") if etree.QName(one).localname == name]
    found = next((one for one in inner if len(one) or (one.text or "").strip()), None)
    if found is not None:
        return found
    if inner or name:
        raise ValueError("no result")
    return child


def _put(text: str, names: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda found: str(names.get(found[1]) or ""), text)


def _without_nothing(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_nothing(one) for key, one in tree.items() if one is not None and one != ""}
    return [_without_nothing(one) for one in tree] if isinstance(tree, list) else tree
