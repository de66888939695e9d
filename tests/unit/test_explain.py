"""`jingluo explain`: a channel's way in words and pictures."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner, Result

from channels.loader import load_site
from channels.picture import picture
from channels.read import channel_text
from channels.svg import svg
from channels.way import way_of
from channels.words import Language, sentences
from config.settings import load_settings
from config.text import read
from router.cli import app

LANGUAGES: tuple[Language, ...] = ("en", "zh")

CHANNEL = """\
channel: results
title: 检验结果分发
from: {http: {method: POST, path: "/v1/results"}}
format: json
validate: {as: result.json, then: note}
duplicates: {by: $.id, within: 24h}
order: {by: $.patient, lanes: 8}
index: {patient: $.patient}
when: {any: [{$.kind: lab}, {$.kind: [rad, path], $.urgent: {exists: true}}], not: {$.test: true}}
to:
  lis: {when: {$.kind: lab, $.age: {gt: 60, le: 90}}, send: {mllp: {host: lis.example, port: 2575}}}
  emr:
    map: one
    validate: fhir/r4
    send: {http: {url: "https://emr.example/fhir?key=1"}}
    reply_map: two
    retry: {then: hold}
reply: emr
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "result.json").write_text("{}")
    (tmp_path / "channels" / "results.yaml").write_text(CHANNEL, encoding="utf-8")
    (tmp_path / "maps" / "one.yaml").write_text("map: one\nfrom: json\nto: fhir\nmake: {id: $.patient}\n")
    (tmp_path / "maps" / "two.yaml").write_text("map: two\nfrom: fhir\nto: json\nmake: {id: $.id}\n")
    return tmp_path


def explained(*arguments: str, site: Path | None = None) -> Result:
    return CliRunner().invoke(app, [*(["--site", str(site)] if site else []), "explain", *arguments])


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def test_a_channel_is_told_in_english_and_chinese(site: Path) -> None:
    said = explained("results", site=site).stdout
    for sentence in (
        "results (检验结果分发): JSON comes in by HTTP POST /v1/results.",
        "Only where (kind is lab or (kind is rad or path and urgent is there)) and not (test is true) does it go on",
        "What is not valid by result.json goes on, and its faults are noted.",
        "不符合 result.json 的报文照常处理，问题记入日志。",
        "A second message with the same id within 1 day gets the reply of the first",
        "- To lis: where kind is lab and age > 60 and age <= 90, as it came, by MLLP lis.example:2575.",
        "made into FHIR by the map one, a dead letter where it is not valid by fhir/r4, ",
        "by HTTP POST https://emr.example/fhir; its answer is the reply, made by the",
        "lis: what fails is tried again after 1 second, then 2 times longer each time, up to 5 minutes; after 1 day it",
        "emr: what fails is tried again after 1 second",
        "仅当 (kind 为 lab 或 (kind 为 rad 或 path 且 有 urgent)) 且 非 (test 为 true) 时继续，其余接收后记为已过滤。",
        "- 至 emr：由映射 one 转为 FHIR，不符合 fhir/r4 则转为死信，",
        "经 HTTP POST https://emr.example/fhir 发送；其应答即回复，由映射 two 转换。",
        "1 天后仍失败则该路挂起，等待人工处理。",
    ):
        assert sentence in said
    assert "key=1" not in said


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_boxes_of_the_picture_are_closed(site: Path, lang: str) -> None:
    lines = explained("results", "--lang", lang, site=site).stdout.splitlines()
    picture = lines[next(row for row, line in enumerate(lines) if line.startswith("┌─")) :]
    ends = {at for line in picture for at in _places(line, "┐")}
    assert ends == {at for line in picture for at in _places(line, "┘")}
    assert sum(line.count("┌") for line in picture) == sum(line.count("└─") for line in picture) - 1 == 5
    assert max(map(columns, picture)) <= 100
    valid, noted = {"en": ("only what is valid by", "faults noted by"), "zh": ("须符合", "校验并记录")}[lang]
    assert f"{valid} fhir/r4" in "".join(picture)
    assert f"{noted} result.json" in "".join(picture)


