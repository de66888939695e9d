"""What is wrong between channels that take SOAP calls at one address."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from channels.compile import Draft
from config.errors import Problem
from config.models import did_you_mean
from config.registry import nearest
from config.text import At


def services(drafts: list[Draft], actions: Callable[[], Collection[str]]) -> None:
    """Adds it to the later channel's problems. `actions` gives those of the platform's services."""
    found = [(made, made.source[1]) for made in drafts if made.source and made.source[0] == "soap"]
    first: dict[str, tuple[Draft, Any]] = {}
    taken: dict[tuple[str, str, str], Draft] = {}
    for made, options in found:
        at: At = ("from", "soap") if "soap" in made.document.data.get("from", {}) else ("from",)
        owner, shared = first.setdefault(options.path, (made, options))
        if owner is not made:
            _one_mind(made, options, owner, shared, at)
        _actions(made, options, taken, at)
        _route(made, options, drafts, at)
        if options.convention == "hip":
            _known(made, options, actions(), at)


def _one_mind(made: Draft, options: Any, owner: Draft, shared: Any, at: At) -> None:
    """Channels at one address: one WSDL is served, and callers are asked before anybody knows what they want."""
    from endpoints.webservice.options import SHARED

    for name in SHARED:
        if getattr(options, name) != getattr(shared, name):
            what = f"{owner.document.file} has another {name} at the address {options.path}"
            hint = "channels at one address have one; or give it another `path`"
            made.problems.append(Problem((*at, name), "JL-C136", what, hint))


def _actions(made: Draft, options: Any, taken: dict[tuple[str, str, str], Draft], at: At) -> None:
    operation, _, _ = options.names
    for action in options.action or ("",):
        owner = taken.setdefault((options.path, operation, action), made)
        if owner is not made:
            what = f"the action {action!r} at {options.path} is taken by {owner.document.file}"
            if not action:
                what = f"every other action at {options.path} is taken by {owner.document.file}"
            hint = "say the channel's own `action`"
            made.problems.append(Problem((*at, "action"), "JL-C135", what, hint))


def _route(made: Draft, options: Any, drafts: list[Draft], at: At) -> None:
    for other in drafts:
        kind, http = other.source or ("", options)
        if kind == "http" and http.method in ("GET", "POST") and http.path == options.path:
            what = f"the path {options.path} is taken by {other.document.file}"
            made.problems.append(Problem((*at, "path"), "JL-C024", what, "begin it with /soap"))


def _known(made: Draft, options: Any, actions: Collection[str], at: At) -> None:
    """Sites have services of their own: a name that is nearly one of the platform's is a slip."""
    for action in options.action:
        near = nearest(action, actions)
        if action not in actions and near:
            what = f"the platform has no service with the action {action!r}"
            hint = did_you_mean(near, [])
            made.problems.append(Problem((*at, "action"), "JL-C137", what, hint, "warning"))
