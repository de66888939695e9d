"""A centre of systems.yaml for a command: the party itself, with the engine's records, also beside a running engine.

Both take msgids from the same records, so none is given twice.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from router.clock import now_ms

if TYPE_CHECKING:
    from config.settings import Settings
    from endpoints.insurance.options import PartyOptions
    from endpoints.insurance.party import Party

KIND = "nhsa"
_Found = TypeVar("_Found")


def with_party(name: str, do: Callable[[Party], Awaitable[_Found]]) -> _Found:
    """What `do` gives. Ends the command with 2 where systems.yaml has no such centre."""
    import uvloop

    from config.logs import setup
    from router.cli import settings

    chosen = settings()
    setup("warning", chosen.log.format)  # to standard error: what is printed may be JSON
    options = options_of(chosen, name)

    async def run() -> _Found:
        async with _party(chosen, options) as party:
            return await do(party)

    found: _Found = uvloop.run(run())
    return found


def options_of(settings: Settings, name: str = "") -> PartyOptions:
    """Of the system of that name, or of the only one of kind nhsa."""
    from channels.loader import site_systems
    from channels.systems import endpoint
    from config.errors import Finding
    from config.registry import destinations

    findings: list[Finding] = []
    systems = site_systems(settings, os.environ, findings)
    known = [one for one, entry in systems.entries.items() if entry.get("kind") == KIND]
    if not name and len(known) == 1:
        name = known[0]
    if name not in known:
        said = ", ".join(known) or "none"
        _end(
            [*findings, *systems.findings()],
            f"systems.yaml: which centre? --system; of kind nhsa there are: {said}",
        )
    problems: list[Any] = []
    found = endpoint({"system": name}, destinations, ("systems", name), systems, problems)
    if found is None or findings:
        _end(
            [*findings, *systems.document.findings([*systems.problems, *problems])], f"{name} cannot be used"
        )
    options: PartyOptions = found[1]
    return options


def _end(findings: list[Any], text: str) -> NoReturn:
    for finding in findings:
        if finding.severity == "error":
            typer.echo(str(finding), err=True)
    typer.echo(text, err=True)
    raise typer.Exit(2)


@asynccontextmanager
async def _party(settings: Settings, options: PartyOptions) -> AsyncIterator[Party]:
    from endpoints.base import Ground
    from endpoints.insurance.party import Party
    from router.store.insurance_catalogue import open_catalogues
    from router.store.insurance_records import open_insurance

    records = open_insurance(settings, now_ms)
    tables = open_catalogues(settings, now_ms)
    ground = Ground(
        "command",
        "json",
        base_dir=str(settings.site),
        now=lambda: now_ms() / 1000,
        insurance=records,
        insurance_tables=tables,
    )
    party = Party(options, ground)
    await party.start()
    try:
        yield party
    finally:
        await party.stop()
        records.close()
        tables.close()
