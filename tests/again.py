"""`make test`, and once more what failed, alone: on a machine that others use a port is taken or a second is late.

What passes only then is named at the end, so that it is not forgotten. What proves that nothing is lost gets no second
try, and where many failed it was not the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 5
PROOFS = ("tests/chaos/", "tests/settlement/", "tests/insurance/")
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest"]
    FAILED.unlink(missing_ok=True)
    code = subprocess.call([*pytest, *arguments])
    if code != 1:  # of pytest's exit codes: some tests failed
        return code
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not second_try(failed):
        return code
    print(f"\nonce more, alone: {len(failed)}", flush=True)
    code = subprocess.call([*pytest, "-p", "no:xdist", "-p", "no:cacheprovider", *failed])
    if code == 0:
        print("passed only when run alone:", *failed, sep="\n  ")
    return code


def second_try(failed: list[str]) -> bool:
    """Whether what failed may have been the machine's moment."""
    return 0 < len(failed) <= MOST and not any(name.startswith(PROOFS) for name in failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
