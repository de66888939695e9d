"""The order of keys in each kind of file: that of the models which read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel

from channels.model import ChannelText
from channels.settling.cases import CaseText
from channels.settling.text import SettlementText, StepText
from config.callers import CallersText
from config.models import models_in
from config.settings import SettingsText
from transforms.mapping import FRAGMENT_KEYS, MAP_KEYS
from transforms.tables import KEYS as TABLE_KEYS

Order = Mapping[str, Any]


def order_of(path: Path) -> Order:
    """Of a site's file, by where it lies; none where nobody knows."""
    if path.name == "jingluo.yaml":
        return of_model(SettingsText)
    if path.name == "callers.yaml":
        return of_model(CallersText)
    if path.name == "systems.yaml":
        return {"systems": {"*": {"kind": {}}}}
    if path.parent.name == "types":
        return {key: {} for key in FRAGMENT_KEYS}
    if path.parent.name == "maps":
        return {key: {} for key in MAP_KEYS}
    if path.parent.name == "settlements":
        steps, cases = {"*": of_model(StepText)}, of_model(CaseText)
        return {**of_model(SettlementText), "steps": steps, "tests": cases}
    if path.parent.name == "channels":
        return of_model(ChannelText)
    table = "tables" in (path.parent.name, path.parent.parent.name)
    return {key: {} for key in TABLE_KEYS} if table else {}


def of_model(model: type[BaseModel]) -> Order:
    """Its keys, each with the order of what stands below; `*` is any name."""
    order: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = next(models_in(field.annotation), None)
        below: Order = of_model(inner) if inner else {}
        named = inner is not None and get_origin(field.annotation) in (dict, Mapping)
        order[field.alias or name] = {"*": below} if named else below
    return order


def files_of(site: Path, own: bool) -> list[Path]:
    """The YAML files of a site (`own`: with settings beside its channels), those that there are."""
    home = site if own else site / "config"
    maps, tables = ("maps", "tables") if own else ("transforms/maps", "schemas/tables")
    found = [home / name for name in ("jingluo.yaml", "systems.yaml", "callers.yaml")]
    found += sorted((site / "channels").glob("*.yaml"))
    found += sorted((site / "channels" / "settlements").glob("*.yaml"))
    found += sorted((site / maps).glob("*.yaml")) + sorted((site / maps / "types").glob("*.yaml"))
    found += sorted((site / tables).rglob("*.yaml"))
    return [path for path in found if path.is_file()]
