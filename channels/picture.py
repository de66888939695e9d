"""A channel's way as a picture of text: boxes and lines, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from channels.way import Stop, Way
from channels.words import Language, condition, format_name, gathered, kind_name, path
from schemas.validation.base import Validation

_INNER = 44  # columns that a box's text takes before it is broken
_WORDS = {
    "en": {
        "where": "where", "order": "in order of", "lanes": "lanes", "once": "once by", "reply": "reply from",
        "silent": "no reply", "map": "map", "answer": "its answer is the reply", "nowhere": "goes nowhere",
        "valid": "only what is valid by", "noted": "faults noted by", "others": "others", "from": "channel",
        "each": "each of", "batch": ", also in batches", "gathered": "gathered", "whole": ", unread",
    },
    "zh": {
        "where": "当", "order": "按序", "lanes": "路", "once": "去重", "reply": "应答来自",
        "silent": "不应答", "map": "映射", "answer": "其应答即回复", "nowhere": "没有目的地",
        "valid": "须符合", "noted": "校验并记录", "others": "其他通道", "from": "通道",
        "each": "逐项", "batch": "，含批量", "gathered": "汇集", "whole": "，不解析",
    },
}  # fmt: skip


def picture(way: Way, lang: Language) -> str:
    """The source and the channel beside each other, and below them a branch for each destination."""
    said = _WORDS[lang]
    source = _box(kind_name(way.kind, lang), source_lines(way, lang))
    back = " <── " if way.answers else "     "
    channel = _box(way.name, channel_lines(way, lang))
    indent = _width(source[0]) + 5
    lines = _beside(source, [" " * 5, " ──> ", back], channel)
    if not way.stops:
        return "\n".join(lines)
    lines[-1] = lines[-1][: len(lines[-1]) - len(channel[-1])] + "└─┬" + channel[-1][3:]
    trunk = " " * (indent + 2)
    for number, stop in enumerate(way.stops, 1):
        last = number == len(way.stops)
        lines.append(f"{trunk}│")
        if stop.when is not None:
            lines += [
                f"{trunk}│ {line}" for line in broken(f"{said['where']} {condition(stop.when, lang)}", 60)
            ]
        for row, line in enumerate(_branch(way, stop, lang)):
            joint = ("└─> " if last else "├─> ") if row == 1 else "│   " if row == 0 or not last else "    "
            lines.append(f"{trunk}{joint}{line}")
    return "\n".join(line.rstrip() for line in lines)


def source_lines(way: Way, lang: Language) -> list[str]:
    """What the box says that messages come from."""
    said = _WORDS[lang]
    door = [way.address] if way.kind != "channel" else [] if way.feeders else [said["others"]]
    return [*door, *(f"{said['from']} {name}" if door else name for name in way.feeders)]


def channel_lines(way: Way, lang: Language) -> list[str]:
    """What a channel's box says."""
    said = _WORDS[lang]
    lines = [
        format_name(way.format, lang) + (said["batch"] if way.batch else said["whole"] if way.whole else "")
    ]
    if way.when is not None:
        lines.append(f"{said['where']} {condition(way.when, lang)}")
    if way.validation is not None:
        lines.append(_validation(way.validation, lang))
    if way.duplicates:
        lines.append(f"{said['once']} {path(way.duplicates)}")
    if way.order:
        lines.append(f"{said['order']} {path(way.order)}, {way.lanes} {said['lanes']}")
    if way.reply not in ("accepted", "none"):
        lines.append(f"{said['reply']} {way.reply}")
    if way.reply == "none":
        lines.append(said["silent"])
    return lines if way.stops else [*lines, said["nowhere"]]


def _validation(validation: Validation, lang: Language) -> str:
    return f"{_WORDS[lang]['valid' if validation.refuses else 'noted']} {validation.kind.name}"


def stop_lines(way: Way, stop: Stop, lang: Language) -> list[str]:
    """What a destination's box says."""
    lines = [f"{kind_name(stop.kind, lang)} {stop.address}".strip()]
    if stop.validation is not None:
        lines.append(_validation(stop.validation, lang))
    if stop.split:
        lines.append(f"{_WORDS[lang]['each']} {path(stop.split)}")
    if stop.collect:
        lines.append(f"{_WORDS[lang]['gathered']} {gathered(stop.collect, lang)}")
    return [*lines, _WORDS[lang]["answer"]] if way.reply == stop.name else lines


def map_lines(way: Way, stop: Stop, lang: Language) -> list[str]:
    """What a map's box says."""
    lines = [f"{format_name(way.format, lang)} → {format_name(stop.format, lang)}"]
    if stop.reply_map and way.reply == stop.name:
        lines.append(f"← {stop.reply_map}")
    return lines


def map_title(stop: Stop, lang: Language) -> str:
    return f"{_WORDS[lang]['map']} {stop.map}"


def _branch(way: Way, stop: Stop, lang: Language) -> list[str]:
    destination = _box(stop.name, stop_lines(way, stop, lang))
    if not stop.map:
        return destination
    made = _box(map_title(stop, lang), map_lines(way, stop, lang))
    return _beside(made, [" " * 5, " ──> "], destination)


def broken(text: str, columns: int = _INNER) -> list[str]:
    """A text in lines of at most so many columns, broken between words; a word that is longer is cut.

    >>> broken("a long line", 6), broken("中文字abc", 4)
    (['a long', 'line'], ['中文', '字ab', 'c'])
    """
    lines, line = [], ""
    for word in text.split(" "):
        pieces = list(_pieces(word, columns))
        if line and _width(line) + 1 + _width(pieces[0]) <= columns:
            line = f"{line} {pieces[0]}"
        else:
            lines += [line] if line else []
            line = pieces[0]
        for piece in pieces[1:]:
            lines.append(line)
            line = piece
    return [*lines, line]


def _pieces(word: str, columns: int) -> Iterator[str]:
    piece = ""
    for letter in word:
        if _width(piece + letter) > columns:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _box(title: str, texts: Sequence[str]) -> list[str]:
    lines = [line for text in texts for line in broken(text)]
    inner = max(_width(title) + 2, *map(_width, lines))
    top = f"┌─ {title} {'─' * (inner - _width(title) - 1)}┐"
    return [top, *(f"│ {line}{' ' * (inner - _width(line))} │" for line in lines), f"└{'─' * (inner + 2)}┘"]


def _beside(left: list[str], between: list[str], right: list[str]) -> list[str]:
    """Two boxes beside each other, with the lines between them; where one is shorter it is filled with space."""
    space = " " * _width(left[0])
    rows = zip_longest(left, right, fillvalue="")
    joints = [*between, *[" " * 5] * (max(len(left), len(right)) - len(between))]
    return [f"{one or space}{joint}{other}" for (one, other), joint in zip(rows, joints, strict=False)]


def _width(text: str) -> int:
    """Columns of a terminal: a Chinese letter takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
