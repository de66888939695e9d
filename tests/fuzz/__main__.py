"""`make fuzz`: every reader of a stranger's bytes for a while, and what broke one.

    python tests/fuzz [--seconds 60] [--jobs 2] [target ...]

Each target runs in a process of its own: where atheris is installed, led by which branches of our code its bytes reach;
elsewhere by blind mutations. What breaks a target is kept in var/fuzz and played again with `--again FILE`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "var" / "fuzz"
OURS = ("schemas", "endpoints", "transforms", "channels", "config")
ONE_INPUT_S = 10  # longer is a finding too
MEMORY_MB = 2048
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)|^runs: (\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True)
class Result:
    """`covered` counts branches of our code that were reached; 0 without atheris."""

    name: str
    runs: int
    covered: int
    broken: str  # the file, or ''
    said: str


def main() -> int:
    """Exit code 1 when a target broke."""
    chosen = _arguments()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    if chosen.child:
        return _fuzz(chosen.child, chosen.seconds)
    names = _names(chosen.targets)
    if chosen.again:
        return _again(names[0], Path(chosen.again))
    KEPT.mkdir(parents=True, exist_ok=True)
    print(f"{len(names)} targets, {chosen.seconds} s each, {chosen.jobs} at a time", flush=True)
    print(f"{'target':24} {'runs':>10} {'runs/s':>8} {'branches':>9}", flush=True)
    broken = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for result in pool.map(lambda name: _run(name, chosen.seconds), names):
            rate = result.runs / max(chosen.seconds, 1)
            print(f"{result.name:24} {result.runs:10,} {rate:8,.0f} {result.covered:9,}", flush=True)
            broken += [result] if result.broken else []
    for result in broken:
        print(
            f"BROKEN: {result.name}: {result.said}\n  python tests/fuzz '{result.name}' --again {result.broken}"
        )
    return int(bool(broken))


def _run(name: str, seconds: int) -> Result:
    """One target in its own process. Its last words say what broke."""
    command = [sys.executable, str(Path(__file__).parent), "--child", name, "--seconds", str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    said = ended.stderr + ended.stdout
    runs = sum(int(first or second) for first, second in _RUNS.findall(said))
    covered = max(map(int, _COVERED.findall(said)), default=0)
    if ended.returncode == 0:
        return Result(name, runs, covered, "", "")
    kept = re.findall(r"(?:Test unit written to |kept: )(\S+)", said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raised = [
        line for line in lines if re.match(r"[\w.]*(?:Error|Exception|Timeout)\b|ERROR: libFuzzer", line)
    ]
    return Result(name, runs, covered, kept[-1] if kept else "?", (raised or lines or ["ended"])[-1][:300])


def _fuzz(name: str, seconds: int) -> int:
    """In the child: until the time is over, or something breaks."""
    try:
        import atheris
    except ImportError:
        return _blindly(name, seconds)
    with atheris.instrument_imports(include=list(OURS)):
        from targets import targets
    target = next(one for one in targets() if one.name == name)
    begin = tempfile.mkdtemp(prefix="jingluo-seeds-")
    for number, seed in enumerate(target.seeds):
        (Path(begin) / str(number)).write_bytes(seed)
    words = Path(begin).with_suffix(".words")
    hexed = ("".join(f"\\x{byte:02x}" for byte in word) for word in (*target.words, b"\0"))
    words.write_text("".join(f'"{word}"\n' for word in hexed))
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={ONE_INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-max_len=20000",
    ]
    options += [
        f"-dict={words}",
        "-print_final_stats=1",
        f"-artifact_prefix={KEPT / name.replace(' ', '-')}-",
    ]
    atheris.Setup([sys.argv[0], *options, begin], target.run)
    atheris.Fuzz()
    return 0


def _blindly(name: str, seconds: int) -> int:
    """Hypothesis, seed after seed."""
    import itertools
    import time

    from hypothesis import HealthCheck, given, seed, settings
    from mutations import mutated
    from targets import targets

    target = next(one for one in targets() if one.name == name)
    until, runs, last = time.monotonic() + seconds, 0, b""

    def reads(data: bytes) -> None:
        nonlocal runs, last
        runs, last = runs + 1, data
        target.run(data)

    quiet = settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    try:
        for number in itertools.count():
            if time.monotonic() > until:
                return 0
            seed(number)(quiet(given(mutated(target.seeds, target.words))(reads)))()
    except Exception:
        kept = KEPT / f"{name.replace(' ', '-')}-broken"
        kept.write_bytes(last)
        print(f"kept: {kept}")
        raise
    finally:
        print(f"runs: {runs}")


def _again(name: str, file: Path) -> int:
    from targets import targets

    next(one for one in targets() if one.name == name).run(file.read_bytes())
    print(f"{name}: reads {file}, or refuses it as it should")
    return 0


def _names(wanted: list[str]) -> list[str]:
    from targets import targets

    known = [target.name for target in targets()]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no target {', '.join(unknown)}; there are: {', '.join(known)}")
    return wanted or known


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--again", default="", help="a file that broke the target")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
