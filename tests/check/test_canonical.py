"""`jingluo fmt`: the same data in canonical form, with every comment, and the same again when asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from corpus_parts import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from channels.order import files_of, order_of
from config.canonical import WIDE, Unformattable, canonical
from config.errors import ConfigError
from config.settings import ROOT
from config.text import parse
from router import cli

CHANNEL = Path("channels/a.yaml")


def form(text: str, path: Path = CHANNEL) -> str:
    return canonical(text, order_of(path))


def test_the_shipped_files_are_canonical() -> None:
    """All but the large maps, of which the lint asks it."""
    texts = {path: path.read_text("utf-8") for path in files_of(ROOT, False)}
    small = {path: text for path, text in texts.items() if len(text) < 3_000}
    assert len(small) > 30
    assert [path.name for path, text in small.items() if form(text, path) != text] == [], "run `jingluo fmt`"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("to: {}\nchannel: a\n", "channel: a\nto: {}\n"),
        ("# all\nto: {}\n# its name\nchannel: a   # short\n", "# all\n# its name\nchannel: a   # short\nto: {}\n"),
        ("to:\n  lis:\n    send: {system: lis}\n    # women\n    when: {$PID-8: F}\n",
         "to:\n  lis:\n    # women\n    when: {$PID-8: F}\n    send: {system: lis}\n"),
        ("order: {lanes: 4, by: $PID-3.1}\n", "order: {by: $PID-3.1, lanes: 4}\n"),
        ("order:\n    lanes: 4\n    by: $PID-3.1\n", "order: {by: $PID-3.1, lanes: 4}\n"),
        ("from:\n  mllp:\n    port: ${PORT:2601}\n", "from:\n  mllp:\n    port: ${PORT:2601}\n"),
        ("when:\n  $PID-8: F   # women\n", "when:\n  $PID-8: F   # women\n"),
        ("title: 'a b'\n", 'title: "a b"\n'),
        ("title: 'a \"b\"'\n", "title: 'a \"b\"'\n"),
        ("title: 0123\ntimeout: 010s\n", "title: 0123\ntimeout: 010s\n"),
        ("when: {$A-1: NO, $A-2: 2.50, $A-3: ~, $A-4: 1:3}\n", "when: {$A-1: NO, $A-2: 2.50, $A-3: ~, $A-4: 1:3}\n"),
        ("when:\n  $A-1:\n", "when:\n  $A-1:\n"),
        ("tests:\n- name: x\n  given: |\n    MSH|^~\\&|\n    PID|1\n",
         "tests:\n  - name: x\n    given: |\n      MSH|^~\\&|\n      PID|1\n"),
        ("\ufefftitle: a\r\n", "title: a\n"),
        ("make: [{a: b}]", "make: [{a: b}]\n"),
        ("title: a\n\n\n# the end\n", "title: a\n\n\n# the end\n"),
    ],
)  # fmt: skip
def test_the_form(before: str, after: str) -> None:
    assert form(before) == after
    assert form(after) == after


def test_what_is_too_long_for_a_line_comes_into_lines() -> None:
    long = "when: {" + ", ".join(f"$PID-{n}: value{n}" for n in range(1, 12)) + "}\n"
    made = form(long)
    assert max(map(len, made.splitlines())) < WIDE
    assert parse(made).data == parse(long).data


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "[a]: b\n"])
def test_what_says_two_things_stays_as_it_is(text: str) -> None:
    with pytest.raises(Unformattable):
        form(text)


def test_the_corpus_means_the_same_in_canonical_form() -> None:
    """Its mistakes too: what is formatted is found wrong as before."""
    texts = sorted({(case.file, case.files[case.file]) for case in cases() if case.file.endswith(".yaml")})
    formatted = 0
    for file, text in texts[::10]:
        try:
            made = form(text, Path(file))
        except (ConfigError, Unformattable):
            continue
        formatted += 1
        assert parse(made, env={}).data == parse(text, env={}).data, text
        assert form(made, Path(file)) == made, text
    assert formatted > len(texts) / 14


NAMES = st.sampled_from(["a", "when", "to", "$PID-3.1", "channel", "b c", "map", "send", "1", "from"])
SCALARS = st.sampled_from(
    [
        "x",
        "0123",
        "NO",
        "2.50",
        '"q: r"',
        "'s t'",
        "''",
        "12:30",
        "~",
        "1e3",
        "true",
        "中文",
        "$A-1 | trim",
        "null",
    ]
)
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


class Writer:
    """Data to YAML in every style, with comments, as hands write it."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def flow(self, data: Any) -> str:
        if isinstance(data, dict):
            return "{" + ", ".join(f"{key}: {self.flow(value)}" for key, value in data.items()) + "}"
        if isinstance(data, list):
            return "[" + ", ".join(map(self.flow, data)) + "]"
        return '"12:30"' if data == "12:30" else str(data)

    def block(self, data: Any, indent: str) -> list[str]:
        items = data.items() if isinstance(data, dict) else [("-", value) for value in data]
        lines: list[str] = []
        for key, value in items:
            if self.draw(st.integers(0, 5)) == 0:
                lines += (
                    ["", f"{indent}# over {key}"] if self.draw(st.booleans()) else [f"{indent}# on {key}"]
                )
            end = "   # beside" if self.draw(st.integers(0, 5)) == 0 else ""
            head = f"{indent}{key}" if key == "-" else f"{indent}{key}:"
            if isinstance(value, str) or self.draw(st.booleans()):
                lines.append(f"{head} {self.flow(value)}{end}")
            else:
                deeper = indent + " " * self.draw(st.integers(1, 4))
                beside = "" if key == "-" else end  # beside a dash alone ruamel.yaml has no place for it
                lines += [head + beside, *self.block(value, deeper)]
        return lines


@given(data=st.data(), tree=st.dictionaries(NAMES, DATA, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_whatever_is_written_means_the_same_and_keeps_its_comments(data: Any, tree: dict[str, Any]) -> None:
    text = "\n".join(Writer(data.draw).block(tree, "")) + "\n"
    try:
        made = form(text)
    except Unformattable:  # one in a hundred: ruamel.yaml drops a comment after a list alone in a list
        return
    assert parse(made, env={}).data == parse(text, env={}).data
    assert form(made) == made
    assert made.count("#") == text.count("#")


def test_the_command_writes_or_only_says(tmp_path: Path) -> None:
    path = tmp_path / "channels" / "a.yaml"
    path.parent.mkdir()
    path.write_text("to: {}\nchannel: a\n", encoding="utf-8")
    runner = CliRunner()
    said = runner.invoke(cli.app, ["--site", str(tmp_path), "fmt", "--check"])
    assert said.exit_code == 1
    assert "a.yaml" in said.stdout
    assert runner.invoke(cli.app, ["fmt", str(path)]).exit_code == 0
    assert path.read_text(encoding="utf-8") == "channel: a\nto: {}\n"
    assert runner.invoke(cli.app, ["--site", str(tmp_path), "fmt", "--check"]).exit_code == 0
    path.write_text("to: {", encoding="utf-8")
    assert runner.invoke(cli.app, ["fmt", str(path)]).exit_code == 2
