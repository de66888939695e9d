"""A dict whose values are found by other names too: a centre's day has many thousand visits and lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Indexed(dict[K, V], Generic[K, V]):
    """`names` says by what else a value is found; `of(name)` are the values of a name, as they came."""

    def __init__(self, names: Callable[[V], tuple[str, ...]]) -> None:
        super().__init__()
        self._names = names
        self._keys: dict[str, dict[K, None]] = {}

    def of(self, name: str) -> list[V]:
        return [self[key] for key in self._keys.get(name, ())]

    def __setitem__(self, key: K, value: V) -> None:
        names = self._names(value)
        if key in self:
            self._forget(key, names)
        super().__setitem__(key, value)
        for name in names:
            self._keys.setdefault(name, {})[key] = None

    def __delitem__(self, key: K) -> None:
        self._forget(key, ())
        super().__delitem__(key)

    def pop(self, key: K, *default: Any) -> Any:
        if key in self:
            self._forget(key, ())
        return super().pop(key, *default)

    def update(self, other: Any = (), /, **more: Any) -> None:
        for key, value in dict(other, **more).items():
            self[key] = value

    def __ior__(self, other: Mapping[K, V]) -> Indexed[K, V]:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        self._keys.clear()
        super().clear()

    def _forget(self, key: K, kept: tuple[str, ...]) -> None:
        for name in self._names(self[key]):
            if name not in kept:
                self._keys[name].pop(key, None)
