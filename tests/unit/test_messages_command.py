"""`jingluo messages`, as an operator types it: a process of its own beside the one that writes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import JingluoError
from config.settings import load_settings
from router import cli
from router.commands.messages import app
from router.commands.tables import readable
from router.envelope import Attempt, Envelope
from router.replay import Replayer, ReplayRequest
from router.store import Store, open_journal

NOW = 1_790_000_000_000
BODY = "MSH|^~\\&|HIS|WARD\rPID|1||P0007||测试^甲\r".encode("gb18030")

Run = Callable[..., tuple[int, str]]


def stored(number: int, outcome: str = "") -> tuple[Envelope, list[Attempt]]:
    id = f"{NOW + number:012x}{number:020x}"
    facts = {"patient": f"P{number:04}", "name": "测试[甲]"}
    e = Envelope(
        id,
        "his-adt",
        NOW + number,
        "mllp ::1",
        "hl7v2",
        "GB18030",
        "ADT^A01",
        BODY,
        {},
        facts,
        ("lis", "emr"),
    )
    code = "AR" if outcome == "dead" else "AA"
    tries = (
        [Attempt(id, "his-adt", "lis", 1, NOW, 3, outcome, code, "no [bed]", b"MSA|AR|1\r")]
        if outcome
        else []
    )
    return e, tries


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "channels").mkdir()
    monkeypatch.setattr(cli, "_site", tmp_path)
    for name in [name for name in os.environ if name.startswith("JINGLUO_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def store(site: Path) -> Iterator[Store]:
    opened = open_journal(load_settings(site, {}))
    for number in range(12):
        e, tries = stored(number, {7: "dead", 8: "sent"}.get(number, ""))
        opened.write([e], tries)
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Run:
    def call(*words: str, typed: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words), input=typed)
        if isinstance(result.exception, JingluoError):  # what `jingluo` itself prints, and ends with 1
            return 1, f"{result.output}{result.exception}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return call


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


# --- Replay


@pytest.fixture
def engine(site: Path, store: Store) -> Iterator[list[Envelope]]:
    """What answers `POST /api/replay`: the real replayer behind a plain server. Gives what was published."""
    published: list[Envelope] = []

    async def publish(envelope: Envelope) -> None:
        published.append(envelope)

    replayer = Replayer(store, publish, lambda: NOW + 10_000)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/api/replay" or self.headers["Authorization"] != "Bearer s3cret":
                status, answer = 401, b'{"detail": "who are you"}'
            else:
                done = asyncio.run(replayer.replay(ReplayRequest.model_validate_json(body)))
                status, answer = 200, done.model_dump_json().encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the test's screen."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    (site / "jingluo.yaml").write_text(f"http: {{host: 127.0.0.1, port: {server.server_port}}}\n")
    (site / "var" / "operator-token").write_text("s3cret")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield published
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_replay_says_how_many_and_where_to_and_asks_first(run: Run, engine: list[Envelope]) -> None:
    code, out = run("replay", "--channel", "his-adt", "--destination", "emr", typed="n\n")
    assert code == 1
    assert "12 messages" in out
    assert "his-adt/emr: 12" in out
    assert engine == []
    code, out = run("replay", "--channel", "his-adt", "--destination", "emr", typed="y\n")
    assert (code, len(engine)) == (0, 12)
    assert "replayed 12, failed 0" in out
    assert {e.destinations for e in engine} == {("emr",)}


def test_dead_letters_are_replayed_where_they_are_dead(run: Run, engine: list[Envelope]) -> None:
    assert run("replay", "--state", "dead", "--yes")[0] == 0
    assert [(e.parent, e.destinations) for e in engine] == [(stored(7)[0].id, ("lis",))]


def test_one_message_is_replayed_with_an_edited_body(
    run: Run, engine: list[Envelope], tmp_path: Path
) -> None:
    edited = tmp_path / "edited.hl7"
    edited.write_bytes(b"MSH|edited\r")
    assert run("replay", stored(3)[0].id, "--body", str(edited), "--plan")[0] == 0
    assert engine == []
    assert run("replay", stored(3)[0].id, "--body", str(edited), "--yes")[0] == 0
    assert [(e.body, e.destinations) for e in engine] == [(b"MSH|edited\r", ("lis", "emr"))]


def test_a_message_that_cannot_be_replayed_makes_the_command_fail(run: Run, engine: list[Envelope]) -> None:
    code, out = run("replay", "f" * 32, stored(1)[0].id, "--yes")
    assert code == 1
    assert f"{'f' * 32}: JL-J005" in out
    assert len(engine) == 1


def test_a_replay_without_saying_what_is_refused(run: Run) -> None:
    assert "JL-J004" in run("replay", "--yes")[1]
    assert "not both" in run("replay", stored(1)[0].id, "--channel", "his-adt")[1]


def test_a_replay_needs_a_running_engine_and_its_token(run: Run, engine: list[Envelope], site: Path) -> None:
    token = site / "var" / "operator-token"
    token.write_text("stale")
    assert "401: who are you" in run("replay", stored(1)[0].id)[1]
    token.unlink()
    assert "no engine has run here" in run("replay", stored(1)[0].id)[1]


def test_a_replay_to_an_engine_that_is_down_says_so(run: Run, site: Path) -> None:
    (site / "jingluo.yaml").write_text("http: {host: 127.0.0.1, port: 1}\n")
    (site / "var" / "operator-token").write_text("s3cret")
    assert "no engine answers" in run("replay", stored(1)[0].id)[1]
