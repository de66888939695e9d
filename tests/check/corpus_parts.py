"""The corpus of broken files: a line a case, under a heading with the code that it must get.

    == JL-C010 an unknown key @ channels/a.yaml
    ▸ordr: {by: $PID-3.1}  => 'order'

`▸` stands where the finding must point, `⏎` is a new line, what follows `=>` is a part of what must be said. Codes
after `&` are findings that come with it. A heading with `warning` has cases that are noted, not refused. A case's
top-level keys take the place of the same keys of a sound file; a heading with `@ whole PATH` says that a case is
all of its file. Lines with `+ PATH: text` are further files of the cases below the heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
SOUND = {
    "channels/a.yaml": "channel: a\nfrom: {mllp: {port: 2601}}\nformat: hl7v2\nto: {lis: {send: {system: lis}}}\n",
    "channels/z.yaml": "channel: z\nfrom: {mllp: {port: 2699}}\nformat: hl7v2\nto: {lis: {send: {system: lis}}}\n",
    "systems.yaml": "systems: {lis: {kind: mllp, host: lis.example, port: 2575}}\n",
    "maps/m.yaml": "map: m\nfrom: hl7v2\nto: json\nmake: {id: $PID-3.1}\n",
    "maps/types/f.yaml": "fragment: f\nfrom: hl7v2\nmake: {id: $.1}\n",
    "tables/ward.csv": "# source: HIS\ncode,value\n1,ICU\n",
}
_CASE = re.compile(r"(?P<text>.*?)(?:\s+=> (?P<said>.*?))?(?:\s+& (?P<also>JL-C\d{3}(?: JL-C\d{3})*))?")


@dataclass(frozen=True)
class Case:
    code: str
    kind: str
    file: str
    files: dict[str, str]
    place: tuple[int, int]
    said: str
    also: tuple[str, ...]
    warning: bool
    source: str  # where it stands

    def write(self, site: Path) -> None:
        """Its site, also where another case's stood."""
        for path in site.rglob("*.*"):
            if str(path.relative_to(site)) not in self.files and path.is_file():
                path.unlink()
        for name, text in self.files.items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")


@dataclass
class _Heading:
    code: str
    kind: str
    file: str
    whole: bool
    warning: bool
    more: dict[str, str] = field(default_factory=dict)


def cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.txt")):
        heading: _Heading | None = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("# "):
                continue
            if line.startswith("== "):
                heading = _heading(line)
                continue
            assert heading is not None, f"{path.name}:{number}: no heading above"
            if line.startswith("+ "):
                name, _, text = line[2:].partition(": ")
                heading.more[name] = text.replace("⏎", "\n") + "\n"
                continue
            yield _case(heading, line, f"{path.name}:{number}")


def _heading(line: str) -> _Heading:
    match = re.fullmatch(r"== (JL-C\d{3}) (warning )?(.+?)(?: @ (whole )?(\S+))?", line)
    assert match, line
    return _Heading(match[1], match[3], match[5] or "channels/a.yaml", bool(match[4]), bool(match[2]))


def _case(heading: _Heading, line: str, source: str) -> Case:
    match = _CASE.fullmatch(line)
    assert match, source
    text = match["text"].replace("⏎", "\n") + "\n"
    base = {**SOUND, **heading.more}
    own = "" if heading.whole else base.get(heading.file, "")
    text = _laid_over(own, text)
    before, mark, after = text.partition("▸")
    assert (mark, after.count("▸")) == ("▸", 0), f"{source}: one ▸, where the finding points"
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    files = {**base, heading.file: before + after}
    also = tuple((match["also"] or "").split())
    said = match["said"] or ""
    return Case(heading.code, heading.kind, heading.file, files, place, said, also, heading.warning, source)


def _laid_over(own: str, said: str) -> str:
    """The sound file without the top-level keys that a case says itself, and then the case."""
    keys = {_key(line) for line in said.splitlines()}
    return "".join(line for line in own.splitlines(keepends=True) if _key(line) not in keys) + said


def _key(line: str) -> str:
    match = re.match(r"[▸]?([\w-]+):", line)
    return match[1] if match else line
