"""What an alert can be about, how bad that is, how long it must last, and what people are told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from channels.words import duration

# What is only a state could come and go by the second: it counts after a moment, and is over after a longer one.
_LASTS_S, _CALM_S = 10.0, 60.0
_MOVES_S = 15.0  # what just goes from a delay to its queue may be seen in neither: one look is no proof
_FEW_S = 120.0


class Name(NamedTuple):
    """An alert's name, the same whenever it comes again. `about`: a file, a certificate, a caller."""

    what: str
    channel: str = ""
    destination: str = ""
    about: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.what, "/".join(filter(None, self[1:3])), self.about)))


class Fact(NamedTuple):
    """How much it is, and from how much on it is an alert: seconds or a count, by what it is about."""

    figure: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """`english` and `chinese` may hold {channel}, {to}, {about}, {count}, and the times {figure} and {limit}.

    `lasts_s`: it is opened when it has held for so long; `calm_s`: it is closed when it has not for so long.
    """

    severity: str  # critical: messages are in danger or wait for all; warning: somebody should look
    english: str
    chinese: str
    lasts_s: float = 0.0
    calm_s: float = 0.0


def _state(severity: str, english: str, chinese: str) -> Kind:
    return Kind(severity, english, chinese, _LASTS_S, _CALM_S)


KINDS = {
    "silent": Kind("warning", "{channel}: no message for {limit}", "{channel}：{limit}没有收到报文"),
    "oldest": Kind(
        "warning",
        "{channel}: a message waits for {to} for {figure}, longer than {limit}",
        "{channel}：有报文等待发往 {to} 已 {figure}，超过 {limit}",
        calm_s=_MOVES_S,
    ),
    "dead": Kind(
        "warning",
        "{channel}: {count} dead letters of {to} within an hour",
        "{channel}：一小时内发往 {to} 的死信 {count} 条",
    ),
    "held": _state(
        "warning",
        "{channel}: a lane to {to} is held and waits for an operator",
        "{channel}：发往 {to} 的通道已挂起，等待人工处理",
    ),
    "missing": _state(
        "critical",
        "{channel}: {count} deliveries to {to} are in no queue and have no end",
        "{channel}：发往 {to} 的 {count} 条报文既不在队列也没有结果",
    ),
    "door": _state("critical", "{channel}: its door does not open", "{channel}：接收端口无法打开"),
    "full": _state(
        "critical",
        "{channel}: takes nothing new, a queue is nearly full",
        "{channel}：队列将满，暂停接收",
    ),
    "journal": _state("critical", "the journal cannot write to its database", "日志无法写入数据库"),
    "broker": _state("critical", "the broker takes no messages", "消息队列服务不可用"),
    "disk": _state("critical", "the disk of large bodies has too little room left", "大报文所在磁盘空间不足"),
    "refused": _state("warning", "the file {about} was refused", "配置文件 {about} 未通过检查，未生效"),
    "certificate": _state(
        "warning", "the certificate {about} ends in {count} days", "证书 {about} 将在 {count} 天后到期"
    ),
    "key": _state(
        "warning",
        "the last key of the caller {about} ends in {count} days",
        "调用方 {about} 的密钥将在 {count} 天后到期",
    ),
    "stuck": Kind(
        "warning",
        "{count} settlements are stuck: see `jingluo settlements list --stuck`",
        "有 {count} 笔结算卡单，请用 jingluo settlements list --stuck 查看",
    ),
    "unsound": Kind(
        "critical",
        "{count} findings of what must hold of settlements: see `jingluo settlements findings`",
        "结算核查发现 {count} 项异常，请用 jingluo settlements findings 查看",
    ),
    "more": Kind(
        "critical",
        "{count} more alerts at once: see `jingluo alerts`",
        "同时另有 {count} 条告警，请用 jingluo alerts 查看",
    ),
}


def texts(name: Name, fact: Fact) -> tuple[str, str]:
    """What people are told, in English and in Chinese."""
    kind = KINDS[name.what]
    said = {
        "channel": name.channel,
        "to": name.destination,
        "about": name.about,
        "count": f"{fact.figure:.0f}",
    }
    english = kind.english.format(**said, figure=_rough(fact.figure, "en"), limit=_rough(fact.limit, "en"))
    chinese = kind.chinese.format(**said, figure=_rough(fact.figure, "zh"), limit=_rough(fact.limit, "zh"))
    return english, chinese


def _rough(seconds: float, lang: str) -> str:
    """In whole seconds, or whole minutes where it is more than two of them."""
    unit = 60.0 if seconds > _FEW_S else 1.0
    return duration(
        math.floor(seconds / unit) * unit if seconds >= 1 else seconds, "zh" if lang == "zh" else "en"
    )
