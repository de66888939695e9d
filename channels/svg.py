"""A channel's way as SVG: the source, the channel, and a row for each destination with its condition and its map."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from channels.picture import broken, channel_lines, map_lines, map_title, source_lines, stop_lines
from channels.way import Way
from channels.words import Language, condition, kind_name

_LINE, _PAD, _HEAD = 20, 14, 30  # pixels: of a line of text, beside it, of a title
_LATIN, _WIDE = 7.3, 13.2  # how wide a letter of 13 pixels is, rather too much
_GAP, _ROW_GAP, _MARGIN = 64, 28, 28
_COLUMNS = 34  # of text in a box
_WHERE = {"en": "where", "zh": "当"}
_COLOURS = {"source": "#2563eb", "channel": "#0f766e", "map": "#b45309", "stop": "#475569"}
_STYLE = """
text{font:13px system-ui,"Noto Sans CJK SC","WenQuanYi Micro Hei","Microsoft YaHei",sans-serif;fill:#1e293b}
.title{font-weight:600;fill:#fff}.where{fill:#475569;font-size:12px}
.line{fill:none;stroke:#94a3b8;stroke-width:1.6}.back{stroke-dasharray:5 4}
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A titled box; `x` and `y` are its upper left corner, in pixels."""

    kind: str
    title: str
    lines: tuple[str, ...]
    x: float = 0
    y: float = 0
    wide: float = 0

    @property
    def width(self) -> float:
        return max(self.wide, *(_wide(line) for line in (f"{self.title} ", *self.lines))) + 2 * _PAD

    @property
    def height(self) -> float:
        return _HEAD + _LINE * len(self.lines) + 12

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    def at(self, x: float, middle: float, wide: float = 0) -> Box:
        return Box(self.kind, self.title, self.lines, x, middle - self.height / 2, wide)

    def drawn(self) -> str:
        colour, width, x, y = _COLOURS[self.kind], self.width, self.x, self.y
        head = f"M{x:g} {y + _HEAD:g}v-{_HEAD - 8}a8 8 0 0 1 8 -8h{width - 16:g}a8 8 0 0 1 8 8v{_HEAD - 8}z"
        texts = "".join(
            f'<text x="{x + _PAD:g}" y="{y + _HEAD + 20 + number * _LINE:g}">{escape(line)}</text>'
            for number, line in enumerate(self.lines)
        )
        return (
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{self.height:g}" rx="8" fill="#fff" '
            f'stroke="{colour}" stroke-width="1.4"/><path d="{head}" fill="{colour}"/>'
            f'<text class="title" x="{x + _PAD:g}" y="{y + 20:g}">{escape(self.title)}</text>{texts}'
        )


def svg(way: Way, lang: Language) -> str:
    """The whole picture, as a document of its own."""
    maps = [
        _box("map", map_title(stop, lang), map_lines(way, stop, lang)) if stop.map else None
        for stop in way.stops
    ]
    stops = [_box("stop", stop.name, stop_lines(way, stop, lang)) for stop in way.stops]
    wheres = [
        broken(f"{_WHERE[lang]} {condition(stop.when, lang)}", 30) if stop.when is not None else []
        for stop in way.stops
    ]
    heights = [
        max(stop.height, made.height if made else 0, 2 * (17 * _above(where) + 12))
        for stop, made, where in zip(stops, maps, wheres, strict=True)
    ]
    source = _box("source", kind_name(way.kind, lang), source_lines(way, lang))
    channel = _box("channel", way.name, channel_lines(way, lang))
    total = max(source.height, channel.height, sum(heights) + _ROW_GAP * (len(heights) - 1))
    middle = _MARGIN + total / 2
    source = source.at(_MARGIN, middle)
    channel = channel.at(source.right + _GAP, middle)
    drawn = [source.drawn(), channel.drawn(), *_between(source, channel, back=way.answers)]
    right = channel.right
    labels = max((_wide(line) for where in wheres for line in where), default=0)
    map_x = channel.right + _GAP + labels + 24
    map_wide = max((made.width for made in maps if made), default=0)
    stop_x = map_x + (map_wide + _GAP if map_wide else 0)
    stop_wide = max((stop.width for stop in stops), default=0) - 2 * _PAD
    top = middle - (sum(heights) + _ROW_GAP * (len(heights) - 1)) / 2
    for stop, made, where, height in zip(stops, maps, wheres, heights, strict=True):
        row = top + height / 2
        top += height + _ROW_GAP
        end = stop.at(stop_x, row, stop_wide)
        first = made.at(map_x, row, map_wide - 2 * _PAD) if made else end
        drawn += [_branch(channel, first.x, row), *_where(where, channel.right + _GAP - 8, row), end.drawn()]
        drawn += [first.drawn(), _arrow(first.right, row, end.x)] if made else []
        right = max(right, end.right)
    return _document(drawn, right + _MARGIN, total + 2 * _MARGIN, f"{way.name} {way.title}".strip())


def _box(kind: str, title: str, texts: Sequence[str]) -> Box:
    return Box(kind, title, tuple(line for text in texts for line in broken(text, _COLUMNS)))


def _between(source: Box, channel: Box, back: bool) -> list[str]:
    """What comes in, and the answer to it."""
    if not back:
        return [_arrow(source.right, source.middle, channel.x)]
    return [
        _arrow(source.right, source.middle - 9, channel.x),
        _arrow(channel.x, source.middle + 9, source.right, "line back"),
    ]


def _branch(channel: Box, x: float, row: float) -> str:
    """From the channel's side round two corners to a row."""
    start, turn, down = channel.right, channel.right + 28, row - channel.middle
    if abs(down) < 1:
        return _arrow(start, row, x)
    bend = min(12.0, abs(down) / 2) * (1 if down > 0 else -1)
    radius = abs(bend)
    return (
        f'<path class="line" marker-end="url(#tip)" d="M{start:g} {channel.middle:g}H{turn - radius:g}'
        f'q{radius:g} 0 {radius:g} {bend:g}V{row - bend:g}q0 {bend:g} {radius:g} {bend:g}H{x - 3:g}"/>'
    )


def _where(lines: list[str], x: float, row: float) -> list[str]:
    """A condition, over its line and, where it is long, under it."""
    above = _above(lines)
    return [
        f'<text class="where" x="{x:g}" '
        f'y="{row - 8 - (above - 1 - number) * 17 if number < above else row + 18 + (number - above) * 17:g}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    ]


def _above(lines: list[str]) -> int:
    return len(lines) if len(lines) < 3 else (len(lines) + 1) // 2


def _arrow(start: float, y: float, end: float, kind: str = "line") -> str:
    tip = end - 3 if end > start else end + 3
    return f'<path class="{kind}" marker-end="url(#tip)" d="M{start:g} {y:g}H{tip:g}"/>'


def _document(drawn: list[str], width: float, height: float, title: str) -> str:
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f'{tip}<rect width="100%" height="100%" fill="#f8fafc"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _wide(text: str) -> float:
    """Pixels that a text takes, rather too many."""
    return sum(_WIDE if unicodedata.east_asian_width(letter) in "WF" else _LATIN for letter in text)
