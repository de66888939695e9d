"""Names of people. Chinese ones are written as a whole, surname first; others in the order of their culture."""

from __future__ import annotations

import re
from typing import Any, Literal

from config.registry import function
from transforms.pipes import components, text_of

# The surnames of two characters and more: those of the Song dynasty's Hundred Family Surnames (百家姓), and of the
# Manchu and other peoples that are in use as they are. Every other Chinese surname has one character.
_SURNAMES = """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连
    澹台 皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于
    司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋
    夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 微生 梁丘 左丘 东门 西门 第五
    纳兰 完颜 淳于 单于 伯赏 南荣 贺兰 贺若 哥舒 尔朱 豆卢 屈突 斛律 耶律 叶赫
    達奚 东野 東方 歐陽 司馬 諸葛 尉遲 東郭 萬俟 聞人 長孫 鮮于 澹臺 閭丘 鍾離
    濮陽 顓孫 壤駟 樂正 穀梁 夾谷 軒轅 單于 賀蘭
    爱新觉罗 钮祜禄 赫舍里 叶赫那拉
"""
_LONG = frozenset(_SURNAMES.split())
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]{2,6}")
_ANY_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]")
Order = Literal["auto", "family", "given"]


@function
def family(value: str) -> str | None:
    """The surname of a Chinese name written as a whole; nothing of a name in other letters.

    >>> family("张三"), family("欧阳小明"), family("John Smith")
    ('张', '欧阳', None)
    """
    text = value.strip().replace(" ", "")
    if not _HAN.fullmatch(text):
        return None
    return next((text[:end] for end in (4, 3, 2) if text[:end] in _LONG and len(text) > end), text[0])


@function
def given(value: str) -> str | None:
    """The given name of a Chinese name written as a whole.

    >>> given("张三"), given("欧阳小明"), given("John Smith")
    ('三', '小明', None)
    """
    surname = family(value)
    return value.strip().replace(" ", "")[len(surname) :] if surname else None


@function
def full_name(values: list[Any], *, order: Order = "auto") -> str | None:
    """A name as text, of a list of its family and given names, of an HL7 v2 name (XPN) as text or in an `each`
    (`{each: $PID-5, make: $ | full_name}`), or of a FHIR HumanName. A name in Chinese characters has its family
    name first and no spaces, any other its given names first; `order=family` or `given` says otherwise.

    >>> full_name(["欧阳", "小明"]), full_name(["EVERYMAN", "ADAM", "A"]), full_name(["Sato", "Ken"], order="family")
    ('欧阳小明', 'ADAM A EVERYMAN', 'Sato Ken')
    >>> full_name(["张^三"]), full_name([{"family": "Smith", "given": ["John", "Q"]}])
    ('张三', 'John Q Smith')
    """
    parts = _parts(values[0]) if len(values) == 1 else [text_of(value).strip() for value in values]
    parts = [part for part in parts if part] if len(parts) != 1 else parts
    if not parts or not any(parts):
        return None
    han = all(_ANY_HAN.search(part) for part in parts)
    given_first = order == "given" or (order == "auto" and not han)
    return ("" if han else " ").join([*parts[1:], parts[0]] if given_first else parts)


def _parts(value: Any) -> list[str]:
    """The family name, then the given ones; a text that is not divided is one part."""
    if not isinstance(value, dict):
        return components(value)[:3]
    given_names = value.get("given") or []
    names = [value.get("family"), *(given_names if isinstance(given_names, list) else [given_names])]
    parts = [text_of(name).strip() for name in names if name and not isinstance(name, dict | list)]
    return parts or ([value["text"]] if isinstance(value.get("text"), str) else [])


@function
def human_name(value: str, *, use: str = "") -> dict[str, Any] | None:
    """A FHIR HumanName of a name written as a whole. What is not Chinese is not divided.

    >>> human_name("欧阳小明", use="official")
    {'use': 'official', 'text': '欧阳小明', 'family': '欧阳', 'given': ['小明']}
    >>> human_name("John Smith")
    {'text': 'John Smith'}
    """
    text = " ".join(value.split())
    if not text:
        return None
    surname, rest = family(text), given(text)
    made: dict[str, Any] = {"use": use} if use else {}
    if surname and rest:
        return made | {"text": surname + rest, "family": surname, "given": [rest]}
    return made | {"text": text}


@function
def xpn(value: str, *, type_: str = "L") -> dict[str, str] | None:
    """An HL7 v2 name (XPN) of a name written as a whole: `PID: {5: $.name | xpn}`. What is not Chinese stands
    undivided as the family name.

    >>> xpn("欧阳小明"), xpn("John Smith", type_="")
    ({'1': '欧阳', '2': '小明', '7': 'L'}, {'1': 'John Smith'})
    """
    text = " ".join(value.split())
    if not text:
        return None
    surname = family(text)
    made = {"1": surname, "2": given(text) or ""} if surname else {"1": text}
    return made | ({"7": type_} if type_ else {})


@function
def name_kind(value: str) -> str:
    """How a name is written, as HL7 table 0465 says: `I` in characters, `A` in an alphabet.

    >>> name_kind("张三"), name_kind("Zhang San")
    ('I', 'A')
    """
    return "I" if _ANY_HAN.search(value) else "A"


@function
def mask(value: str, *, keep: int = 1, end: int = 0) -> str:
    """All but the first `keep` and the last `end` characters hidden, for texts that people see. A text that
    would not be hidden at all keeps its first character alone.

    >>> mask("张三丰"), mask("欧阳小明", keep=2, end=1)
    ('张**', '欧阳*明')
    """
    keep, end = max(keep, 0), max(end, 0)
    if keep + end >= len(value):
        keep, end = min(1, keep), 0
    return value[:keep] + "*" * (len(value) - keep - end) + value[len(value) - end :]
