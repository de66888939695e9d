"""`jingluo schema`: every shipped file is valid by it, and what a schema can see of the broken corpus is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from corpus_parts import cases
from typer.testing import CliRunner

from channels.order import files_of
from channels.schema import FILES, schema_of
from config.errors import ConfigError
from config.settings import ROOT
from config.text import parse
from router import cli
from schemas.nhsa.profile import SHIPPED

SEEN = 0.45  # of the broken files: the rest is beyond a schema (a path, a name elsewhere, two keys together)


class AsWritten(dict[str, str]):
    """An environment that answers `${NAME}` with itself: an editor knows no other."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, list) else value


def data_of(text: str) -> Any:
    return as_json(parse(text, env=AsWritten()).data)


def kind_of(file: str) -> str:
    folders = {
        "types": "fragment",
        "maps": "map",
        "settlements": "settlement",
        "channels": "channel",
        "tables": "table",
        "profiles": "profile",
    }
    names = {"systems.yaml": "systems", "callers.yaml": "callers", "jingluo.yaml": "settings"}
    path = Path(file)
    return names.get(path.name) or folders[path.parent.name]


@pytest.fixture(scope="module")
def validators() -> dict[str, Any]:
    return {name: jsonschema_rs.Draft202012Validator(schema_of(name)) for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_it_is_a_schema_of_2020_12(name: str) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "path", [*files_of(ROOT, False), *SHIPPED.glob("*.yaml")], ids=lambda path: path.name
)
def test_every_shipped_file_is_valid(path: Path, validators: dict[str, Any]) -> None:
    errors = validators[kind_of(str(path))].iter_errors(data_of(path.read_text(encoding="utf-8")))
    assert [f"{list(error.instance_path)}: {error.message}"[:200] for error in errors] == []


def read_cases() -> Iterator[tuple[str, str, Any]]:
    """Code, file and data of the corpus' YAML, as far as it is YAML."""
    for case in cases():
        if case.file.endswith(".yaml"):
            try:
                yield case.code, case.file, data_of(case.files[case.file])
            except ConfigError:
                continue


def test_a_share_of_the_broken_corpus_is_not_valid(validators: dict[str, Any]) -> None:
    """Keys, types, ranges and choices are underlined while they are typed."""
    total, seen = Counter[str](), Counter[str]()
    for code, file, data in read_cases():
        total[code] += 1
        seen[code] += not validators[kind_of(file)].is_valid(data)
    print(f"\n{seen.total()} of {total.total()} broken files are not valid by the schema")
    assert seen.total() >= SEEN * total.total()
    for code in ("JL-C010", "JL-C011", "JL-C012", "JL-C013", "JL-C015", "JL-C016", "JL-C017", "JL-C038"):
        assert seen[code] == total[code], code


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("from: {mllp: {port: 2601}}", True),
        ("from: {mllp: {port: ${PORT:2601}}}", True),
        ("from: {mllp: {prt: 2601}}", False),
        ("from: {mllp: {}}", False),
        ("from: {system: his}", True),
        ("from: {mllp: {system: his}}", True),
        ("from: {system: his, port: 2601}", True),
        ("from: {system: his, prt: 2601}", False),
        ("from: {mllp: {port: 2601}, http: {path: /a}}", False),
    ],
)
def test_a_source_is_a_kind_or_a_system(text: str, valid: bool, validators: dict[str, Any]) -> None:
    rest = "\nchannel: a\nformat: hl7v2\n"
    flat = text.replace("${PORT:2601}", '"${PORT:2601}"') + rest
    assert validators["channel"].is_valid(data_of(flat)) is valid


def test_an_option_says_what_it_is_and_its_default_as_it_is_written() -> None:
    kinds = schema_of("channel")["$defs"]["source"]["anyOf"][0]["properties"]
    option = kinds["mllp"]["properties"]["frame_within"]
    assert option["default"] == "1m"
    assert option["description"]


