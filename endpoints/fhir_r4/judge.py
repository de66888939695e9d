"""What a party's answer means: R4, http.html, and for entries of a batch or transaction its processing rules."""

from __future__ import annotations

from collections.abc import Mapping

from config.errors import Refused, Unreachable
from endpoints.fhir_r4.outcome import is_error, issues_in, told
from endpoints.fhir_r4.reading import Entry, EntryRequest, head_of
from endpoints.fhir_r4.request import Wanted
from endpoints.rest.sending import Answer
from schemas.message import Receipt

BASE, STATUS = "fhir.base", "status"  # headers of a receipt: whose links its body has, and the party's status
_KEPT = ("content-type", "location", "etag", "last-modified")
_TRANSIENT = {408, 425, 429}
_LATER = 202  # taken, and done later: what each entry comes to, nobody says here
_NAMED = 10  # entries that a reason names

# Each with its own meaning for who sent the message.
_NO = {409: "JL-E711", 412: "JL-E712", 422: "JL-E713"}
_PLAIN_NO = {400, 404, 405, 410, 413, 415}


def receipt_of(answer: Answer, asked: Wanted, base: str) -> Receipt | None:
    """The party's yes; None where the status alone decides. Raises Refused and Unreachable for what is neither."""
    if asked.kind == "question" and (answer.status == 304 or _answers(answer)):
        return _receipt(answer, base)
    if not 200 <= answer.status < 300:
        if answer.status in _NO or answer.status in _PLAIN_NO:
            raise _refused(answer, asked)
        return None
    if is_error(answer.body):
        raise _none(f"status {answer.status} with an OperationOutcome that says no: {told(answer.body)}")
    if asked.kind == "question":
        if answer.status == _LATER or head_of(answer.body) is None:
            raise _none(f"status {answer.status}, and no FHIR resource in JSON", maybe_done=False)
    elif asked.kind == "bundle" and answer.status != _LATER:
        _entries(answer, asked, base)
    return _receipt(answer, base)


def _answers(answer: Answer) -> bool:
    """A question's answer can be that there is no such thing, if it is FHIR that says so."""
    asked_well = answer.status in _PLAIN_NO or answer.status in _NO or answer.status == 406
    return asked_well and issues_in(answer.body) is not None


def _receipt(answer: Answer, base: str) -> Receipt:
    kept: dict[str, str] = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    return Receipt(str(answer.status), answer.body, "fhir", kept | {STATUS: str(answer.status), BASE: base})


def _refused(answer: Answer, asked: Wanted) -> Refused:
    """409: something else went on at the same time, unless a version was named. All others stay what they are."""
    text = f"status {answer.status} {answer.reason}".strip()
    issues = told(answer.body)
    versions = "if-match" in asked.headers or any(
        entry.request is not None and entry.request.if_match for entry in asked.head.entries
    )
    code = _NO.get(answer.status, "JL-E710")
    retry = answer.status == 409 and not versions
    return Refused(code, f"{text}: {issues}" if issues else text, retry=retry, answer=answer.body)


def _entries(answer: Answer, asked: Wanted, base: str) -> None:
    """One response to each entry, in their order; what failed is named by its number."""
    head, kind = head_of(answer.body), asked.head.bundle
    requests, responses = asked.head.entries, head.entries if head else []
    if head is None or head.bundle != f"{kind}-response":
        raise _none(f"no Bundle of type {kind}-response came")
    if len(requests) != len(responses):
        raise _none(f"{len(responses)} entries came to {len(requests)}")
    failed = {n: entry for n, entry in enumerate(responses) if not _done(entry)}
    if not failed:
        return
    text = "; ".join(_said(number, entry) for number, entry in list(failed.items())[:_NAMED])
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    text = f"{len(failed)} of {len(requests)} entries failed: {text}{more}"
    again = kind == "batch" and all(_passing(entry) for entry in failed.values())
    done = [entry.request for number, entry in enumerate(requests) if number not in failed]
    again = again and all(map(_repeatable, done))
    raise Refused("JL-E715", text, retry=again, answer=answer.body, headers=_receipt(answer, base).headers)


def _done(entry: Entry) -> bool:
    return entry.response is not None and 200 <= entry.response.code < 400


def _passing(entry: Entry) -> bool:
    code = entry.response.code if entry.response else 0
    return code in _TRANSIENT or code >= 500


def _repeatable(request: EntryRequest | None) -> bool:
    return request is not None and request.repeatable


def _said(number: int, entry: Entry) -> str:
    code = entry.response.code if entry.response else 0
    issues = told(bytes(entry.response.outcome)) if entry.response else ""
    return f"entry[{number}] {code or 'without a status'}" + (f" ({issues})" if issues else "")


def _none(text: str, *, maybe_done: bool = True) -> Unreachable:
    return Unreachable("JL-E714", text, maybe_done=maybe_done)


def yes(asked: Wanted) -> bytes:
    """What a party says that did it: for tests, where it does not matter how."""
    import msgspec

    if asked.kind == "bundle":
        entries = [{"response": {"status": _STATUS.get(e.request.method if e.request else "", "200 OK")}}
                   for e in asked.head.entries]  # fmt: skip
        return msgspec.json.encode(
            {"resourceType": "Bundle", "type": f"{asked.head.bundle}-response", "entry": entries}
        )
    if asked.kind == "question":
        return msgspec.json.encode({"resourceType": "Bundle", "type": "searchset", "total": 0})
    return b""


_STATUS: Mapping[str, str] = {"POST": "201 Created", "DELETE": "204 No Content"}
