"""A format with options in a channel and in its maps: from bytes as they come to bytes as they are sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.loader import load_site
from channels.model import Channel
from config.errors import Problem
from config.settings import load_settings
from config.text import parse
from endpoints.base import Ground
from endpoints.rest.destination import HttpDestination
from schemas.message import Message
from transforms.library import Library
from transforms.mapping import compile_map
from transforms.proving import prove

TABLE = "{delimited: {columns: [id, name], separator: '|', charset: GB18030}}"


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    (tmp_path / "channels").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "channels" / "people.yaml").write_text(
        f"channel: people\nfrom: {{mllp: {{port: 2601}}}}\nformat: {TABLE}\nindex: {{patient: '$.rows[0].id'}}\n"
        "when: {'$.rows[0].name': 张}\nto:\n  his: {map: to-table, send: {http: {url: 'http://127.0.0.1:1/'}}}\n"
        "  web: {map: to-form, send: {http: {url: 'http://127.0.0.1:1/'}}}\n",
        encoding="utf-8",
    )
    layout = "{fixed: {columns: {name: 6, id: 4}, charset: GB18030, line_end: lf}}"
    (tmp_path / "maps" / "to-table.yaml").write_text(
        f"map: to-table\nfrom: delimited\nto: {layout}\nmake: [{{each: $.rows, make: {{id: $.id, name: $.name}}}}]\n"
    )
    (tmp_path / "maps" / "to-form.yaml").write_text(
        "map: to-form\nfrom: delimited\nto: {form: {multipart: true}}\nmake: {id: '$.rows[0].id'}\n"
    )
    site = load_site(load_settings(tmp_path, {}), {})
    assert [str(f) for f in site.findings if f.severity == "error"] == []
    return site.channels[0]


def test_a_channel_reads_and_its_map_writes_as_each_declares(channel: Channel) -> None:
    tree = channel.format.decode("P1|张\n".encode("gb18030"))
    assert channel.when is not None
    assert channel.when(tree)
    assert channel.index["patient"](tree) == "P1"
    his, web = channel.branches
    assert his.map is not None
    assert his.map(tree, Message(b"")) == "张    P1  \n".encode("gb18030")
    assert (his.format, his.charset, web.format, web.charset) == ("fixed", "GB18030", "form", "")


LEDGER = """\
map: ledger
from: {fixed: {columns: {name: 6, id: 4}, charset: GB18030}}
to: {fixed: {columns: {id: 4, name: 8}, charset: GB18030, line_end: lf}}
make: [{each: $.rows, make: {id: $.id, name: $.name}}]
tests:
  - name: cut and filled by the bytes of GB18030, though the test is written in UTF-8
    given: |
      张    P1
      欧阳  P2
    expect:
      $: |
        P1  张
        P2  欧阳
      "$.rows[1].name": 欧阳
"""


def test_a_test_in_yaml_is_read_as_the_format_would_be_written() -> None:
    problems: list[Problem] = []
    spec = parse(LEDGER).data
    mapped = compile_map(spec, Library([], []), problems)
    assert mapped is not None, problems
    assert [str(failure) for failure in prove(mapped, spec["tests"])] == []


def test_the_web_is_told_what_a_form_is(channel: Channel, tmp_path: Path) -> None:
    web = channel.branches[1]
    assert web.map is not None
    body = web.map(channel.format.decode(b"P1|x\n"), Message(b""))
    destination = HttpDestination(web.options, Ground("people", web.format, None, tmp_path))
    kind = destination._media_type(Message(body, format="form"))
    assert kind.startswith('multipart/form-data; boundary="form-')
    assert kind.split('"')[1].encode() in body
