"""Addresses. Chinese ones as text and as parts, from the province to the house."""

from __future__ import annotations

import re
from typing import Any

from config.registry import function
from transforms.functions.registrations import citizen_division
from transforms.pipes import components, text_of

# The first two digits of a code of GB/T 2260.
PROVINCES = {
    "11": "北京市", "12": "天津市", "13": "河北省", "14": "山西省", "15": "内蒙古自治区", "21": "辽宁省",
    "22": "吉林省", "23": "黑龙江省", "31": "上海市", "32": "江苏省", "33": "浙江省", "34": "安徽省",
    "35": "福建省", "36": "江西省", "37": "山东省", "41": "河南省", "42": "湖北省", "43": "湖南省",
    "44": "广东省", "45": "广西壮族自治区", "46": "海南省", "50": "重庆市", "51": "四川省", "52": "贵州省",
    "53": "云南省", "54": "西藏自治区", "61": "陕西省", "62": "甘肃省", "63": "青海省", "64": "宁夏回族自治区",
    "65": "新疆维吾尔自治区", "71": "台湾省", "81": "香港特别行政区", "82": "澳门特别行政区",
    "83": "台湾省",  # in the numbers of residence permits
}  # fmt: skip
_SHORT = re.compile(r"省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区")
_BY_NAME = {name: name for name in PROVINCES.values()} | {_SHORT.sub("", n): n for n in PROVINCES.values()}
_BEGIN = re.compile("|".join(sorted(_BY_NAME, key=len, reverse=True)))
_NATION = re.compile("中国|中华人民共和国")
_PLAIN = r"[^\d\s路街道巷弄号村镇乡室栋座]"
_CITY = re.compile(_PLAIN + r"{1,10}?(?:自治州|地区|市|盟)")
_DISTRICT = re.compile(_PLAIN + r"{1,12}?(?:自治县|自治旗|林区|特区|新区|(?<!小)区|县|旗|市)")
_CITIES = ("北京市", "天津市", "上海市", "重庆市")
_LONGEST = 300  # characters


@function
def province(value: str) -> str | None:
    """The province's name (GB/T 2260) of a citizen identification number or of a code of a place; nothing where
    there is no such province.

    >>> province("110105"), province("150000"), province("999999198001010011")
    ('北京市', '内蒙古自治区', None)
    """
    code = citizen_division(value)
    return PROVINCES.get(code[:2]) if code else None


@function
def address(value: str) -> dict[str, Any] | None:
    """A FHIR Address of one that is written as a whole: its text, and as far as they are named in it `state`
    (province), `city`, `district` (district or county) and `line`. What is not sure stays in `line`.

    >>> address("河北示例市虚构区12号")
    {'text': '河北示例市虚构区12号', 'state': '河北省', 'city': '示例市', 'district': '虚构区', 'line': ['12号']}
    >>> address("样板街12号")
    {'text': '样板街12号', 'line': ['样板街12号']}
    """
    text = "".join(value.split())
    if not text:
        return None
    if len(text) > _LONGEST:
        return {"text": text}
    made: dict[str, Any] = {"text": text}
    rest = text
    if nation := _NATION.match(rest):
        made["country"] = "CN"
        rest = rest[nation.end() :]
    if begin := _BEGIN.match(rest):
        made["state"] = _BY_NAME[begin[0]]
        rest = rest[begin.end() :]
    if made.get("state") in _CITIES:
        made["city"] = made["state"]
        rest = rest.removeprefix(made["city"]).removeprefix("市辖区")
    elif city := _CITY.match(rest):
        made["city"] = city[0]
        rest = rest[city.end() :]
    district = _DISTRICT.match(rest) if "state" in made or "city" in made else None
    if district:
        made["district"] = district[0]
        rest = rest[district.end() :]
    return made | ({"line": [rest]} if rest else {})


@function
def xad(value: str) -> dict[str, str] | None:
    """An HL7 v2 address (XAD) of one that is written as a whole, divided as `address` does: `PID: {11: $.home | xad}`.

    >>> xad("上海市虚构区样板街12号")
    {'1': '样板街12号', '3': '上海市', '4': '上海市', '9': '虚构区'}
    """
    made = address(value)
    if made is None:
        return None
    made["line"] = made.get("line", [""])[0]
    if not made.keys() & {"state", "city"}:
        made["line"] = made["text"]
    if "country" in made:
        made["country"] = "CHN"
    return {number: made[key] for key, number in _XAD.items() if made.get(key)}


_XAD = {"line": "1", "city": "3", "state": "4", "postalCode": "5", "country": "6", "district": "9"}


@function
def full_address(value: Any) -> str | None:
    """An address as text, of a FHIR Address or of an HL7 v2 address (XAD) as text or in an `each`: its `text`,
    else its parts from the province to the house, each once. Any other text stays as it is.

    >>> full_address({"state": "上海市", "city": "上海市", "district": "虚构区", "line": ["样板街12号"]})
    '上海市虚构区样板街12号'
    >>> full_address({"line": ["12 Sample St"], "city": "Springfield", "country": "US"})
    '12 Sample St, Springfield, US'
    >>> full_address("样板街12号^^上海市^上海市^200000^CHN^^^虚构区")
    '上海市虚构区样板街12号'
    """
    if not isinstance(value, dict):
        parts = [] if value is None or isinstance(value, list) else components(value)
        if len(parts) < 2:
            return "".join(parts) or None
        value = {key: parts[int(number) - 1] for key, number in _XAD.items() if int(number) <= len(parts)}
    if isinstance(value.get("text"), str) and value["text"]:
        return str(value["text"])
    han = [name for key in ("state", "city", "district", "line") for name in _texts(value.get(key))]
    if re.search(r"[\u3400-\u9fff]", "".join(han)):
        return "".join(dict.fromkeys(han))
    keys = ("line", "district", "city", "state", "postalCode", "country")
    return ", ".join(name for key in keys for name in _texts(value.get(key))) or None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text_of(item) for item in values if item and not isinstance(item, dict | list)]
