"""An insurance catalogue of a million rows: from its zip to what readers see, on each database.

Three imports one after the other, each in a process of its own: into an empty table; the same file again, where every
row is compared and nothing changed; and again with a twentieth of the rows changed. Rows have the 92 columns of 1301
and are of the length that such rows have. Memory is the importing process's greatest (VmHWM), with Python and its
libraries; CPU is its own, without a database server's.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.services import database, postgresql
from bench.table import Table
from endpoints.insurance.catalogue_import import Way, import_file, owner
from endpoints.insurance.kinds import layout
from endpoints.insurance.lines import written
from endpoints.insurance.zipped import write_zip
from router.clock import now_ms
from router.store.insurance_catalogue import CatalogueStore

ROWS = 1_000_000
KIND = "1301"
MOST_S, MOST_MB = 180.0, 300.0  # of issue 6, for a million rows


def run(rows: int, only: str = "") -> Iterator[Table]:
    """Of each database whose name holds `only`."""
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-", dir="var") as folder:
        files = {name: Path(folder) / f"{name}.zip" for name in ("first", "changed")}
        for name, file in files.items():
            write_zip(file, f"{KIND}.txt", written(_rows(rows, changed=name == "changed")))
        table = Table(
            f"Catalogue {KIND}, {rows:,} rows, {files['first'].stat().st_size / 1e6:.0f} MB zip",
            ["database", "file", "s", "CPU s", "rows/s", "changed", "MB", "time", "memory"],
        )
        for name, place in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
            if only.lower() not in name.lower():
                continue
            with place(Path(folder)) as url:
                if not url:
                    table.notes.append(f"NOT MEASURED: no {name} here; `deploy/services.sh start` says why")
                    continue
                for what, file in (("first", "first"), ("again", "first"), ("changed", "changed")):
                    _measure(table, name, what, url, files[file], rows)
        yield table


def _measure(table: Table, name: str, what: str, url: str, file: Path, rows: int) -> None:
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "bench.catalogue", url, str(file)], check=False, capture_output=True
    )
    took = time.perf_counter() - began
    if ran.returncode:
        raise RuntimeError(ran.stderr.decode()[-500:])
    said = msgspec.json.decode(ran.stdout)
    table.add(
        name,
        what,
        took,
        said["cpu"],
        rows / took,
        said["changed"],
        said["mb"],
        table.target(f"{name}, {what}: seconds", took, MOST_S * rows / ROWS, most=True),
        table.target(f"{name}, {what}: MB", said["mb"], MOST_MB, most=True),
    )


def _rows(count: int, *, changed: bool) -> Iterator[list[str | None]]:
    """As rows of 1301 are: a third of the values empty, some of a few letters, some of a sentence."""
    one = layout(KIND)
    base: list[str | None] = [_value(number) for number in range(len(one.columns))]
    places = {name: one.at(name) for name in ("reg_name", "drug_genname", "vali_flag", "rid", "ver")}
    for number in range(count):
        row = base.copy()
        row[0] = f"XTEST{number:015}"
        row[places["reg_name"]] = f"测试药品{number}号注射液"
        row[places["drug_genname"]] = f"测试药品{number % 9973}"
        row[places["vali_flag"]] = "1"
        row[places["rid"]] = f"9999{number:020}"
        row[places["ver"]] = f"X001_202601{number * 28 // count + 1:02}_A"
        if changed and number % 20 == 0:
            row[places["drug_genname"]] = f"测试药品{number}改"
        yield row


def _value(number: int) -> str | None:
    if number % 3 == 0:
        return None
    return "适用于本接口规定的测试情形，一日三次，饭后服用" if number % 13 == 0 else f"值{number}"


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder.resolve()}/journal.db"


@contextlib.contextmanager
def _postgresql(_folder: Path) -> Iterator[str]:
    server = postgresql()
    if not server:
        yield ""
        return
    with database(server) as url:
        yield url


def main() -> None:
    """The process that is measured: `python -m bench.catalogue URL FILE`."""
    url, file = sys.argv[1:]
    store = CatalogueStore(url)
    report = import_file(Way(store, now_ms, owner()), layout(KIND), Path(file))
    store.close()
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    said = {
        "changed": report.new + report.changed,
        "mb": int(peak.split()[1]) * 1024 / 1e6,
        "cpu": used.ru_utime + used.ru_stime,
    }
    sys.stdout.buffer.write(msgspec.json.encode(said))


if __name__ == "__main__":
    main()
