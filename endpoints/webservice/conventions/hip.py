"""The hospital platform's services: `HIPMessageServer(action, message)`, answered by `MCCI_IN000002UV01`.

WS/T 846-2024 医院信息平台交互标准, and the 交互规范 of 2018 and 2020 before it. Ids of devices are written in two
dialects: `<id root extension/>`, and later `<id><item root extension/></id>`. An answer speaks the one of its request.
"""

from __future__ import annotations

import time
import uuid

from endpoints.webservice.conventions import Asked, Said, answered, attribute, words
from endpoints.webservice.conventions.outline import outline
from schemas.message import Reply
from schemas.xml import Element

_MESSAGE_ROOT = "2.16.156.10011.2.5.1.1"
_INTERACTION_ROOT = "2.16.156.10011.2.5.1.2"
_DEVICE_ROOT = "2.16.156.10011.2.5.1.3"
_ANSWER = "MCCI_IN000002UV01"


class Hip:
    service = "HIPService"
    namespace = "urn:hl7-org:v3"
    operation = "HIPMessageServer"
    action = "action"
    message = "message"

    def action_in(self, head: bytes) -> str:
        """The action is an argument, and nothing else: several services have the same root element."""
        return ""

    def answer(self, asked: Asked, reply: Reply, now_s: float) -> Said:
        if reply.state == "answered" and reply.body:
            return Said("AA", answered(reply))
        if reply.silent:
            return Said("AA", "")
        code = "AE" if reply.state in ("refused", "failed") else "AA"
        return Said(code, _written(code, outline(asked.head), reply, now_s))


def _written(code: str, root: Element | None, reply: Reply, now_s: float) -> str:
    message = _id(root, "{*}id") or (_MESSAGE_ROOT, "")
    interaction = (_id(root, "{*}interactionId") or (_INTERACTION_ROOT, ""))[0]
    items = root is None or root.find("{*}receiver/{*}device/{*}id/{*}item") is not None
    own = str(uuid.UUID(reply.id)) if len(reply.id) == 32 else str(uuid.uuid4())
    details = f"{reply.code} {words(reply)}".strip() if code == "AE" else words(reply)
    if reply.state == "pending":
        details = f"pending {reply.id}: {details}"
    return "".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<{_ANSWER} xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0">',
            f'<id root={attribute(message[0])} extension="{own}"/>',
            f'<creationTime value="{time.strftime("%Y%m%d%H%M%S", time.localtime(now_s))}"/>',
            f'<interactionId root={attribute(interaction)} extension="{_ANSWER}"/>',
            '<processingCode code="P"/><processingModeCode/><acceptAckCode code="NE"/>',
            _device("receiver", "RCV", _id(root, "{*}sender//{*}device/{*}id"), items),
            _device("sender", "SND", _id(root, "{*}receiver//{*}device/{*}id"), items),
            f'<acknowledgement typeCode="{code}">',
            f"<targetMessage><id root={attribute(message[0])} extension={attribute(message[1])}/></targetMessage>",
            f"<acknowledgementDetail><text value={attribute(details)}/></acknowledgementDetail>",
            f"</acknowledgement></{_ANSWER}>",
        )
    )


def _device(name: str, code: str, id: tuple[str, str] | None, items: bool) -> str:
    root, extension = id or (_DEVICE_ROOT, "")
    said = f"root={attribute(root)} extension={attribute(extension)}"
    written = f"<id><item {said}/></id>" if items else f"<id {said}/>"
    device = f'<device classCode="DEV" determinerCode="INSTANCE">{written}</device>'
    return f'<{name} typeCode="{code}">{device}</{name}>'


def _id(root: Element | None, path: str) -> tuple[str, str] | None:
    """Root and extension of an id, in either dialect."""
    found = root.find(path) if root is not None else None
    if found is None:
        return None
    item = found.find("{*}item")
    one = item if item is not None else found
    return one.get("root", ""), one.get("extension", "")
