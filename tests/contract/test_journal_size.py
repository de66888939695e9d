"""No question reads the whole journal: on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import psycopg
from journal_parts import NOW, day_file, found, message, tried
from sqlalchemy import Engine, event

from router.ids import day_at
from router.store import Store
from router.store.tables import named

DAY = day_at(NOW)


def _rows_read(journal_url: str, statement: str, parameters: Any) -> int:
    """How many rows the question touched. SQLite only tells where it would read a whole table."""
    if journal_url.startswith("sqlite"):
        with sqlite3.connect(day_file(journal_url)) as file:
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        file.close()
        rare = (
            r"(?! USING (COVERING )?INDEX (attempt_not_sent|message_not_accepted)_)"  # hold what failed only
        )
        whole = re.compile(rf"SCAN ((message|message_index|delivery_attempt)_{DAY}|i0|mine|later)\b{rare}")
        return 20_000 if any(map(whole.match, plan)) else 0
    with psycopg.connect(journal_url) as connection:
        answer = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchone()  # type: ignore[arg-type]
    assert answer is not None
    return _touched(answer[0][0]["Plan"])


def _touched(node: dict[str, Any]) -> int:
    rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return int(rows) + sum(_touched(part) for part in node.get("Plans", ()))


def test_no_search_reads_the_whole_journal(journal_url: str, store: Store) -> None:
    """20,000 messages of which few fail: every question an operator waits for is answered from an index."""
    ids = []
    for start in range(0, 20_000, 2_000):
        batch = [
            message(NOW + n, channel=f"c{n % 20}", index={"patient": f"P{n:06}", "name": f"测试{n % 5000}"})
            for n in range(start, start + 2_000)
        ]
        ids += [e.id for e in batch]
        store.write(batch, [tried(e, "sent" if e.received_ms % 500 else "dead") for e in batch])
    if journal_url.startswith("postgresql"):
        with psycopg.connect(journal_url, autocommit=True) as connection:
            connection.execute(f"ANALYZE message_{DAY}, message_index_{DAY}, delivery_attempt_{DAY}")
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "journal_key" not in statement and "body_" not in statement:
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert found(store, text="P012345") == [ids[12345]]
        assert found(store, index={"name": "测试77"}) == [ids[n] for n in (15077, 10077, 5077, 77)]
        assert found(store, index={"patient": "P012345", "name": f"测试{12345 % 5000}"}) == [ids[12345]]
        assert found(store, id=ids[777]) == [ids[777]]
        assert found(store, 3, channel="c7") == [ids[n] for n in (19987, 19967, 19947)]
        assert found(store, 1, channel="c7", until_ms=NOW + 10_000) == [ids[9987]]
        assert found(store, 2, state="dead", destination="lis") == [ids[19500], ids[19000]]
        assert found(store, state="refused") == []
        assert found(store, code="JL-E009") == []
        assert [g.count for g in store.dead().groups] == [40]
        assert store.show(ids[5]).children == ()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    ours = [
        (text, values) for text, values in asked if "schema_version" not in text and "pg_catalog" not in text
    ]
    assert len(ours) > 15
    for statement, parameters in ours:
        assert _rows_read(journal_url, named(statement, DAY), parameters) < 1_000, statement
