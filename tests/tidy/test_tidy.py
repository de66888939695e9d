"""What of the house rules a test can hold."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from config.codes import FILE, codes

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "schemas", "transforms", "endpoints", "channels", "router", "deploy", "bench")
SOURCES = sorted(p for name in (*PACKAGES, "tests/chaos") for p in (ROOT / name).rglob("*.py"))


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_idea_and_a_function_fits_on_a_screen(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "over 400 lines: is there a second idea in it?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 60, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_its_idea(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body, "a module begins with what it is for"


def test_no_test_folder_hides_a_package() -> None:
    names = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir()}
    assert not names & set(PACKAGES)
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_two_folders_of_tests_have_a_part_of_one_name() -> None:
    """They stand on one path: which of the two is imported would hang on who was imported first."""
    names = [p.name for p in (ROOT / "tests").rglob("*.py") if p.name not in ("conftest.py", "__main__.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_a_test_takes_parts_of_its_own_folder_or_of_the_one_above() -> None:
    """Others are on the path only where a test of theirs was collected before."""
    tests = ROOT / "tests"
    folders = {p.stem: p.parent for p in tests.rglob("*.py")}
    elsewhere = []
    for path in tests.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        named = [n.module or "" for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)]
        homes = {name: folders[name] for name in named if name in folders and "sys.path" not in text}
        elsewhere += [
            f"{path.name}: {name}" for name, home in homes.items() if home not in (path.parent, tests)
        ]
    assert elsewhere == []


def test_nothing_unfinished_is_marked_in_the_sources() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    found = [f"{p.relative_to(ROOT)}" for p in SOURCES if mark.search(p.read_text(encoding="utf-8"))]
    assert not found


def test_the_repository_knows_no_machine_and_no_registry() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org")
    banned = re.compile("|".join(map(re.escape, ("/wo" + "rk/", "/ro" + "ot/", *hosts))))
    found = []
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in [banned.search(text)] if m]
    assert not found


def test_every_error_code_has_one_shape() -> None:
    """JL, a family's letter, three digits: what the docs and the operators look up."""
    code = re.compile(r"JL-[A-Za-z0-9]*")
    found = {m for p in SOURCES for m in code.findall(p.read_text(encoding="utf-8"))}
    wrong = {c for c in found if not re.fullmatch(r"JL-([A-Z]\d{3}|[A-Z]0?n{2,3})", c)}
    assert not wrong


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    """`jingluo docs errors` has a row for each code of the sources, and no others."""
    said = re.compile(r"JL-[A-Z]\d{3}")
    found = {m for p in SOURCES for m in said.findall(p.read_text(encoding="utf-8"))}
    assert not found - set(codes()), "give it a row in config/codes.md"
    assert not set(codes()) - found, "a row of a code that nothing says"
    rows = [line for line in FILE.read_text("utf-8").splitlines() if line.startswith("| JL-")]
    assert len(rows) == len(codes()), "a row that is no row, or stands twice"


def test_no_file_of_a_package_is_called_like_what_the_package_itself_offers() -> None:
    """The file's first import would put itself in the place of that name, in whatever process imports it."""
    clashes = []
    for init in (path for path in SOURCES if path.name == "__init__.py"):
        tree = ast.parse(init.read_text(encoding="utf-8"))
        imported = (node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
        names = {one.asname or one.name: node for node in imported for one in node.names}
        files = {path.stem for path in init.parent.glob("*.py")}
        own = init.parent.relative_to(ROOT).as_posix().replace("/", ".")
        clashes += [
            f"{init.relative_to(ROOT)}: {name}"
            for name, node in names.items()
            # What comes of the file itself is put there after the file was.
            if name in files
            and not (isinstance(node, ast.ImportFrom) and node.module in (own, f"{own}.{name}"))
        ]
    assert clashes == []
