"""The pipe functions for people: Chinese names, citizen identification numbers (GB 11643), telephones."""

from __future__ import annotations

import datetime
import re

from config.registry import function
from transforms.pipes import Unusable

# The surnames of two characters in use today; every other Chinese surname has one.
_SURNAMES = """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连
    澹台 皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于
    司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋
    夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 微生 梁丘 左丘 东门 西门 第五
    纳兰 完颜
"""
_TWO = frozenset(_SURNAMES.split())
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]{2,6}")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


@function
def family(value: str) -> str | None:
    """The surname of a Chinese name written as a whole; nothing of a name in other letters.

    >>> family("张三"), family("欧阳小明"), family("John Smith")
    ('张', '欧阳', None)
    """
    text = value.strip().replace(" ", "")
    if not _HAN.fullmatch(text):
        return None
    return text[:2] if text[:2] in _TWO and len(text) > 2 else text[:1]


@function
def given(value: str) -> str | None:
    """The given name of a Chinese name written as a whole.

    >>> given("张三"), given("欧阳小明"), given("John Smith")
    ('三', '小明', None)
    """
    surname = family(value)
    return value.strip().replace(" ", "")[len(surname) :] if surname else None


def _citizen(value: str) -> str | None:
    """The 18 characters of a valid number; a number of 15 digits (before 2000) is made long. None: not
    valid.
    """
    text = value.strip().upper()
    if re.fullmatch(r"[0-9]{15}", text):
        text = f"{text[:6]}19{text[6:]}"
        text += _check_digit(text)
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", text) or _check_digit(text) != text[17]:
        return None
    try:
        datetime.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return None
    return text


def _check_digit(text: str) -> str:
    """ISO 7064 MOD 11-2 over the first 17 digits."""
    return _CHECK[sum(int(digit) * weight for digit, weight in zip(text[:17], _WEIGHTS, strict=True)) % 11]


@function
def citizen_id(value: str) -> str | None:
    """A valid citizen identification number in 18 characters (GB 11643), or nothing. 15 digits are made 18.

    >>> citizen_id("34052419800101001x"), citizen_id("340524198001010010")
    ('34052419800101001X', None)
    """
    return _citizen(value)


@function
def citizen_check(value: str) -> str:
    """Refuses the message where a citizen identification number is not valid.

    >>> citizen_check("11010519491231002X")
    '11010519491231002X'
    """
    text = _citizen(value)
    if text is None:
        raise Unusable("not a valid citizen identification number (GB 11643)")
    return text


@function
def citizen_birth(value: str) -> str | None:
    """The birth date in a citizen identification number.

    >>> citizen_birth("11010519491231002X")
    '1949-12-31'
    """
    text = _citizen(value)
    return f"{text[6:10]}-{text[10:12]}-{text[12:14]}" if text else None


@function
def citizen_sex(value: str) -> str | None:
    """The sex in a citizen identification number: `male` or `female`.

    >>> citizen_sex("34052419800101001X"), citizen_sex("11010519491231002X")
    ('male', 'female')
    """
    text = _citizen(value)
    return ("male" if int(text[16]) % 2 else "female") if text else None


@function
def phone(value: str) -> str:
    """A telephone number without spaces, brackets and dashes; a mobile number without China's code.

    >>> phone("+86 138-0000-0000"), phone("(010) 5555 0000")
    ('13800000000', '01055550000')
    """
    text = re.sub(r"[\s()\-.（）－]", "", value)
    match = re.fullmatch(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})", text)
    return match[1] if match else text


@function
def mask(value: str, *, keep: int = 1) -> str:
    """All but the first `keep` characters hidden, for texts that people see.

    >>> mask("张三丰")
    '张**'
    """
    keep = max(keep, 0)
    return value[:keep] + "*" * (len(value) - keep)
