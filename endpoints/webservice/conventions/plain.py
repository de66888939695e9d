"""No convention: the operations of the site's own WSDL, each a kind of message, and answers as the site writes them."""

from __future__ import annotations

from collections.abc import Mapping

from endpoints.webservice.conventions import Asked, Said, State, answered, filled, words
from schemas.message import Reply

ANSWER = '<reply state="{state}" id="{id}" code="{code}">{text}</reply>'


class Plain:
    service = namespace = operation = action = message = ""

    def __init__(self, answers: Mapping[State, str]) -> None:
        """`answers`: templates by state."""
        self._answers: dict[str, str] = {str(state): one for state, one in answers.items()}

    def action_in(self, head: bytes) -> str:
        return ""

    def answer(self, asked: Asked, reply: Reply, now_s: float) -> Said:
        state = "accepted" if reply.state == "answered" and not reply.body else reply.state
        if reply.silent:
            return Said(state, "")
        if state == "answered":
            return Said(state, answered(reply))
        values = {"state": state, "id": reply.id, "code": reply.code, "text": words(reply)}
        return Said(state, filled(self._answers.get(state, ANSWER), values))
