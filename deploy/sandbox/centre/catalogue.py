"""目录: files of rows newer than a version (1301..1311, 1313..1315). A row is computed, so there may be a million.

The same version is always the same rows. The first rows are the items of the price list; `publish` makes a version
that changes some names, ends an item and has two new ones.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.sandbox.centre.prices import PRICES
from schemas.nhsa.catalogue import columns

FILES = (
    "1301",
    "1302",
    "1303",
    "1305",
    "1306",
    "1307",
    "1308",
    "1309",
    "1310",
    "1311",
    "1313",
    "1314",
    "1315",
)
_FEW = 50
_CHANGED = 5  # rows of a version, beside the one that ends and two new ones
_FORMS = 8  # rows have empty columns in as many ways
_LIST_TYPES = {"1301": "101", "1302": "102", "1305": "201", "1306": "301"}
_BATCH = 2000
# The column that items are named by is the first of these that a file has; so is the one of their names.
_CODES = (
    *("med_list_codg", "diag_code", "oprn_oprt_code", "opsp_dise_code", "bydise_setl_list_code"),
    *("daysrg_dise_list_code", "tmor_cell_type_code", "dise_type_code", "sds_type_code"),
)
_NAMES = (
    *("drug_genname", "tcmherb_name", "servitem_name", "hi_genname", "diag_name", "oprn_oprt_name"),
    *(
        "opsp_dise_name",
        "bydise_setl_dise_name",
        "daysrg_dise_name",
        "tmor_cell_type",
        "dise_type_name",
        "sds_type_name",
        "drug_prodname",
    ),
)


def version(number: int) -> str:
    """As `ver` says it; they sort as texts."""
    return f"F001_{number:04d}_A"


def version_number(ver: str) -> int:
    """0 for '', '0' and what is no version of ours."""
    parts = ver.split("_")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 0


class Catalogues:
    """Which versions there are. `rows` says how many rows the first has, by transaction."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._rows = dict(rows)
        self.newest = dict.fromkeys(FILES, 1)

    def publish(self, kind: str) -> str:
        """A newer version: its name."""
        self.newest[kind] += 1
        return version(self.newest[kind])

    def base(self, kind: str) -> int:
        return self._rows.get(kind, _FEW)

    def count(self, kind: str, after: int) -> int:
        """Rows that are newer than a version."""
        changed = len(self._states(kind, after))
        if after >= 1:
            return changed
        return self.base(kind) + sum(1 for n in self._states(kind, 1) if n >= self.base(kind))

    def lines(self, kind: str, after: int) -> Iterator[str]:
        """Every item once, as it is now, with its newest version; in the order of versions."""
        row = _Row(kind)
        later = self._states(kind, max(after, 1))
        if after < 1:
            for n in range(self.base(kind)):
                if n not in later:
                    yield row.line(n, 1)
        for n, (ver, ended) in later.items():
            yield row.line(n, ver, ended)

    def write(self, kind: str, after: int, path: Path) -> None:
        """The zip, of any size in little memory."""
        part = path.with_suffix(".part")
        with (
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(f"{kind}.txt", "w", force_zip64=True) as text,
        ):
            batch: list[str] = []
            for line in self.lines(kind, after):
                batch.append(line)
                if len(batch) == _BATCH:
                    text.write("".join(batch).encode())
                    batch.clear()
            text.write("".join(batch).encode())
        shutil.move(part, path)

    def _states(self, kind: str, after: int) -> dict[int, tuple[int, bool]]:
        """Item to its newest version and whether that ended it, of what versions later than `after` and 1 changed."""
        base = self.base(kind)
        found: dict[int, tuple[int, bool]] = {}
        for ver in range(max(after, 1) + 1, self.newest[kind] + 1):
            fresh = base + 2 * (ver - 2)
            touched = [(ver * 7 + n * 3) % base for n in range(_CHANGED)] if base else []
            for n in [*touched, fresh, fresh + 1]:
                found.pop(n, None)
                found[n] = (ver, False)
            if base:
                found.pop(ended := (ver * 11) % base, None)
                found[ended] = (ver, True)
        return found


class _Row:
    """Lines of one file: templates with the few columns that differ from row to row left open."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        names = [column.name for column in columns(kind)]
        self._code = next((name for name in _CODES if name in names), names[0])
        self._name = next((name for name in _NAMES if name in names and name != self._code), "")
        self._forms = [self._form(names, form) for form in range(_FORMS)]
        wanted = _LIST_TYPES.get(kind)
        self._items = [price for price in PRICES.values() if price.list_type == wanted]

    def line(self, n: int, ver: int, ended: bool = False) -> str:
        if n < len(self._items):
            code, name = self._items[n].code, self._items[n].name
        else:
            code, name = f"X{self._kind}{n:014d}", f"示例项目{n}"
        if ver > 1:
            name += f"(第{ver}版)"
        vali = "0" if ended else "1"
        fields = (code, name, f"{self._kind}{n:012d}", version(ver), vali)
        return self._forms[n % _FORMS].format(*fields)

    def _form(self, names: list[str], form: int) -> str:
        said = {self._code: "{0}", self._name: "{1}", "rid": "{2}", "ver": "{3}", "vali_flag": "{4}"}
        cells = []
        for at, name in enumerate(names):
            if name in said:
                cells.append(said[name])
            elif at and (at * 5 + form) % 3 == 0:
                cells.append("null")
            else:
                cells.append(_cell(name, form))
        return "\t".join(cells) + "\n"


def _cell(name: str, form: int) -> str:
    if name.endswith(("_time",)):
        return "2026-01-01 00:00:00"
    if name.endswith("date"):
        return "2026-01-01"
    if name.endswith(("flag", "stas", "type")):
        return str(form % 2)
    if name.endswith(("_cnt", "_pric", "rat")):
        return str(form + 1)
    return f"示例{name[:8]}{form}"
