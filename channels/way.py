"""The way of a channel as facts: where messages come from, which of them go where, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from channels.collecting import Collect
from channels.model import Branch, Channel, ChannelText, Retry
from config.alert_settings import ALERTS, AlertSettings
from schemas.validation.base import Validation

# Sources within the engine: nobody waits there for a reply.
DOORLESS = ("channel", ALERTS)


@dataclass(frozen=True, slots=True)
class Stop:
    """A destination on the way."""

    name: str
    kind: str
    address: str
    format: str  # what it is sent
    retry: Retry
    when: Any = None  # the condition as the YAML has it
    map: str = ""
    reply_map: str = ""
    validation: Validation | None = None
    split: str = ""  # the path of the items that it is divided into
    collect: Collect | None = None
    index: tuple[str, ...] = ()  # what the message is found by in the answer


@dataclass(frozen=True, slots=True)
class Way:
    """A channel from end to end. Conditions and expressions are as the YAML has them."""

    name: str
    title: str
    kind: str
    address: str
    format: str
    stops: tuple[Stop, ...]
    feeders: tuple[str, ...] = ()  # the channels that send here
    batch: bool = False  # it takes batches
    whole: bool = False  # what comes goes on as it is, batches too
    when: Any = None
    validation: Validation | None = None
    order: str = ""
    lanes: int = 0
    duplicates: str = ""
    within_s: float = 0.0
    index: tuple[str, ...] = ()
    reply: str = "accepted"
    timeout_s: float = 0.0
    alert: AlertSettings = field(default_factory=AlertSettings)

    @property
    def answers(self) -> bool:
        """Whether somebody waits for a reply, and gets one."""
        return self.reply != "none" and self.kind not in DOORLESS


def way_of(channel: Channel, text: ChannelText, others: Iterable[Channel] = ()) -> Way:
    """`text` is what `channel` was compiled from; `others` are those that may send to it."""
    return Way(
        name=channel.name,
        title=channel.title,
        kind=channel.kind,
        address=address(channel.options),
        format=channel.format.name,
        stops=tuple(_stop(branch, text) for branch in channel.ways),
        feeders=tuple(o.name for o in others if any(b.target == channel.name for b in o.ways)),
        batch=channel.batch is not None,
        whole=channel.whole,
        when=text.when,
        validation=channel.validation,
        order=text.order.by if text.order else "",
        lanes=channel.lanes,
        duplicates=text.duplicates.by if text.duplicates else "",
        within_s=channel.duplicates_within_s,
        index=tuple(channel.index),
        reply=channel.reply,
        timeout_s=channel.timeout_s,
        alert=channel.alert,
    )


def _stop(branch: Branch, text: ChannelText) -> Stop:
    said = text.to[branch.name]
    return Stop(
        name=branch.name,
        kind=branch.kind,
        address=address(branch.options),
        format=branch.format,
        when=said.when,
        map=said.map or "",
        retry=branch.retry,
        reply_map=said.reply_map or "",
        validation=branch.validation,
        split=branch.split.text if branch.split else "",
        collect=branch.collect,
        index=tuple(said.index),
    )


_SAY_WHERE = ("url", "method", "path", "host", "port", "bucket", "folder", "channel", "wsdl", "operation")


def address(options: Any) -> str:
    """Where an endpoint is, by the options that say so: never one that could be a secret.

    >>> from types import SimpleNamespace as Options
    >>> address(Options(url="https://user:x@emr.example/fhir?key=1", method="POST"))
    'POST https://emr.example/fhir'
    >>> address(Options(host="0.0.0.0", port=2575))
    '0.0.0.0:2575'
    >>> address(Options(wsdl="wsdl/lis.wsdl", operation="Send"))
    'Send (wsdl/lis.wsdl)'
    """
    said: Mapping[str, Any] = {name: getattr(options, name, "") for name in _SAY_WHERE}
    if said["bucket"]:
        return f"{said['url']}/{said['bucket']}/{said['folder']}".rstrip("/")
    if said["url"]:
        url = urlsplit(str(said["url"]))
        return f"{said['method']} {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}".strip()
    if base := getattr(options, "base", ""):  # of FHIR
        return f"{base} {', '.join(options.accepts)}"
    if said["path"]:
        return f"{said['method']} {said['path']}".strip()
    if said["folder"]:
        name = " ".join(getattr(options, "pattern", ())) or getattr(options, "name", "")
        where = f"{said['host']}:{said['port']}/" if said["host"] else ""
        return f"{where}{said['folder']}/{name}".rstrip("/")
    if said["port"]:
        return f"{said['host']}:{said['port']}"
    if cron := getattr(options, "cron", ""):
        return f"{cron} {options.zone}".strip()
    return f"{said['operation']} ({said['wsdl']})" if said["wsdl"] else str(said["channel"])
