"""A party that keeps catalogues and files, for tests that need no wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.errors import Unreachable
from endpoints.insurance.files import Answer, Take
from endpoints.insurance.lines import written
from endpoints.insurance.zipped import zipped

Item = tuple[str, ...]


class Centre:
    """`versions`: each with its rows, oldest first; asked for a version it gives a file of the next one."""

    fixmedins_code = "H99999900001"

    def __init__(self, ver_at: int = 5) -> None:
        self.versions: list[tuple[str, Sequence[Item]]] = []
        self.pages: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.until = "2099-01-01"
        self.fails: Callable[[str, int], Any] = lambda infno, count: (
            None
        )  # what to answer in place of the truth

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        self.asked.append((infno, input))
        wrong = self.fails(infno, len(self.asked))
        if isinstance(wrong, Exception):
            raise wrong
        if isinstance(wrong, Answer):
            return wrong
        if infno == "9101":
            number = f"F{len(self.files)}"
            self.files[number] = bytes(input["fsUploadIn"]["in"])
            name = input["fsUploadIn"]["filename"]
            return Answer("OK", {"file_qury_no": number, "filename": name, "dld_endtime": self.until})
        if infno in self.pages:
            return self._page(infno, input["data"])
        return self._newer(input["data"]["ver"])

    def _newer(self, ver: str) -> Answer:
        known = [name for name, _ in self.versions]
        later = self.versions[known.index(ver) + 1 :] if ver in known else self.versions
        if not later:
            return Answer("OK", {})
        name, rows = later[0]
        self.files[name] = zipped(f"{name}.txt", written(rows))
        facts = {"file_qury_no": name, "filename": f"../{name}.zip", "dld_end_time": self.until}
        return Answer("OK", {**facts, "data_cnt": len(rows)})

    def _page(self, infno: str, asked: Mapping[str, Any]) -> Answer:
        rows = [row for row in self.pages[infno] if row["updt_time"][:10] >= asked["updt_time"]]
        size, number = asked["page_size"], asked["page_num"]
        pages = -(-len(rows) // size)
        facts = {"recordCounts": len(rows), "pages": pages, "pageNum": number, "lastPage": number >= pages}
        return Answer("OK", {**facts, "data": rows[(number - 1) * size : number * size]})

    async def fetch(self, infno: str, input: Mapping[str, Any], take: Take) -> Answer:
        self.asked.append((infno, input))
        asked = input["fsDownloadIn"]
        wrong = self.fails(infno, len(self.asked))
        if isinstance(wrong, Answer):
            return wrong
        content = wrong if isinstance(wrong, bytes) else self.files.get(asked["file_qury_no"])
        if content is None:
            return Answer("REJECTED", None, "-1", "no such file")
        for at in range(0, len(content), 7):
            await take(content[at : at + 7])
            if isinstance(wrong, Exception):
                raise wrong
        return Answer("OK")

    def calls(self, infno: str) -> int:
        return sum(one == infno for one, _ in self.asked)


def away() -> Unreachable:
    return Unreachable("JL-E001", "the centre is not there")
