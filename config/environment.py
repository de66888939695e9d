"""What the environment says of settings: `JINGLUO_HTTP_PORT` goes before `http: {port}` of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from config.models import models_in
from config.text import At


def laid_over(
    data: dict[str, Any], env: Mapping[str, str], model: type[BaseModel]
) -> tuple[dict[str, Any], dict[At, str]]:
    """The data of a `model` with what JINGLUO_... variables say laid over it, and which of them said what."""
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    outside: dict[At, str] = {}
    for at in _keys(model):
        variable = "_".join(["JINGLUO", *at]).upper()
        if variable not in env:
            continue
        outside[at] = variable
        spot: Any = merged
        for key in at[:-1]:
            if not isinstance(spot.get(key), dict | None):
                break
            spot[key] = dict(spot.get(key) or {})
            spot = spot[key]
        if isinstance(spot, dict):
            spot[at[-1]] = env[variable]
    return merged, outside


def _keys(model: type[BaseModel]) -> list[tuple[str, ...]]:
    """The way to every single setting: ("broker",), ("http", "host"), ..."""
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        part = next(models_in(field.annotation), None)
        if part is not None:
            found += [(name, *rest) for rest in _keys(part)]
        else:
            found.append((name,))
    return found
