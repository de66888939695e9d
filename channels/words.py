"""A channel's way, and its conditions, in words: English and Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from channels.collecting import Collect
from channels.model import Retry
from channels.way import DOORLESS, Stop, Way
from config.alert_settings import ALERTS, AlertSettings

Language = Literal["en", "zh"]

_FORMATS = {
    "hl7v2": ("HL7 v2", "HL7 v2"),
    "json": ("JSON", "JSON"),
    "xml": ("XML", "XML"),
    "fhir": ("FHIR", "FHIR"),
    "delimited": ("delimited text", "分隔文本"),
    "xlsx": ("Excel", "Excel"),
    "fixed": ("fixed width", "定长文本"),
    "form": ("form data", "表单"),
    "dicom": ("DICOM", "DICOM"),
}
_KINDS = {
    "mllp": ("MLLP", "MLLP"),
    "tcp": ("TCP", "TCP"),
    "mqtt": ("MQTT", "MQTT"),
    "amqp": ("AMQP", "AMQP"),
    "mail": ("e-mail", "电子邮件"),
    "dicom": ("DICOM", "DICOM"),
    "worklist": ("modality worklist", "检查工作列表"),
    "http": ("HTTP", "HTTP"),
    "soap": ("SOAP", "SOAP"),
    "fhir": ("FHIR", "FHIR"),
    "file": ("file", "文件"),
    "database": ("database", "数据库"),
    "timer": ("timer", "定时"),
    "channel": ("channel", "通道"),
    "alerts": ("the engine's alerts", "引擎告警"),
    "nhsa": ("the insurance centre", "医保中心"),
    "wechat_pay": ("WeChat Pay", "微信支付"),
    "nhsa_mobile": ("the mobile insurance centre", "医保移动支付中心"),
}
_OPERATORS = {
    "gt": ("{} > {}", "{} > {}"),
    "ge": ("{} >= {}", "{} >= {}"),
    "lt": ("{} < {}", "{} < {}"),
    "le": ("{} <= {}", "{} <= {}"),
    "before": ("{} is before {}", "{} 早于 {}"),
    "after": ("{} is after {}", "{} 晚于 {}"),
    "matches": ("{} matches {}", "{} 匹配 {}"),
    "starts": ("{} begins with {}", "{} 以 {} 开头"),
    "contains": ("{} contains {}", "{} 包含 {}"),
    "in_table": ("{} is in the table {}", "{} 在码表 {} 中"),
}
_UNITS = ((86400, "day", "天"), (3600, "hour", "小时"), (60, "minute", "分钟"), (1, "second", "秒"))


def format_name(name: str, lang: Language) -> str:
    return _FORMATS.get(name, (name, name))[lang == "zh"]


def kind_name(kind: str, lang: Language) -> str:
    return _KINDS.get(kind, (kind, kind))[lang == "zh"]


def duration(seconds: float, lang: Language) -> str:
    """The largest unit that goes into it.

    >>> duration(86400, "en"), duration(300, "zh"), duration(90, "en"), duration(0.5, "zh")
    ('1 day', '5 分钟', '90 seconds', '0.5 秒')
    """
    size, english, chinese = next((unit for unit in _UNITS if seconds and seconds % unit[0] == 0), _UNITS[-1])
    count = seconds / size
    return f"{count:g} {chinese}" if lang == "zh" else f"{count:g} {english}{'' if count == 1 else 's'}"


def either(items: list[str], lang: Language) -> str:
    """Any of several: `A01, A04 or A08`, `A01、A04 或 A08`."""
    if len(items) == 1:
        return items[0]
    between, last = ("、", " 或 ") if lang == "zh" else (", ", " or ")
    return between.join(items[:-1]) + last + items[-1]


def condition(spec: Any, lang: Language) -> str:
    """A condition that `jingluo check` finds nothing wrong with.

    >>> condition({"$MSH-9.1": "ADT", "not": {"$PV1-2": {"exists": True}}}, "en")
    'MSH-9.1 is ADT and not (PV1-2 is there)'
    >>> condition({"$MSH-9.2": ["A01", "A04"], "$PID-7": {"before": "2008-01-01"}}, "zh")
    'MSH-9.2 为 A01 或 A04 且 PID-7 早于 2008-01-01'
    """
    joined = " 且 " if lang == "zh" else " and "
    return joined.join(_entry(key, wanted, lang, len(spec) == 1) for key, wanted in spec.items())


def _entry(key: str, wanted: Any, lang: Language, alone: bool) -> str:
    if key.startswith("$"):
        return _judged(path(key), wanted, lang)
    options = wanted if isinstance(wanted, list) else [wanted]
    several = [f"({condition(one, lang)})" if len(one) > 1 else condition(one, lang) for one in options]
    if key == "all":
        return (" 且 " if lang == "zh" else " and ").join(several)
    whole = (" 或 " if lang == "zh" else " or ").join(several)
    if key == "not":
        return f"非 ({whole})" if lang == "zh" else f"not ({whole})"
    return whole if alone or len(several) == 1 else f"({whole})"


def path(text: str) -> str:
    """An expression as it is read aloud: `$MSH-9.1` is `MSH-9.1`."""
    return text.removeprefix("$").lstrip(".") or "$"


def _judged(name: str, wanted: Any, lang: Language) -> str:
    chinese = lang == "zh"
    if not isinstance(wanted, Mapping):
        options = wanted if isinstance(wanted, list) else [wanted]
        shown = either([_literal(option) for option in options], lang)
        return f"{name} 为 {shown}" if chinese else f"{name} is {shown}"
    parts = []
    for operator, operand in wanted.items():
        if operator == "exists":
            english = f"{name} is there" if operand else f"{name} is missing"
            parts.append((f"有 {name}" if operand else f"无 {name}") if chinese else english)
        elif operator == "not":
            inner = _judged(name, operand, lang)
            parts.append(f"非 ({inner})" if chinese else f"not ({inner})")
        elif operator in ("any", "all"):
            each = {"any": ("any ", "任一 "), "all": ("every ", "每个 ")}[operator][chinese]
            parts.append(_judged(each + name, operand, lang))
        else:
            parts.append(_OPERATORS[operator][chinese].format(name, _literal(operand)))
    return (" 且 " if chinese else " and ").join(parts)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text[1:] if text.startswith("$$") else text


def gathered(collect: Collect, lang: Language) -> str:
    """What belongs together, and when it goes.

    >>> from types import SimpleNamespace as Collect
    >>> gathered(Collect(text="$.visit", count=100, within_s=300), "en")
    'by visit up to 100 messages or for 5 minutes'
    >>> gathered(Collect(text="", count=10, within_s=None), "zh")
    '满 10 条'
    """
    zh = lang == "zh"
    ends = [f"满 {collect.count} 条" if zh else f"up to {collect.count} messages"]
    if collect.within_s is not None:
        ends.append(f"{'满 ' if zh else 'for '}{duration(collect.within_s, lang)}")
    by = (f"按 {path(collect.text)} " if zh else f"by {path(collect.text)} ") if collect.text else ""
    return by + ("或" if zh else " or ").join(ends)


def sentences(way: Way, lang: Language) -> list[str]:
    """The way of a message through a channel: first what comes in, then a line for each destination, then the rest."""
    return _chinese(way) if lang == "zh" else _english(way)


def _english(way: Way) -> list[str]:
    named = f"{way.name} ({way.title})" if way.title else way.name
    first = [f"{named}: {format_name(way.format, 'en')} comes {_origin(way, 'en')}."]
    if way.batch:
        first.append("A batch is taken as one, and each of its messages goes on by itself.")
    if way.whole:
        first.append("It goes on as it is, unread; a batch too.")
    if way.when is not None:
        first.append(
            f"Only where {condition(way.when, 'en')} does it go on; the rest is accepted and filed as filtered."
        )
    if way.validation is not None:
        then = "is refused" if way.validation.refuses else "goes on, and its faults are noted"
        first.append(f"What is not valid by {way.validation.kind.name} {then}.")
    if way.duplicates:
        first.append(
            f"A second message with the same {path(way.duplicates)} within {duration(way.within_s, 'en')} gets the "
            "reply of the first and goes no further."
        )
    if way.order:
        first.append(f"Messages with the same {path(way.order)} stay in order, in {way.lanes} lanes.")
    if not way.stops:
        first.append("It goes nowhere: it is kept in the journal.")
    replies = {
        "accepted": "The sender is told as soon as every queue has the message on disk.",
        "none": "The sender is told nothing, unless the message is refused.",
    }
    answered = (
        f"The sender gets the answer of {way.reply}; after {duration(way.timeout_s, 'en')} without one it is told "
        "that the message is pending."
    )
    if way.kind not in DOORLESS:
        first.append(replies.get(way.reply, answered))
    if way.index:
        first.append(f"The journal finds it by {', '.join(way.index)}.")
    stops = (_english_stop(way, stop) for stop in way.stops)
    return [" ".join(first), *stops, *_retries(way, "en"), *_alerts(way, "en")]


def _english_stop(way: Way, stop: Stop) -> str:
    where = f"where {condition(stop.when, 'en')}, " if stop.when is not None else ""
    made = (
        f"made into {format_name(stop.format, 'en')} by the map {stop.map}, " if stop.map else "as it came, "
    )
    if stop.validation is not None:
        then = "a dead letter" if stop.validation.refuses else "noted"
        made += f"{then} where it is not valid by {stop.validation.kind.name}, "
    if stop.split:
        made += f"each item at {path(stop.split)} by itself, "
    if stop.collect:
        made += f"gathered {gathered(stop.collect, 'en')}, "
    back = ""
    if stop.name == way.reply:
        mapped = f", made by the map {stop.reply_map}" if stop.reply_map else ""
        back = f"; its answer is the reply{mapped}"
    if stop.index:
        back += f"; the journal finds the message by {', '.join(stop.index)} of its answer"
    by = "to the" if stop.kind == "channel" else "by"
    return f"- To {stop.name}: {where}{made}{by} {_place(stop, 'en')}{back}."


def _chinese(way: Way) -> list[str]:
    named = f"{way.name}（{way.title}）" if way.title else way.name
    first = [f"{named}：{format_name(way.format, 'zh')} 报文{_origin(way, 'zh')}。"]
    if way.batch:
        first.append("批量报文整体接收，其中每条各自处理。")
    if way.whole:
        first.append("报文（含批量）不解析，原样转发。")
    if way.when is not None:
        first.append(f"仅当 {condition(way.when, 'zh')} 时继续，其余接收后记为已过滤。")
    if way.validation is not None:
        then = "拒收" if way.validation.refuses else "照常处理，问题记入日志"
        first.append(f"不符合 {way.validation.kind.name} 的报文{then}。")
    if way.duplicates:
        within = duration(way.within_s, "zh")
        first.append(f"{within}内 {path(way.duplicates)} 相同的重发报文得到首次的应答，不再转发。")
    if way.order:
        first.append(f"{path(way.order)} 相同的报文保持顺序，分 {way.lanes} 路并行。")
    if not way.stops:
        first.append("没有目的地：仅存入日志。")
    replies = {"accepted": "全部入队落盘后即应答发送方。", "none": "不应答发送方，除非拒收。"}
    answered = f"以 {way.reply} 的应答回复发送方；{duration(way.timeout_s, 'zh')}内无应答则告知处理中。"
    if way.kind not in DOORLESS:
        first.append(replies.get(way.reply, answered))
    if way.index:
        first.append(f"日志按 {'、'.join(way.index)} 检索。")
    stops = (_chinese_stop(way, stop) for stop in way.stops)
    return ["".join(first), *stops, *_retries(way, "zh"), *_alerts(way, "zh")]


def _chinese_stop(way: Way, stop: Stop) -> str:
    where = f"当 {condition(stop.when, 'zh')} 时，" if stop.when is not None else ""
    made = f"由映射 {stop.map} 转为 {format_name(stop.format, 'zh')}，" if stop.map else "原样，"
    if stop.validation is not None:
        then = "转为死信" if stop.validation.refuses else "记入日志"
        made += f"不符合 {stop.validation.kind.name} 则{then}，"
    if stop.split:
        made += f"{path(stop.split)} 的每一项各成一条报文，"
    if stop.collect:
        made += f"{gathered(stop.collect, 'zh')}汇集为一条报文，"
    back = ""
    if stop.name == way.reply:
        mapped = f"，由映射 {stop.reply_map} 转换" if stop.reply_map else ""
        back = f"；其应答即回复{mapped}"
    if stop.index:
        back += f"；日志可按应答中的 {'、'.join(stop.index)} 检索"
    by = "交给" if stop.kind == "channel" else "经"
    sent = "" if stop.kind == "channel" else " 发送"
    return f"- 至 {stop.name}：{where}{made}{by} {_place(stop, 'zh')}{sent}{back}。"


def _origin(way: Way, lang: Language) -> str:
    """Where messages come from: a door, other channels, or both."""
    zh = lang == "zh"
    door = (
        (f"经 {_place(way, lang)} 进入" if zh else f"in by {_place(way, lang)}")
        if way.kind != "channel"
        else ""
    )
    if way.kind == ALERTS:
        door = "来自引擎告警" if zh else "from the engine's own alerts"
    if not way.feeders:
        return door or ("来自其他通道" if zh else "from other channels")
    plural = "s" if len(way.feeders) > 1 else ""
    names = (
        f"来自通道 {'、'.join(way.feeders)}" if zh else f"from the channel{plural} {', '.join(way.feeders)}"
    )
    return ("，也" if zh else ", and ").join(filter(None, (door, names)))


def _place(end: Way | Stop, lang: Language) -> str:
    return f"{kind_name(end.kind, lang)} {end.address}".strip()


def _retries(way: Way, lang: Language) -> list[str]:
    """One line for all destinations that are tried again alike."""
    alike: dict[Retry, list[str]] = {}
    for stop in way.stops:
        alike.setdefault(stop.retry, []).append(stop.name)
    whole = len(alike) == 1
    return [_retry(retry, [] if whole else names, lang) for retry, names in alike.items()]


def _retry(retry: Retry, names: list[str], lang: Language) -> str:
    first, longest, end = (duration(part, lang) for part in (retry.first_s, retry.max_s, retry.for_s))
    if lang == "zh":
        then = "转为死信" if retry.then == "dead" else "该路挂起，等待人工处理"
        whose = f"{'、'.join(names)}：" if names else ""
        return f"{whose}发送失败 {first}后重试，间隔逐次乘 {retry.factor:g}，最长 {longest}；{end}后仍失败则{then}。"
    then = "it becomes a dead letter" if retry.then == "dead" else "its lane waits for an operator"
    whose = f"{', '.join(names)}: what" if names else "What"
    return (
        f"{whose} fails is tried again after {first}, then {retry.factor:g} times longer each time, up to {longest}; "
        f"after {end} {then}."
    )


def _alerts(way: Way, lang: Language) -> Iterator[str]:
    """One line of what somebody is told of, where the channel itself says it."""
    alert, zh, told = way.alert.over(AlertSettings()), lang == "zh", []
    if alert.silent is not None:
        limit = duration(alert.silent, lang) + (f" ({alert.hours})" if alert.hours else "")
        told.append(f"没有报文达 {limit}" if zh else f"nothing comes for {limit}")
    if alert.oldest is not None:
        limit = duration(alert.oldest, lang)
        told.append(f"报文等待超过 {limit}" if zh else f"a message waits for longer than {limit}")
    if alert.dead is not None:
        told.append(
            f"一小时内死信达 {alert.dead} 条" if zh else f"{alert.dead} are dead letters within an hour"
        )
    if told:
        said = either(told, lang)
        yield f"告警条件：{said}。" if zh else f"An alert is opened when {said}."
