"""`jingluo messages`, as an operator types it: a process of its own beside the one that writes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

from command_parts import Run, stored
from msgspec.structs import replace

from router.commands.tables import readable
from router.envelope import BlobRef
from router.store import Store


def test_a_patients_messages_are_found_while_another_process_writes(site: Path, store: Store) -> None:
    writing = threading.Event()

    def write() -> None:
        for number in range(100, 1000):
            store.write([stored(number)[0]], [])
            writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    writing.wait(10)
    command = [sys.executable, "-c", "from router.cli import main; main()", "--site", str(site)]
    done = subprocess.run(
        [*command, "messages", "search", "P0007", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    writer.join()
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["found"]
    assert found["index"] == {"patient": "P0007", "name": "测试[甲]"}
    assert [(d["destination"], d["state"]) for d in found["deliveries"]] == [
        ("lis", "dead"),
        ("emr", "waiting"),
    ]


def test_a_list_shows_each_message_on_a_line_with_its_state(run: Run) -> None:
    code, out = run("search", "--channel", "his-adt", "--limit", "5")
    lines = out.splitlines()
    assert code == 0
    assert [line[:32] for line in lines[1:6]] == [stored(n)[0].id for n in (11, 10, 9, 8, 7)]
    assert "lis:dead emr:waiting" in lines[5]
    assert "name=测试[甲]" in lines[5]
    assert lines[6] == f"more: --after {stored(7)[0].id}"
    _, out = run("search", "--limit", "50", "--after", stored(2)[0].id, "--json")
    assert [m["id"] for m in json.loads(out)["found"]] == [stored(1)[0].id, stored(0)[0].id]


def test_a_list_is_narrowed_by_everything_that_is_given(run: Run) -> None:
    def ids(*words: str) -> list[str]:
        return [m["id"] for m in json.loads(run("search", "--json", *words)[1])["found"]]

    assert ids("--state", "dead", "--to", "lis", "--code", "AR") == [stored(7)[0].id]
    assert ids("--index", "patient=P0008", "-i", "name=测试[甲]", "--kind", "ADT*", "--state", "sent") == [
        stored(8)[0].id
    ]
    assert ids("--until", "2026-01-01") == []
    assert len(ids("--since", "2026-01-01", "--until", "2099-01-01T08:00")) == 12
    assert run("search", "nobody")[1].strip() == "nothing found 未找到"


def test_a_question_that_makes_no_sense_is_answered_with_what_would(run: Run) -> None:
    assert "name=value" in run("search", "--index", "patient")[1]
    assert "write 30m, 24h" in run("search", "--since", "yesterday")[1]
    assert "there are accepted, filtered" in run("search", "--state", "gone")[1]
    assert "JL-J005" in run("show", "ffffffff")[1]
    assert "JL-J004" in run("show", "no-id")[1]


def test_a_message_is_shown_without_its_body_unless_asked(run: Run) -> None:
    id = stored(7)[0].id
    code, out = run("show", id)
    assert code == 0
    assert "patient: P0007" in out
    assert "no [bed]" in out
    assert "PID|1" not in out
    assert "MSA" not in out
    _, out = run("show", id, "--body")
    assert "patient data" in out
    assert "\nPID|1||P0007||测试^甲\n" in out
    assert "\nMSA|AR|1\n" in out
    facts = json.loads(run("show", id, "--json")[1])
    assert (facts["body"], facts["tries"][0]["answer"], facts["message"]["id"]) == (None, None, id)


def test_bytes_that_are_no_text_do_not_reach_the_terminal_as_they_are() -> None:
    assert readable(b"A\x1b[31m\x00\r\nB\rC", "") == "A␛[31m␀\nB\nC"
    assert readable("张".encode("gb18030"), "no-such-charset") == "张"


def test_dead_letters_and_counts_add_up(run: Run) -> None:
    assert run("dead")[1].splitlines()[1].split()[1:5] == ["his-adt", "lis", "AR", "1"]
    groups = json.loads(run("dead", "--json", "--to", "lis")[1])["groups"]
    assert [(g["destination"], g["code"], g["count"]) for g in groups] == [("lis", "AR", 1)]
    lines = json.loads(run("counts", "--since", "2026-01-01", "--json")[1])
    lis = next(line for line in lines if line["destination"] == "lis")
    assert (lis["accepted"], lis["delivered"], lis["dead"], lis["waiting"]) == (12, 1, 1, 10)
    assert run("counts", "--since", "2026-01-01")[1].splitlines()[3].split() == [
        "his-adt",
        "lis",
        "12",
        "1",
        "1",
        "10",
        "0",
    ]


def test_a_large_body_that_cannot_be_read_leaves_no_half_a_file(
    run: Run, store: Store, tmp_path: Path
) -> None:
    envelope, _ = stored(20)
    store.write([replace(envelope, body=b"", blob=BlobRef(envelope.id, 2_000_000, b""))], [])
    saved = tmp_path / "saved"
    code, out = run("show", envelope.id, "--save", str(saved))
    assert (code, "JL-L002" in out) == (1, True)
    assert not saved.exists()
