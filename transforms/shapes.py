"""What a map makes: the YAML of its shapes, checked and understood, as a plan.

One rule says what vanishes: **what holds expressions, and gets nothing from any of them, is nothing, with
all its constants.** So `{system: phone, value: $.1}` without a number is not made, and neither is what
would hold only that. A shape without expressions is a constant and always made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.base import BadPath, Path
from transforms.conditions import compile_entries
from transforms.expression import At, Expression, Scope, compile_expression, filled, is_expression, literal
from transforms.never import contradictions
from transforms.plans import (
    NOTHING,
    Each,
    First,
    Fixed,
    Items,
    Join,
    Keep,
    Kept,
    Lets,
    Members,
    Plan,
    Read,
    Seen,
    When,
    With,
    may_give,
)

MAX_DEPTH = 60
MAX_LOOPS = 12
_BODIES = ("make", "use", "first", "join", "raw", "kept")
_CONTROLS = ("each", "when", "else", "let", "from", "keep")


@dataclass(frozen=True, slots=True)
class Place:
    """A scope, what finds a fragment's plan from there, and the fragments and loops that stand around it."""

    scope: Scope
    fragment: Callable[[str, Place, At], Plan | None]
    inside: tuple[str, ...] = ()
    depth: int = 0
    loops: int = 0

    def deeper(self, **changes: Any) -> Place:
        scope = replace(self.scope, **changes) if changes else self.scope
        return Place(scope, self.fragment, self.inside, self.depth + 1, self.loops)


def compile_shape(spec: Any, place: Place, at: At) -> Plan:
    """Any YAML value to a plan. A mistake becomes a problem of the scope, and the plan is then nothing."""
    if place.depth > MAX_DEPTH:
        place.scope.problem(at, "JL-C108", f"nested deeper than {MAX_DEPTH} levels")
        return NOTHING
    plan = _plan(spec, place, at)
    return plan if isinstance(plan, Fixed) else _seen(plan, place, at)


def _seen(plan: Plan, place: Place, at: At) -> Plan:
    """What tells that it was something, where somebody wants to know. A file as a whole has no line of its own."""
    tell = place.scope.seen
    return Seen(plan, tell(at)) if tell is not None and at and may_give(plan) else plan


def _plan(spec: Any, place: Place, at: At) -> Plan:
    if is_expression(spec):
        expression = compile_expression(spec, place.scope, at)
        return Read(expression) if expression else NOTHING
    if isinstance(spec, Mapping):
        return _controlled(spec, place.deeper(), at)
    if isinstance(spec, list):
        return _items([compile_shape(item, place.deeper(), (*at, i)) for i, item in enumerate(spec)])
    return Fixed(literal(spec))


# Controls, from the outside in: each, from, let, when, keep; then the body.