def _places(line: str, corner: str) -> list[int]:
    return [columns(line[: found.start()]) for found in re.finditer(corner, line)]


def test_the_svg_has_every_box_and_none_lies_on_another(site: Path) -> None:
    file = site / "way.svg"
    explained("results", "--svg", str(file), site=site)
    root = etree.fromstring(file.read_bytes())
    rects = root.findall("{*}rect[@rx]")
    boxes = [[float(rect.get(name, "")) for name in ("x", "y", "width", "height")] for rect in rects]
    assert len(boxes) == 5
    for number, (x, y, width, height) in enumerate(boxes):
        assert 0 < x < x + width < float(root.get("width", ""))
        assert 0 < y < y + height < float(root.get("height", ""))
        for left, top, wide, high in boxes[:number]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height
    texts = "".join(root.itertext())
    assert all(word in texts for word in ("检验结果分发", "map one", "where kind is lab", "lis.example:2575"))


def test_every_channel_of_the_example_is_explained() -> None:
    settings = load_settings(None, {})
    for channel in load_site(settings, {}).channels:
        text, _ = channel_text(read(settings.site / channel.file).data, [])
        assert text is not None
        way = way_of(channel, text)
        for lang in LANGUAGES:
            assert len(sentences(way, lang)) == len(channel.branches) + 2
            assert picture(way, lang).count("> ┌") + picture(way, lang).count("> │") >= len(channel.branches)
            assert etree.fromstring(svg(way, lang).encode()).find("{*}title") is not None


def test_what_cannot_be_explained_is_said(site: Path) -> None:
    result = explained("result", site=site)
    assert (result.exit_code, result.stderr) == (1, "no channel is called 'result'; did you mean results?\n")
    (site / "channels" / "wrong.yaml").write_text(
        "channel: wrong\nfrom: {mllp: {port: 2601}}\nformat: hl7v3\n"
    )
    result = explained("wrong", site=site)
    assert result.exit_code == 1
    assert "channels/wrong.yaml:3:9: JL-C017" in result.stderr


def test_channels_that_send_to_one_another_name_each_other(site: Path) -> None:
    text = CHANNEL.replace("reply: emr\n", "").replace("    reply_map: two\n", "")
    (site / "channels" / "results.yaml").write_text(
        f"{text}  next: {{send: {{channel: inner}}}}\n", encoding="utf-8"
    )
    inner = "channel: inner\nfrom: {channel: {}}\nformat: json\nto: {out: {send: {file: {folder: out}}}}\n"
    (site / "channels" / "inner.yaml").write_text(inner)
    first, second = explained("results", site=site).stdout, explained("inner", site=site).stdout
    assert "- To next: as it came, to the channel inner." in first
    assert "- 至 next：原样，交给 通道 inner。" in first
    assert "│ channel inner" in first
    assert "inner: JSON comes from the channel results." in second
    assert "inner：JSON 报文来自通道 results。" in second
    assert "The sender" not in second, "nobody waits for a reply"
    assert "┌─ channel ─┐" in second
    assert "<──" not in second


def test_what_is_gathered_is_said_and_drawn(site: Path) -> None:
    (site / "channels" / "charges.yaml").write_text(
        "channel: charges\nfrom: {http: {path: /v1/charges}}\nformat: hl7v2\nto:\n"
        "  upload: {collect: {by: $PV1-19.1, count: 100, within: 5m}, send: {channel: night}}\n"
    )
    (site / "channels" / "night.yaml").write_text(
        "channel: night\nfrom: {channel: {}}\nformat: hl7v2\nbatch: whole\n"
        "to: {out: {send: {file: {folder: out}}}}\n"
    )
    said = explained("charges", site=site).stdout
    for sentence in (
        "as it came, gathered by PV1-19.1 up to 100 messages or for 5 minutes, to the channel night.",
        "原样，按 PV1-19.1 满 100 条或满 5 分钟汇集为一条报文，交给 通道 night。",
        "│ gathered by PV1-19.1 up to 100 messages or ",
    ):
        assert sentence in said
    said = explained("night", site=site).stdout
    assert "It goes on as it is, unread; a batch too." in said
    assert "│ HL7 v2, unread" in said
