"""The list of settlements that goes up and the centre's result that comes down: 9101, 3202, 9102.

Some centres compare as a task of their own instead: 3211 begins it, 3212 says when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace as replaced

from config.errors import BadMessage, Refused, Unreachable
from endpoints.insurance.files import Answer, Centre, FileNumber, download, file_number, settled, upload
from endpoints.insurance.statement_books import member
from endpoints.insurance.statement_kept import Detail
from endpoints.insurance.zipped import text_of, zipped
from schemas.nhsa.statement import Form, Group, Key, detail_input
from schemas.nhsa.statement_files import Result, detail_file, results

AGAIN_S = 60.0  # until a task is looked at again
_FILES = ("file_qury_no1", "file_qury_no2", "file_qury_no3")


class Lists:
    """Of one party. `folder` is where result files lie while they are read: they name patients, and go."""

    def __init__(self, centre: Centre, form: Form, folder: Path, now: Callable[[], float]) -> None:
        self._centre, self._form, self._folder, self._now = centre, form, folder, now

    async def begun(
        self, detail: Detail, group: Group, begin: str, end: str, told: Callable[[str], None]
    ) -> Detail:
        """The file is up, and the centre has been asked. Raises Refused and Unreachable."""
        told("9101")
        name = "_".join(("stmt", begin, end, *parts(detail.key)))
        packed = zipped(f"{name}.txt", [detail_file(group.rows, self._form)])
        sent = await upload(self._centre, f"{name}.zip", packed)
        if self._form.task:
            told("3211")
            asked = {"clr_begin_ymd": begin, "clr_end_ymd": end, "file_qury_no": sent.number}
            answer = await self._centre.call("3211", {"data": asked})
            key = str(member(answer.output, "data", "result").get("task_key") or "")
            if not key:  # it is under way once there is one
                settled(answer, "3211")
                raise Refused("JL-N213", "3211: the centre named no task_key 未返回任务查询号")
            return replaced(detail, task_key=key)
        told("3202")
        asked = detail_input(group, begin, end, self._form, sent.number)
        file = file_number(settled(await self._centre.call("3202", asked), "3202"))
        if file is None:
            raise Refused("JL-N105", "3202: the centre named no file_qury_no 未返回文件查询号")
        return replaced(detail, result_no=file.number, result_name=file.name, result_until=file.until)

    async def result(self, detail: Detail, told: Callable[[str], None]) -> list[Result]:
        """Raises Refused where there is no such file, or not in the form of the province (JL-N202); Unreachable
        (JL-N212) while the centre still compares."""
        files = [FileNumber(detail.result_no, detail.result_name, detail.result_until)]
        if detail.task_key:
            told("3212")
            files = self._of_task(await self._centre.call("3212", {"data": {"task_key": detail.task_key}}))
        found: list[Result] = []
        for file in files:
            told("9102")
            found += await self._read(file, detail.digest)
        return found

    def _of_task(self, answer: Answer) -> list[FileNumber]:
        said: Any = answer.output
        if isinstance(said, Mapping):
            said = said.get("data", said)
        rows = said if isinstance(said, list) else [said]
        numbers = [str(row.get(name) or "") for row in rows if isinstance(row, Mapping) for name in _FILES]
        found = [FileNumber(number, f"{number}.zip") for number in dict.fromkeys(numbers) if number]
        if not found:
            if answer.outcome != "PROCESSING":
                settled(answer, "3212")
            raise Unreachable(
                "JL-N212", "3212: the centre is still comparing 中心对账未完成", after_s=AGAIN_S
            )
        return found

    async def _read(self, file: FileNumber, digest: str) -> list[Result]:
        path = self._folder / f"statement-{digest}.zip"
        try:
            await download(self._centre, file, path, self._now())
            with text_of(path) as text:
                return results(text.read(), self._form)
        except BadMessage as error:
            raise Refused(error.code, f"9102: {error.text} {error.path}".strip()) from None
        finally:
            path.unlink(missing_ok=True)


def parts(key: Key) -> list[str]:
    return [part for part in (key.setl_optins, key.insutype, key.clr_type, key.flag) if part]
