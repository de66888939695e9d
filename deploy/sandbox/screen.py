"""What the demo shows: progress, the balance, and where to look next. Chinese and English."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.sandbox.balance import Balance
from deploy.sandbox.hospital import Doors, Hospital
from router.engine import Engine

_NUMBERS = (
    "接收\nAccepted",
    "送达\nDelivered",
    "过滤\nFiltered",
    "死信\nDead",
    "等待\nWaiting",
    "丢失\nLost",
)


class Bar(AbstractContextManager["Bar"]):
    """A progress bar on a terminal; a line at each quarter elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, disable=not sys.stdout.isatty())
        self._task = self._bar.add_task("发送 sending", total=total)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self) -> None:
        self._done += 1
        self._bar.advance(self._task)
        if self._bar.disable and self._done % max(self._total // 4, 1) == 0:
            print(f"发送 sent {self._done}/{self._total}", flush=True)

    def say(self, text: str) -> None:
        self._bar.update(self._task, description=text)


def show(result: Balance, hospital: Hospital) -> None:
    """The table, a line of the books, and the verdict."""
    table = Table(title="示例医院的一天 A day in the example hospital")
    for heading in ("通道\nChannel", "去向\nTo"):
        table.add_column(heading, no_wrap=True)
    for heading in _NUMBERS:
        table.add_column(heading, justify="right")
    before = ""
    for line in result.lines:
        if before and line.channel != before:
            table.add_section()
        figures = (line.accepted, line.delivered, line.filtered, line.dead, line.waiting, line.lost)
        table.add_row(line.channel if line.channel != before else "", line.destination, *map(str, figures))
        before = line.channel
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    console.print(table)
    doubled, asked = sum(line.doubled for line in result.lines), len(hospital.asked.answers)
    kept = ", ".join(f"{kind} {count}" for kind, count in sorted(hospital.emr.counts().items()))
    console.print(
        "各方账本 The parties' books: "
        f"重复收到 received twice {doubled}; 查到患者 patients found {hospital.found} of {asked}"
    )
    console.print(f"病历 The record keeps: {kept}")
    if hospital.insured.centre.books.settlements:
        console.print(_money(hospital))
    print(result.verdict, flush=True)


def _money(hospital: Hospital) -> str:
    """What callers were told of settlements, beside the insurance centre's books."""
    told = [made for counter in hospital.insured.counters for made in counter.settled.values()]
    total, fund, account, cash = (
        sum(getattr(made, name) for made in told) / 100 for name in ("total", "fund", "account", "cash")
    )
    wrong = hospital.insured.differences()
    verdict = (
        "与中心账本一致 the centre's books say the same" if not wrong else f"不一致 DIFFERENT: {len(wrong)}"
    )
    return (
        f"医保结算 Settlements {len(told)}: 总额 {total:.2f} = 基金 fund {fund:.2f} + 账户 account {account:.2f} "
        f"+ 现金 cash {cash:.2f}; {verdict}"
    )


def leave_out(channels: Sequence[str]) -> None:
    print(
        f"没有影像设备和 PACS：未装 dicom。No modality and no PACS ({', '.join(channels)}): "
        "the extra `dicom` is not installed; pip install 'jingluo[dicom]'",
        flush=True,
    )


def hint() -> None:
    """What to do next, in one line."""
    print(
        "接下来 Next: make demo ARGS=--keep (留下来看 stay up and look around); "
        'make demo ARGS="--misbehave lis=slow:1 --misbehave emr=refuse@10%"; channels/README.md'
    )


def invite(engine: Engine, hospital: Hospital, doors: Doors) -> None:
    """What to try while it stays up."""
    web = f"http://127.0.0.1:{engine.web.port}"
    patient = next(iter(hospital.lis.texts.values())).split("PID|1||", 1)[1].split("^", 1)[0]
    imaging = f", imaging-orders {doors.exams}; DICOM: images {doors.images}" if hospital.imaging else ""
    print(
        f"""
系统继续运行，按 Ctrl-C 结束。It stays up until Ctrl-C. In another terminal:

  curl {web}/v1/patients/{patient}   查询患者: a patient, answered from the record
  curl "{web}/soap/his?wsdl"         分院老 HIS 的接口: what the branch's HIS calls
  curl {web}/health/ready            健康: health
  curl {web}/metrics                 指标: figures
  curl http://127.0.0.1:{hospital.emr.port}/fhir                    病历: what the record keeps

  export JINGLUO_VAR={engine.settings.var} JINGLUO_HTTP_PORT={engine.web.port}
  .venv/bin/jingluo messages search --index patient={patient}   找消息: find messages
  .venv/bin/jingluo messages dead                                死信: dead letters

MLLP: his-adt {doors.adt}, his-orders {doors.orders}, lab-results {doors.results}{imaging}
价格表 Drop price lists into {hospital.folders.drop_dir}""",
        flush=True,
    )
