"""Whether a message's segments stand as its structure wants them.

Each part of the structure takes what it can from the segments in order. A group that is not needed is entered only
where all that it needs follows; what is then left over is tried once as the beginning of a group that lacks its
first segment, and else stands at the wrong place: it is set aside, and the rest is looked at again.
"""

from __future__ import annotations

from schemas.validation.base import MANY, MISSING, PLACE, UNKNOWN, Fault
from schemas.validation.hl7_definitions import Part

_ANY = "ANYHL7SEGMENT"
_SET_ASIDE = 10  # more than so many at a wrong place are another message


def segment_faults(structure: Part, segments: list[tuple[str, str]]) -> list[Fault]:
    """`segments` are names and paths (`OBX`, `OBX[2]`) in order, without those of a site's own (Z)."""
    faults: list[Fault] = []
    known: list[tuple[str, str]] = []
    for name, path in segments:
        if name in structure.members or _ANY in structure.members:
            known.append((name, path))
        else:
            faults.append(Fault(path, f"is no segment of {structure.name}", UNKNOWN))
    forced: set[str] = set()
    aside: list[Fault] = []
    while True:
        walk = _Walk(known, forced)
        walk.inside(structure)
        if walk.at == len(known) or len(aside) == _SET_ASIDE:
            break
        name, path = known[walk.at]
        if path not in forced:
            forced.add(path)
            continue
        del known[walk.at]
        aside.append(_misplaced(name, path, walk.missing, structure))
    gone = {fault.path.partition("[")[0] for fault in aside if fault.code == PLACE}
    return [*faults, *(fault for fault in walk.missing if fault.path not in gone), *aside]


def _misplaced(name: str, path: str, missing: list[Fault], structure: Part) -> Fault:
    most = _most(structure, name)
    if most == 1 and all(fault.path != name for fault in missing):
        return Fault(path, f"{structure.name} has only one", MANY)
    return Fault(path, f"stands where {structure.name} does not have it", PLACE)


def _most(part: Part, name: str) -> int:
    """How often a structure can have the segment; more than one is not told from any."""
    if not part.parts:
        return (1 if part.most == 1 else 2) if part.name == name else 0
    within = sum(_most(inner, name) for inner in part.parts if name in inner.members)
    return within if part.most == 1 else 2 * within


class _Walk:
    """One way through the structure. `at` is the next segment, `missing` what was needed and not there."""

    def __init__(self, segments: list[tuple[str, str]], forced: set[str]) -> None:
        self.segments = segments
        self.forced = forced
        self.at = 0
        self.missing: list[Fault] = []

    def inside(self, group: Part) -> None:
        """The parts of a group, from where the walk is."""
        if not group.choice:
            for part in group.parts:
                self._take(part)
            return
        begun = next((part for part in group.parts if self._begins(part)), None)
        if begun is not None:
            self._take(begun)
        else:
            self._lacks(" or ".join(part.name for part in group.parts if not part.parts))

    def _take(self, part: Part) -> None:
        taken = 0
        while (part.most < 0 or taken < part.most) and self._begins(part):
            began, known = self.at, len(self.missing)
            if part.parts:
                self.inside(part)
            else:
                self.at += 1
            if self.at == began:
                break
            clean = len(self.missing) == known
            if not clean and taken >= part.least and self.segments[began][1] not in self.forced:
                self.at = began
                del self.missing[known:]
                break
            taken += 1
        if taken < part.least:
            self._needs(part)

    def _begins(self, part: Part) -> bool:
        if self.at == len(self.segments):
            return False
        name, path = self.segments[self.at]
        return name in part.first or _ANY in part.first or (path in self.forced and name in part.members)

    def _needs(self, part: Part) -> None:
        """A segment, or the first that a group needs."""
        while part.parts and not part.choice:
            part = next((inner for inner in part.parts if inner.least), part.parts[0])
        names = [inner.name for inner in part.parts if not inner.parts] or [part.name]
        self._lacks(" or ".join(names))

    def _lacks(self, name: str) -> None:
        after = self.segments[self.at - 1][1] if self.at else ""
        self.missing.append(Fault(name, f"is missing after {after}" if after else "is missing", MISSING))
