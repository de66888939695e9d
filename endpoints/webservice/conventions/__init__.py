"""How a hospital's web services are used: what names an action, and what an answer looks like.

A convention knows nothing of SOAP: it is asked with what a caller said, and answers with a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol
from xml.sax.saxutils import escape, quoteattr

from config.errors import BadMessage
from endpoints.webservice.envelope import printable
from schemas import charsets
from schemas.message import Reply
from schemas.xml import Xml

State = Literal["accepted", "refused", "failed", "pending"]
PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"
FAILED = "nothing was kept; send it again 未收下，请稍后重发"


class Asked(NamedTuple):
    """What a caller said. `head`: the payload's first bytes, which answers refer to."""

    operation: str
    action: str
    head: bytes = b""


class Said(NamedTuple):
    """An answer: its code in the convention's own words, and the text that is the operation's result."""

    code: str
    text: str


class Convention(Protocol):
    """`service` to `message`: the names of its own WSDL, which a site may have otherwise."""

    service: str
    namespace: str
    operation: str
    action: str
    message: str

    def action_in(self, head: bytes) -> str:
        """The action that a payload names itself; ''."""

    def answer(self, asked: Asked, reply: Reply, now_s: float) -> Said:
        """What the caller reads, where no destination's answer is the reply. `now_s`: Unix seconds."""


def answered(reply: Reply) -> str:
    """A destination's answer as a text; what it says of its own charset is then true no longer."""
    if reply.format == "xml":
        try:
            return Xml().encode(Xml().decode(reply.body)).decode()
        except BadMessage:
            pass
    return charsets.decode(reply.body).text


def words(reply: Reply) -> str:
    """What a person reads of it."""
    if reply.state == "pending":
        return PENDING
    if reply.state == "failed":
        return f"{reply.text}; {FAILED}" if reply.text else FAILED
    if reply.state == "refused":
        return f"{reply.path}: {reply.text}" if reply.path else reply.text
    return "已收下 accepted" if reply.state == "accepted" else "成功 done"


def text(value: str) -> str:
    """As the text of an element."""
    return escape(printable(value))


def attribute(value: str) -> str:
    """As the value of an attribute, with its quotes."""
    return quoteattr(printable(value))


def filled(template: str, values: Mapping[str, str]) -> str:
    """`{name}` by its value, escaped; other braces stay."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", escape(printable(value), {'"': "&quot;"}))
    return template
