"""What `make test` runs a second time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).parents[1] / "again.py"
CASE = """
from pathlib import Path

def test_first():
    marker = Path("came")
    came = marker.exists()
    marker.touch()
    assert {passes}
"""


def played(folder: Path, file: str, passes: str) -> tuple[int, str]:
    test = folder / file
    test.parent.mkdir(parents=True, exist_ok=True)
    test.write_text(CASE.format(passes=passes))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, str(AGAIN), "-q", "--rootdir", ".", file]
    made = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return made.returncode, made.stdout


def test_what_passes_alone_is_named(tmp_path: Path) -> None:
    code, said = played(tmp_path, "tests/unit/test_moment.py", "came")
    assert code == 0
    assert said.endswith("passed only when run alone:\n  tests/unit/test_moment.py::test_first\n")


@pytest.mark.parametrize(
    ("file", "passes", "times"),
    [("tests/unit/test_broken.py", "False", 2), ("tests/chaos/test_lost.py", "came", 1)],
)
def test_what_fails_again_and_every_proof_fails(tmp_path: Path, file: str, passes: str, times: int) -> None:
    code, said = played(tmp_path, file, passes)
    assert (code, said.count("FAILED")) == (1, times)
