"""The pharmacy's folders: price lists are dropped into one, and come out in another."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.sandbox.books import SentBook


class Folders:
    """`sent` is the book of what was dropped; a list is accepted once the engine has taken its file."""

    def __init__(self, drop: Path, out: Path) -> None:
        self.drop_dir, self.out_dir = drop, out
        self.sent = SentBook()
        drop.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)

    def drop(self, number: str, text: str) -> None:
        """Drops one list, whole: written under another name first, then renamed."""
        half = self.drop_dir / f".{number}.part"
        half.write_text(text, encoding="utf-8")
        half.rename(self.drop_dir / f"{number}.json")
        self.sent.answers[number] = ""

    def look(self) -> list[str]:
        """Marks what was taken; gives the lists still lying there."""
        lying = [number for number in self.sent.answers if (self.drop_dir / f"{number}.json").exists()]
        self.sent.answers.update((number, "") for number in lying)
        self.sent.answers.update((n, "200") for n in self.sent.answers if n not in lying)
        return lying

    @property
    def received(self) -> list[str]:
        """The numbers of the lists that arrived, by what stands in the files."""
        return [json.loads(path.read_text("utf-8"))["list"] for path in sorted(self.out_dir.glob("*.json"))]
