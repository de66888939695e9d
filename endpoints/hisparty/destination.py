"""The destination: each message is one thing asked of a HIS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import structlog
from pydantic import Field

from config.errors import BadMessage, ConfigError, JingluoError, Problem, Refused
from config.models import did_you_mean
from config.registry import nearest
from config.secrets import Secret
from config.units import Seconds, Size
from endpoints.asked import object_of
from endpoints.base import Ground, Options
from endpoints.hisparty.party import HisParty
from endpoints.hisparty.profile import SHIPPED, Profile, file_of, load, shipped
from endpoints.hisparty.wire import Wire
from endpoints.rest.sending import Answer, Sending, SendOptions
from schemas.json import Json
from schemas.message import Message, Receipt

log = structlog.get_logger()

_JSON = Json()


class HisOptions(SendOptions):
    """`his: {kind: his, profile: one-string, url: ..., settings: {...}}`."""

    operation_field: ClassVar[str] = "operation"

    profile: str = Field(
        pattern=r"^[A-Za-z0-9_-]+$",
        description="a file of the site's `profiles/his/`, or one that is shipped",
    )
    url: str = Field(pattern=r"^https?://[^/\s]", description="the HIS' address")
    settings: Mapping[str, str] = Field({}, description="what the profile asks for: the hospital's code ...")
    sign_key: Secret = Field(Secret(""), description="for the signature: a text, or an RSA key in PEM")
    operation: str = Field("", description="what is asked; without it each message says `param.code`")
    timeout: Seconds = Field(20.0, description="of one exchange; a write may need three")
    max_input: Size = Field(5_000_000, description="of a message's body")

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        path = file_of(self.profile, site)
        if path is None:
            own = sorted(one.stem for one in (site / "profiles" / "his").glob("*.yaml"))
            known = sorted({*own, *shipped()})
            hint = did_you_mean(nearest(self.profile, known), known)
            problems.append(Problem(("profile",), "JL-C014", f"there is no profile {self.profile!r}", hint))
            return ()
        try:
            problems += self._problems(load(path, _shown(path, site)))
        except ConfigError as error:
            problems += [
                Problem(("profile",), one.code, one.message, one.hint, one.severity, elsewhere=one)
                for one in error.findings
            ]
        return () if path.parent == SHIPPED else (path,)

    def _problems(self, profile: Profile) -> list[Problem]:
        found = []
        for name, what in profile.settings.items():
            if name not in self.settings:
                found.append(Problem(("settings",), "JL-C011", f"{name} is missing: {what}"))
        for name in self.settings:
            if name not in profile.settings:
                known = sorted(profile.settings)
                hint = did_you_mean(nearest(name, known), known)
                found.append(
                    Problem(("settings", name), "JL-C010", f"unknown key {name!r}", hint, on_key=True)
                )
        if profile.sign is not None and not self.sign_key:
            found.append(Problem(("sign_key",), "JL-C011", "the profile signs: `sign_key: secret://name`"))
        if self.operation and self.operation not in profile.operations:
            known = sorted(profile.operations)
            hint = did_you_mean(nearest(self.operation, known), known)
            what = f"the profile {profile.his} has no operation {self.operation!r}"
            found.append(Problem(("operation",), "JL-C014", what, hint))
        return found


def told(tree: Mapping[str, Any], code: str) -> Receipt:
    """What was asked is done by now: an answer that cannot be handed on is no refusal."""
    try:
        return Receipt(tree["outcome"], _JSON.encode(tree), "json")
    except BadMessage as error:
        tree = {"outcome": "UNKNOWN", "code": code, "err_msg": error.text}
        return Receipt("UNKNOWN", _JSON.encode(tree), "json")


def _shown(path: Path, site: Path) -> str:
    return str(path.relative_to(site)) if path.is_relative_to(site) else path.name


class HisDestination:
    """Asks, and answers JSON with `outcome`."""

    Options: ClassVar[type[Options]] = HisOptions
    answers_in = "json"
    codes = frozenset(("OK", "REJECTED", "PROCESSING", "UNKNOWN", "ABSENT", "UNSENT"))

    def __init__(self, options: HisOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._way = Sending(options, ground)
        self._party: HisParty | None = None

    async def start(self) -> None:
        await self._way.prepare()
        try:
            self._party = await asyncio.to_thread(self._opened)
        except JingluoError as error:  # it went away since the check: the first message says so
            log.error("his.no_profile", destination=self.ground.name, code=error.code, reason=error.text)

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        name, body = self._asked(message)
        if self._party is None:
            self._party = await asyncio.to_thread(self._opened)
        tree = await self._party.ask(name, body, message.headers, message.id)
        return told(tree, "JL-H006")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """`answer` is what the party makes of it: a tree with `outcome`."""
        self._asked(message)
        outcome = code or "OK"
        return Receipt(outcome, answer or _JSON.encode({"outcome": outcome}), "json")

    def _asked(self, message: Message) -> tuple[str, dict[str, object]]:
        name = self.options.operation or message.headers.get("param.code", "")
        return name, object_of(message, self.options.max_input, "JL-H003", "what is asked of a HIS")

    def _opened(self) -> HisParty:
        options = self.options
        path = file_of(options.profile, Path(self.ground.base_dir))
        if path is None:
            raise Refused("JL-H001", f"there is no profile {options.profile!r}")
        try:
            profile = load(path)
        except ConfigError as error:
            raise Refused(
                "JL-H001", f"the profile {options.profile!r} cannot be read: {error.text}"
            ) from None
        wire = Wire(profile, options.url, options.settings, options.sign_key, self.ground.now)
        return HisParty(profile, wire, self._post)

    async def _post(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return await self._way.ask(method, url, headers, body)
