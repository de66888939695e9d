"""YAML to data that remembers its place."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from config import text
from config.errors import ConfigError, Problem


def failure(source: str) -> tuple[str, int, int]:
    with pytest.raises(ConfigError) as caught:
        text.parse(source, "x.yaml", {})
    (finding,) = caught.value.findings
    return finding.code, finding.line, finding.column


def test_scalars_are_read_by_the_yaml_1_2_core_schema() -> None:
    document = text.parse("[NO, 12:30, 0x10, 1e3, -5, ~, true, '5', 007, 1_000, .5]", env={})
    assert document.data == ["NO", "12:30", "0x10", 1000.0, -5, None, True, "5", "007", "1_000", 0.5]
    assert [p.at for p in document.problems] == [(0,), (1,), (8,)]


def test_every_value_and_key_knows_its_line_and_column() -> None:
    document = text.parse("to:\n  lis:\n    send: {mllp: {port: 1}}\n  患者: [a, b]\n", env={})
    assert document.place(("to", "lis", "send", "mllp", "port")) == (3, 25)
    assert document.place(("to", "lis", "send", "mllp", "port"), on_key=True) == (3, 19)
    assert document.place(("to", "患者", 1)) == (4, 11)


def test_what_is_missing_is_placed_at_its_nearest_parent() -> None:
    document = text.parse("a:\n  b: 1\n", "f.yaml", {})
    finding = document.finding(Problem(("a", "c", "d"), "JL-C011", "missing"))
    assert str(finding) == "f.yaml:2:3: JL-C011: missing"


def test_a_key_that_stands_twice_is_a_finding_at_the_second_and_the_first_counts() -> None:
    document = text.parse("a: 1\nb: 2\na: 3\n", env={})
    (finding,) = document.findings(document.problems)
    assert (finding.line, finding.code, finding.hint) == (3, "JL-C004", "first on line 1")
    assert document.data == {"a": 1, "b": 2}


def test_environment_values_are_typed_after_they_are_put_in() -> None:
    document = text.parse('- ${PORT}\n- "${PORT}"\n- ${HOST:local}\n- a${NO:}b\n', env={"PORT": "2575"})
    assert document.data == [2575, "2575", "local", "ab"]


def test_an_environment_value_that_is_not_set_is_an_error_where_it_is_named() -> None:
    document = text.parse("a: 1\nb: ${NOWHERE}\n", env={})
    (finding,) = document.findings(document.problems)
    assert (finding.line, finding.column, finding.code) == (2, 4, "JL-C007")


def test_a_tab_is_not_yaml_and_the_hint_says_so() -> None:
    with pytest.raises(ConfigError) as caught:
        text.parse("a:\n\tb: 1\n", "x.yaml", {})
    assert caught.value.findings[0].code == "JL-C003"
    assert "tabs" in caught.value.findings[0].hint


@pytest.mark.parametrize(
    "source",
    ["[" * 200_000, "[" * 150 + "]" * 150, "- " * 200_000, "{a: " * 200_000, "? " * 200_000],
    ids=["open brackets", "closed brackets", "dashes", "mappings", "keys"],
)
def test_what_nests_too_deep_is_refused_and_does_not_take_the_process_down(source: str) -> None:
    assert failure(source)[0] == "JL-C008"


def test_a_hundred_levels_are_read() -> None:
    assert text.parse("[" * 99 + "]" * 99, env={}).problems == ()


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert failure("\n".join(lines))[0] == "JL-C008"


def test_an_alias_to_itself_is_refused() -> None:
    assert failure("a: &a [*a]") == ("JL-C003", 1, 8)


def test_an_ordinary_alias_is_its_anchor() -> None:
    assert text.parse("a: &r {max: 5m}\nb: *r\n", env={}).data == {"a": {"max": "5m"}, "b": {"max": "5m"}}


@pytest.mark.parametrize("source", ["a: [1", "a: b: c", "\x00", "!!python/object:os.system {}", "9" * 5000])
def test_no_text_raises_anything_but_a_config_error(source: str) -> None:
    with contextlib.suppress(ConfigError):
        text.parse(source, env={})


def test_a_file_that_is_not_there_too_large_or_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content, code in [
        (None, "JL-C001"),
        (b"#" * (text.MAX_FILE + 1), "JL-C001"),
        ("a: 1\nb: 患者".encode("gbk"), "JL-C002"),
    ]:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            text.read(path, "a.yaml", {})
        assert caught.value.findings[0].code == code
    assert caught.value.findings[0].line == 2
