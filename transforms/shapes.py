"""What a map makes: shapes compiled to closures `(node, env) -> value`.

One rule says what vanishes: **what holds expressions, and gets nothing from any of them, is nothing, with
all its constants.** So `{system: phone, value: $.1}` without a number is not made, and neither is what
would hold only that. A shape without expressions is a constant and always made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.base import BadPath, Path
from transforms.conditions import compile_condition
from transforms.expression import (
    ROOT,
    At,
    Env,
    Scope,
    Value,
    compile_expression,
    filled,
    is_expression,
    literal,
    text_of,
)

MAX_DEPTH = 60
_BODIES = ("make", "use", "first", "join", "raw")
_CONTROLS = ("each", "when", "else", "let", "from")


@dataclass(frozen=True, slots=True)
class Shape:
    """Compiled: `call`, or where `fixed` the constant `value`. `plain` reads just the node at hand."""

    call: Value
    plain: Callable[[Any], Any] | None = None
    fixed: bool = False
    value: Any = None


@dataclass(frozen=True, slots=True)
class Place:
    """A scope, and the fragments that stand around it. `fragment` gives a fragment's shape and scope, or
    None.
    """

    scope: Scope
    fragment: Callable[[str, Place, At], Shape | None]
    inside: tuple[str, ...] = ()
    depth: int = 0

    def deeper(self, **changes: Any) -> Place:
        scope = replace(self.scope, **changes) if changes else self.scope
        return replace(self, scope=scope, depth=self.depth + 1)


def constant(value: Any) -> Shape:
    return Shape(lambda node, env: value, None, True, value)


NOTHING = constant(None)


def compile_shape(spec: Any, place: Place, at: At) -> Shape:
    """Any YAML value to a shape. A mistake becomes a problem of the scope, and the shape is then nothing."""
    if place.depth > MAX_DEPTH:
        place.scope.problem(at, "JL-C108", f"nested deeper than {MAX_DEPTH} levels")
        return NOTHING
    if is_expression(spec):
        expression = compile_expression(spec, place.scope, at)
        return Shape(expression.call, expression.plain) if expression else NOTHING
    if isinstance(spec, Mapping):
        return _controlled(spec, place.deeper(), at)
    if isinstance(spec, list):
        return _list([compile_shape(item, place.deeper(), (*at, i)) for i, item in enumerate(spec)])
    return constant(literal(spec))


# Controls, from the outside in: each, from, let, when; then the body.


def _controlled(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    bodies = [key for key in _BODIES if key in spec]
    controls = [key for key in _CONTROLS if key in spec]
    rest = [key for key in spec if key not in _BODIES and key not in _CONTROLS]
    if "from" in controls and (rest or bodies not in (["make"], ["use"])):
        controls.remove("from")
        rest.append("from")
    if "make" in bodies and len(bodies) + len(rest) > 1:
        other = next(key for key in spec if key != "make" and (key in bodies or key in rest))
        hint = "beside make stand only each, from, let, when and else"
        place.scope.problem((*at, other), "JL-C108", f"{other!r} beside make", hint, on_key=True)
        return NOTHING
    if "else" in controls and "when" not in controls:
        place.scope.problem((*at, "else"), "JL-C108", "else without when", on_key=True)
    if "each" in controls:
        return _each(spec, place, at)
    if "from" in controls:
        return _from(spec, place, at)
    if "let" in controls:
        return _let(spec, place, at)
    if "when" in controls:
        return _when(spec, place, at)
    return _body(spec, place, at)


def without(spec: Mapping[Any, Any], *keys: str) -> dict[Any, Any]:
    return {key: value for key, value in spec.items() if key not in keys}


def _nodes(text: Any, place: Place, at: At) -> tuple[Path, Callable[[Any, Env], list[Any]]] | None:
    """The path of an `each` or a `from`, and what reads its nodes."""
    scope = place.scope
    if not is_expression(text) or " | " in text:
        scope.problem(at, "JL-C108", f"{text!r} is not a path", "write a path without pipes: $PID-3")
        return None
    try:
        path = scope.format.path(text[1:].strip())
    except BadPath as error:
        near = f"did you mean ${error.nearest}?" if error.nearest else ""
        scope.problem(at, "JL-C101", str(error), near)
        return None
    many = path.many
    if path.relative or not scope.nested:
        return path, lambda node, env: many(node)
    return path, lambda node, env: many(env[ROOT])


def _each(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    found = _nodes(spec["each"], place, (*at, "each"))
    slot = place.scope.slot("#")
    body = _controlled(without(spec, "each"), place.deeper(nested=True, position=slot), at)
    if found is None:
        return NOTHING
    nodes, call = found[1], body.call

    def each(node: Any, env: Env) -> list[Any] | None:
        made = []
        for number, item in enumerate(nodes(node, env), 1):
            env[slot] = number
            value = call(item, env)
            if value.__class__ is list:
                made.extend(value)  # one match may make several
            elif value or (value is not None and value == 0):
                made.append(value)
        return made or None

    return Shape(each)


def _from(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    found = _nodes(spec["from"], place, (*at, "from"))
    body = _controlled(without(spec, "from"), place.deeper(nested=True), at)
    if found is None:
        return NOTHING
    nodes, call = found[1], body.call

    def with_node(node: Any, env: Env) -> Any:
        items = nodes(node, env)
        return call(items[0], env) if items else None

    return Shape(with_node)


def _let(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    names = spec["let"]
    if not isinstance(names, Mapping) or not names:
        place.scope.problem((*at, "let"), "JL-C108", "let is a mapping of names to values")
        return NOTHING
    lets = dict(place.scope.lets)
    values: list[tuple[int, Value]] = []
    for name, value in names.items():
        here = (*at, "let", name)
        if not (isinstance(name, str) and name.isidentifier() and name.islower()):
            place.scope.problem(
                here, "JL-C108", f"{name!r}: a name has small letters, digits and _", on_key=True
            )
            continue
        shape = compile_shape(value, place.deeper(lets=dict(lets)), here)
        lets[name] = place.scope.slot(name)
        values.append((lets[name], shape.call))
    body = _controlled(without(spec, "let"), place.deeper(lets=lets), at).call

    def with_lets(node: Any, env: Env) -> Any:
        for slot, value in values:
            env[slot] = value(node, env)
        return body(node, env)

    return Shape(with_lets)


def _when(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    test = compile_condition(spec["when"], place.scope, (*at, "when"))
    body = _controlled(without(spec, "when", "else"), place, at).call
    other = compile_shape(spec.get("else"), place, (*at, "else")).call
    if test is None:
        return NOTHING
    holds = test
    return Shape(lambda node, env: body(node, env) if holds(node, env) else other(node, env))


# Bodies.


def _body(spec: Mapping[Any, Any], place: Place, at: At) -> Shape:
    if "make" in spec:
        return compile_shape(spec["make"], place, (*at, "make"))
    if len(spec) == 1:
        key, value = next(iter(spec.items()))
        if key == "use":
            return _use(value, place, (*at, "use"))
        if key == "first":
            return _first(value, place, (*at, "first"))
        if key == "join":
            return _join(value, place, (*at, "join"))
        if key == "raw":
            return _raw(value, place, (*at, "raw"))
    members = [(_name(key), compile_shape(value, place, (*at, key))) for key, value in spec.items()]
    return _mapping(members)


def _name(key: Any) -> Any:
    """`\\use` makes a member that is really called `use`."""
    return key[1:] if isinstance(key, str) and key.startswith("\\") else key


def _use(name: Any, place: Place, at: At) -> Shape:
    if not isinstance(name, str):
        place.scope.problem(at, "JL-C105", "use needs the name of a fragment")
        return NOTHING
    return place.fragment(name, place, at) or NOTHING


def _first(options: Any, place: Place, at: At) -> Shape:
    """The first of several that is something."""
    if not isinstance(options, list) or not options:
        place.scope.problem(at, "JL-C108", "first needs a list", "first: [$PID-3.1, $PID-2.1]")
        return NOTHING
    calls = [compile_shape(option, place, (*at, i)).call for i, option in enumerate(options)]

    def first(node: Any, env: Env) -> Any:
        for call in calls:
            value = call(node, env)
            if value or (value is not None and value == 0):
                return value
        return None

    return Shape(first)


def _join(spec: Any, place: Place, at: At) -> Shape:
    """Texts put together. Constants alone make nothing."""
    good = isinstance(spec, Mapping) and isinstance(spec.get("of"), list) and not set(spec) - {"of", "with"}
    if not good or not isinstance(spec.get("with", ""), str):
        place.scope.problem(
            at, "JL-C108", "join needs `of:`, a list, and may have `with:`", 'join: {of: [...], with: " "}'
        )
        return NOTHING
    parts = [compile_shape(item, place, (*at, "of", i)) for i, item in enumerate(spec["of"])]
    between = spec.get("with", "")
    calls = [(part.call, part.fixed) for part in parts]

    def join(node: Any, env: Env) -> str | None:
        texts: list[str] = []
        something = False
        for call, fixed in calls:
            value = call(node, env)
            if value is None or value == "":
                continue
            something = something or not fixed
            texts.extend(map(text_of, value)) if isinstance(value, list) else texts.append(text_of(value))
        return between.join(texts) if something else None

    return Shape(join)


def _raw(spec: Any, place: Place, at: At) -> Shape:
    """A part of a JSON tree as it is, empty things included."""
    shape = compile_shape(spec, place, at) if is_expression(spec) else constant(spec)
    return shape


def _list(items: list[Shape]) -> Shape:
    """Items one after another: nothing is left out, a list is spread."""
    if all(item.fixed for item in items):
        return constant([item.value for item in items if filled(item.value)] or None)
    calls = [(item.call, item.fixed) for item in items]

    def listed(node: Any, env: Env) -> list[Any] | None:
        made: list[Any] = []
        something = False
        for call, fixed in calls:
            value = call(node, env)
            if value or (value is not None and value == 0):
                something = something or not fixed
                if value.__class__ is list:
                    made.extend(value)
                else:
                    made.append(value)
        return made if something else None

    return Shape(listed)


def _mapping(members: list[tuple[Any, Shape]]) -> Shape:
    """The closures differ only in speed: constants first, paths only, or any order."""
    if all(shape.fixed for _, shape in members):
        return constant({key: shape.value for key, shape in members if filled(shape.value)} or None)
    members = [(key, shape) for key, shape in members if not (shape.fixed and not filled(shape.value))]
    leading = next(i for i, (_, shape) in enumerate(members) if not shape.fixed)
    rest = members[leading:]
    template = {key: shape.value for key, shape in members[:leading]}
    if all(shape.plain for _, shape in rest):
        return Shape(_paths(template, [(key, shape.plain) for key, shape in rest]))
    if not any(shape.fixed for _, shape in rest):
        return Shape(_members(template, [(key, shape.call) for key, shape in rest]))
    return Shape(_any_order(members))


def _paths(template: dict[Any, Any], members: list[tuple[Any, Any]]) -> Value:
    def paths(node: Any, env: Env) -> dict[Any, Any] | None:
        made = template.copy()
        something = False
        for key, one in members:
            value = one(node)
            if value or (value is not None and value == 0):
                made[key] = value
                something = True
        return made if something else None

    return paths


def _members(template: dict[Any, Any], members: list[tuple[Any, Value]]) -> Value:
    def mapping(node: Any, env: Env) -> dict[Any, Any] | None:
        made = template.copy()
        something = False
        for key, call in members:
            value = call(node, env)
            if value or (value is not None and value == 0):
                made[key] = value
                something = True
        return made if something else None

    return mapping


def _any_order(members: list[tuple[Any, Shape]]) -> Value:
    calls = [(key, shape.call, shape.fixed) for key, shape in members]

    def mapping(node: Any, env: Env) -> dict[Any, Any] | None:
        made = {}
        something = False
        for key, call, fixed in calls:
            value = call(node, env)
            if value or (value is not None and value == 0):
                made[key] = value
                something = something or not fixed
        return made if something else None

    return mapping