def test_the_command_prints_one_or_writes_all(tmp_path: Path) -> None:
    runner = CliRunner()
    assert json.loads(runner.invoke(cli.app, ["schema", "map"]).stdout)["title"] == "Jingluo: map"
    unknown = runner.invoke(cli.app, ["schema", "chanel"])
    assert unknown.exit_code == 2
    assert "channel" in unknown.output
    written = runner.invoke(cli.app, ["schema", "--write", str(tmp_path)])
    assert "channels/*.yaml" in written.stdout
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("said", ["fhir/r4", "{as: fhir/r4, then: note, except: [JL-V003]}"])
def test_a_name_alone_is_short_for_a_mapping(validators: dict[str, Any], said: str) -> None:
    text = f"channel: a\nfrom: {{system: x}}\nformat: fhir\nvalidate: {said}\n"
    assert validators["channel"].is_valid(data_of(text))


GOOD = {"given": "MSH|...", "expect": {"$.id": "P1", "$.died": None, "holds": {"$.age": {"gt": 1}}}}
BYTES = {"given": {"file": "a.hl7"}, "expect": {"file": "a.json", "except": ["$.entry[].id"]}}
REFUSED = {"given": {"id": "P1"}, "expect": {"error": "JL-M050"}}
SENT = {"envelope": {"received_ms": 1767571200000, "channel": "adt", "headers": {"content-type": "x"}}}


@pytest.mark.parametrize("test", [GOOD, BYTES, REFUSED, GOOD | SENT | {"name": "a test"}])
def test_a_maps_tests_are_right_to_an_editor(validators: dict[str, Any], test: dict[str, Any]) -> None:
    assert validators["map"].is_valid(
        {"map": "m", "from": "hl7v2", "to": "json", "make": "$", "tests": [test]}
    )


@pytest.mark.parametrize(
    "change",
    [
        {"expcet": {}},
        {"given": None, "expect": {}},
        {"expect": {"id": "P1"}},
        {"expect": {"eror": "JL-M050"}},
        {"expect": {"error": "JL-M050", "$.id": "P1"}},
        {"expect": {"holds": "x"}},
        {"expect": {"lis": "sent"}},
        {"while": {"lis": "AE"}},
        {"before": ["MSH|..."]},
        {"envelope": {"received": "now"}},
        {"envelope": {"received_ms": "now"}},
        {"name": 1},
    ],
)
def test_a_mistake_in_a_maps_test_is_underlined(validators: dict[str, Any], change: dict[str, Any]) -> None:
    made = {"map": "m", "from": "hl7v2", "to": "json", "make": "$", "tests": [GOOD | change]}
    assert not validators["map"].is_valid(made)


@pytest.mark.parametrize(
    ("said", "valid"),
    [
        ({"source": "a", "tests": ["F -> female", "X->nothing"]}, True),
        ({"source": ["a", "b"], "doubt": ["c"], "oid": "1.2"}, True),
        ({"tests": "F -> female"}, False),
        ({"tests": ["F"]}, False),
        ({"tests": ["F ->"]}, False),
        ({"tests": ["-> female"]}, False),
        ({"tests": [{"F": "female"}]}, False),
        ({"source": [1]}, False),
        ({"sources": ["a"]}, False),
    ],
)
def test_a_tables_words_and_tests_are_known_to_an_editor(
    validators: dict[str, Any], said: dict[str, Any], valid: bool
) -> None:
    assert validators["table"].is_valid({"table": "t", "rows": {"F": {"fhir": "female"}}, **said}) is valid


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [{"pay": {"doo": "payment.create"}}]},
        {"steps": [{"pay": {"do": "payment"}}]},
        {"steps": [{"pay": {"wait": {"every": "3"}}}]},
        {"accounts": {"fund": {"type": "money"}}},
        {"tests": [{"name": "one"}]},
        {"tests": [{"name": "one", "expect": {"state": "DONE"}}]},
        {"tests": [{"name": "one", "parties": {"his.hold": "gone"}, "expect": {"state": "COMPLETED"}}]},
    ],
)
def test_a_mistake_in_a_settlement_is_underlined(validators: dict[str, Any], change: dict[str, Any]) -> None:
    right = {"settlement": "s", "key": "$.no", "steps": [{"pay": {"do": "payment.create"}}]}
    assert validators["settlement"].is_valid(right)
    assert not validators["settlement"].is_valid({**right, **change})