def _controlled(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    bodies = [key for key in _BODIES if key in spec]
    controls = [key for key in _CONTROLS if key in spec]
    rest = [key for key in spec if key not in _BODIES and key not in _CONTROLS]
    if "from" in controls and (rest or bodies not in (["make"], ["use"])):
        controls.remove("from")
        rest.append("from")
    if "make" in bodies and len(bodies) + len(rest) > 1:
        other = next(key for key in spec if key != "make" and (key in bodies or key in rest))
        hint = "beside make stand only each, from, let, when, else and keep"
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
    if "keep" in controls:
        return _keep(spec, place, at)
    return _body(spec, place, at)


def without(spec: Mapping[Any, Any], *keys: str) -> dict[Any, Any]:
    return {key: value for key, value in spec.items() if key not in keys}


def _nodes(text: Any, place: Place, at: At) -> Path | Expression | None:
    """The path of an `each` or a `from`, or a name that `let` gave; where items are plain values, any expression."""
    scope = place.scope
    plain = getattr(scope.format, "plain_items", False)
    named = text[1:].strip() in scope.lets if is_expression(text) else False
    values = plain and is_expression(text) and (" | " in text or text[1:2] not in ("", ".", "["))
    if named or values:
        return compile_expression(text, scope, at)
    if not is_expression(text) or " | " in text:
        hint = "write an expression: $.items" if plain else "write a path without pipes: $PID-3"
        scope.problem(at, "JL-C108", f"{text!r} is not a path", hint)
        return None
    try:
        return scope.path(text[1:].strip())
    except BadPath as error:
        near = f"did you mean ${error.nearest}?" if error.nearest else ""
        scope.problem(at, "JL-C101", str(error), near)
        return None


def _each(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    path = _nodes(spec["each"], place, (*at, "each"))
    slot = place.scope.slot(f"#{place.loops}")
    if place.loops >= MAX_LOOPS:
        place.scope.problem(at, "JL-C108", f"more than {MAX_LOOPS} `each` inside one another")
        return NOTHING
    inner = replace(place.deeper(nested=True, position=slot), loops=place.loops + 1)
    body = _controlled(without(spec, "each"), inner, at)
    if path is None:
        return NOTHING
    number = slot if slot in place.scope.numbered else 0
    if isinstance(path, Expression):
        return Each(path, None, False, number, body)
    return Each(path.many, path.cell, place.scope.nested and not path.relative, number, body)


def _from(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    path = _nodes(spec["from"], place, (*at, "from"))
    body = _controlled(without(spec, "from"), place.deeper(nested=True), at)
    if path is None:
        return NOTHING
    if isinstance(path, Expression):
        return With(path, None, False, body)
    return With(path.many, path.cell, place.scope.nested and not path.relative, body)


def _let(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    names = spec["let"]
    if not isinstance(names, Mapping) or not names:
        place.scope.problem((*at, "let"), "JL-C108", "let is a mapping of names to values")
        return NOTHING
    lets, literals = dict(place.scope.lets), dict(place.scope.literals)
    values: list[tuple[int, Plan]] = []
    for name, value in names.items():
        here = (*at, "let", name)
        if not (isinstance(name, str) and name.isidentifier() and name.islower()):
            text = f"{name!r}: a name has small letters, digits and _"
            place.scope.problem(here, "JL-C108", text, on_key=True)
            continue
        plan = compile_shape(value, place.deeper(lets=dict(lets), literals=dict(literals)), here)
        lets[name] = place.scope.slot(name)
        values.append((lets[name], plan))
        literals.pop(lets[name], None)
        if isinstance(plan, Fixed):
            literals[lets[name]] = plan.value
    inner = place.deeper(lets=lets, literals=literals)
    return Lets(tuple(values), _controlled(without(spec, "let"), inner, at))


def _when(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    entries = compile_entries(spec["when"], place.scope, (*at, "when"))
    place.scope.problems.extend(contradictions(spec["when"], (*at, "when")) if entries else ())
    body = _controlled(without(spec, "when", "else"), place, at)
    other = _seen(compile_shape(spec.get("else"), place, (*at, "else")), place, (*at, "else"))
    if isinstance(body, Fixed):
        body = _seen(body, place, (*at, "make"))
    if not entries:
        return NOTHING
    literals = place.scope.literals
    if all(entry.expression and entry.expression.slot in literals for entry in entries):
        env = [literals.get(slot) for slot in range(len(place.scope.slots))]
        return body if all(entry.test(None, env) for entry in entries) else other
    return When(entries, body, other)


def _keep(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
    """What stands elsewhere: where the map says `kept`."""
    plan = _controlled(without(spec, "keep"), place, at)
    several = spec["keep"] if isinstance(spec["keep"], list) else [spec["keep"]]
    for number, kept in reversed(list(enumerate(several))):
        here = (*at, "keep", number) if isinstance(spec["keep"], list) else (*at, "keep")
        if not isinstance(kept, Mapping) or set(kept) != {"as", "make"}:
            place.scope.problem(here, "JL-C108", "keep needs as and make", "keep: {as: $url, make: {...}}")
            return NOTHING
        key = compile_shape(kept["as"], place, (*here, "as"))
        plan = Keep(key, compile_shape(kept["make"], place, (*here, "make")), plan)
    return plan


# Bodies.


def _body(spec: Mapping[Any, Any], place: Place, at: At) -> Plan:
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
            return Fixed(value)
        if key == "kept" and value is True:
            return Kept()
    members = [(_name(key), compile_shape(value, place, (*at, key))) for key, value in spec.items()]
    return _members(members)


def _name(key: Any) -> Any:
    """`\\use` makes a member that is really called `use`."""
    return key[1:] if isinstance(key, str) and key.startswith("\\") else key


def _use(name: Any, place: Place, at: At) -> Plan:
    if not isinstance(name, str):
        place.scope.problem(at, "JL-C105", "use needs the name of a fragment")
        return NOTHING
    return place.fragment(name, place, at) or NOTHING


def _first(options: Any, place: Place, at: At) -> Plan:
    """The first of several that is something."""
    if not isinstance(options, list) or not options:
        place.scope.problem(at, "JL-C108", "first needs a list", "first: [$PID-3.1, $PID-2.1]")
        return NOTHING
    return First(tuple(compile_shape(option, place, (*at, i)) for i, option in enumerate(options)))


def _join(spec: Any, place: Place, at: At) -> Plan:
    """Texts put together. Constants alone make nothing."""
    good = isinstance(spec, Mapping) and isinstance(spec.get("of"), list) and not set(spec) - {"of", "with"}
    if not good or not isinstance(spec.get("with", ""), str):
        place.scope.problem(
            at, "JL-C108", "join needs `of:`, a list, and may have `with:`", 'join: {of: [...], with: " "}'
        )
        return NOTHING
    parts = (compile_shape(item, place, (*at, "of", i)) for i, item in enumerate(spec["of"]))
    return Join(tuple(parts), spec.get("with", ""))


def _items(items: list[Plan]) -> Plan:
    """Items one after another. Literals alone are one literal."""
    fixed = [item.value for item in items if isinstance(item, Fixed) and filled(item.value)]
    if all(isinstance(item, Fixed) for item in items):
        return Fixed(
            [part for value in fixed for part in (value if isinstance(value, list) else [value])] or None
        )
    return Items(tuple(item for item in items if not _is_nothing(item)))


def _members(members: list[tuple[Any, Plan]]) -> Plan:
    members = [(key, plan) for key, plan in members if not _is_nothing(plan)]
    if all(isinstance(plan, Fixed) for _, plan in members):
        return Fixed({key: plan.value for key, plan in members if isinstance(plan, Fixed)} or None)
    return Members(tuple(members))


def _is_nothing(plan: Plan) -> bool:
    return isinstance(plan, Fixed) and not filled(plan.value)
