"""A transaction's JSON Schema and its checker are of one mind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.nhsa.catalogue import names, transaction
from schemas.nhsa.check import checker
from schemas.nhsa.json_schema import json_schema
from schemas.nhsa.model import Field
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import profile
from schemas.nhsa.sample import sample

PROFILES = ("national", "guangdong", "jiangsu")
# Without times on days that no month has, misspelled names and floats: what a schema cannot say, or a reader not give.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        ["", "0", "1", "01", "310", "-1", "86.50", "86.505", "1e3", ".5", "5.", "00012.500", " 1", "\n"]
    ),
    st.sampled_from(["2024-01-15", "2024-13-01", "2024-01-15 10:30:00", "2024-01-15 24:30:00", "2024-1-5"]),
    st.sampled_from([{}, [], {"x": 1}, [1], ["x"], [{}], [-129], [256], [None]]).map(copy.deepcopy),
    st.integers(),
    st.integers(-(10**20), 10**20),
    st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**17), max_value=10**17
    ).filter(lambda value: value != value.to_integral_value()),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60),
    st.integers(0, 600).map(lambda n: "x" * n),
)


@cache
def validator(name: str, of: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json_schema(transaction(name), profile(of)))


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every member and item: what it is in, and its key."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from places(tree[key])


def agree(name: str, of: str, tree: Any) -> None:
    faults = checker(transaction(name), profile(of)).request(tree)
    assert (not faults) == validator(name, of).is_valid(tree), (name, faults)


@given(st.sampled_from(names()), st.sampled_from(PROFILES), st.booleans(), st.data())
@settings(max_examples=400, deadline=None)
def test_they_agree_on_trees_with_anything_in_any_place(
    name: str, of: str, whole: bool, data: st.DataObject
) -> None:
    tree = copy.deepcopy(sample(transaction(name), whole=whole))
    for _ in range(data.draw(st.integers(0, 3))):
        every = list(places(tree))
        if not every:
            break
        inside, key = data.draw(st.sampled_from(every))
        if isinstance(inside, dict) and data.draw(st.booleans()):
            del inside[key]
        else:
            inside[key] = data.draw(VALUES)
    agree(name, of, tree)


def edges(field: Field) -> Iterator[Any]:
    """Just right and just wrong."""
    if field.type == "text" and field.length:
        yield from ("x" * field.length, "x" * (field.length + 1), 10**field.length - 1, 10**field.length)
        yield from (-(10 ** (field.length - 1)) + 1, -(10 ** (field.length - 1)))
    if field.type == "number" and field.length:
        limit, finest = 10 ** (field.length - field.decimals), Decimal(1).scaleb(-field.decimals)
        yield from (limit, -limit, limit - 1, 1 - limit, limit - finest, finest - limit, finest, finest / 2)
        yield from (
            f"{limit - finest:f}",
            str(limit),
            f"{finest:f}",
            f"{finest / 2:f}",
            f"-{limit - 1:f}.0000000",
        )


@pytest.mark.parametrize("name", names())
def test_they_agree_at_the_edges_of_every_field(name: str) -> None:
    for node in transaction(name).input:
        if "." in node.name:
            continue
        for field in node.fields:
            for value in edges(field):
                tree = sample(transaction(name), whole=True)
                place = tree[node.name] if node.name else tree
                (place[0] if isinstance(place, list) else place)[field.name] = value
                agree(name, "national", tree)


@pytest.mark.parametrize("name", names())
def test_every_schema_is_one_and_takes_the_sample_both_ways(name: str) -> None:
    for of in PROFILES:
        for side in ("in", "out"):
            schema = json_schema(transaction(name), profile(of), side)
            jsonschema_rs.meta.validate(schema)
            for whole in (False, True):
                jsonschema_rs.validate(schema, sample(transaction(name), profile(of), side=side, whole=whole))


def test_a_schema_says_the_chinese_names_and_what_the_codes_mean() -> None:
    fields = json_schema(transaction("2207"))["properties"]["data"]["properties"]
    assert fields["medfee_sumamt"]["title"] == "医疗费总额"
    assert "0 不使用, 1 使用" in fields["acct_used_flag"]["description"]
    assert "enum" not in fields["med_type"], "a local list is told and not enforced"


@example("exp_content")
@example("expContent")
@given(st.sampled_from(["local_no", "zzz", "备注"]))
def test_they_agree_where_a_province_refuses_strange_fields(tmp_path_factory: Any, name: str) -> None:
    of = strict(tmp_path_factory.getbasetemp())
    tree = sample(transaction("2207"))
    tree["data"][name] = "x"
    valid = jsonschema_rs.is_valid(json_schema(transaction("2207"), of), tree)
    assert valid == (checker(transaction("2207"), of).request(tree) == []) == name.startswith("exp")


@cache
def strict(folder: Path) -> Profile:
    (folder / "strict.yaml").write_text("profile: strict\nunknown_fields: refuse\n", encoding="utf-8")
    return profile("strict", folder)
