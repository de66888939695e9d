"""What a channel and callers.yaml say of each other."""

from __future__ import annotations

from channels.compile import Draft
from config.callers import ANYBODY, Callers
from config.errors import Finding, Problem
from config.models import did_you_mean
from config.registry import nearest
from config.settings import THIS_MACHINE, Settings
from config.text import At
from endpoints.base import WebOptions


def callers_of(made: Draft, settings: Settings, callers: Callers) -> None:
    """Adds what is wrong with what a web door says of who may call."""
    kind, options = made.source or ("", None)
    if not isinstance(options, WebOptions):
        return
    at: At = ("from", kind) if kind in made.document.data.get("from", {}) else ("from",)
    _certificates(made, options, at, settings)
    if not callers.unreadable:
        _names(made, options, at, callers)
    asks = options.callers or options.scope or options.tls.client != "none"
    if not asks and settings.http.host not in THIS_MACHINE:
        what = "this channel does not say who may call: only this machine may"
        hint = f"`callers: [...]` of callers.yaml, or `callers: {ANYBODY}`"
        made.problems.append(Problem(at, "JL-C096", what, hint, "warning"))


def _names(made: Draft, options: WebOptions, at: At, callers: Callers) -> None:
    listed = isinstance(made.document.data, dict) and options.callers
    for number, name in enumerate(options.callers if listed else ()):
        if name != ANYBODY and name not in callers.names:
            known = sorted({*callers.names, ANYBODY})
            what, hint = f"no caller is called {name!r}", did_you_mean(nearest(name, known), known)
            made.problems.append(Problem((*at, "callers", number), "JL-C091", what, hint))
    if options.scope and not options.lets_in(callers.scopes):
        known = sorted(callers.scopes)
        what = f"no caller has the scope {options.scope!r}: nobody could come in"
        hint = did_you_mean(nearest(options.scope, known), known)
        made.problems.append(Problem((*at, "scope"), "JL-C092", what, hint))


def _certificates(made: Draft, options: WebOptions, at: At, settings: Settings) -> None:
    """A web door sees the certificates that the engine's web server asks for, and no others."""
    if options.tls.client == "none":
        return
    if settings.http.tls is None or settings.http.tls.client == "none":
        what = "the engine's HTTP server asks no caller for a certificate"
        hint = "jingluo.yaml: `http: {tls: {client: optional, ca: ...}}`"
        made.problems.append(Problem((*at, "tls", "client"), "JL-C068", what, hint))


def idle(drafts: list[Draft], callers: Callers) -> list[Finding]:
    """Callers that no channel lets in. Where a channel cannot be read, nobody knows."""
    if callers.document is None or any(made.source is None for made in drafts):
        return []
    doors = [made.source[1] for made in drafts if made.source and isinstance(made.source[1], WebOptions)]
    named = {name for options in doors for name in options.callers}
    scoped = [options for options in doors if options.scope and not options.callers]
    found = []
    for name, caller in callers.known.items():
        if name not in named and not any(options.lets_in(caller.scopes) for options in scoped):
            what = f"no channel lets the caller {name!r} in"
            found.append(Problem(("callers", name), "JL-C097", what, "", "warning", on_key=True))
    return callers.document.findings(found)
