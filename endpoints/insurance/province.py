"""`province:` of what speaks with a centre: a shipped profile, or one of the site's `profiles/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, PrivateAttr

from config.errors import ConfigError, Problem
from schemas.nhsa.catalogue import Unknown
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import national, profile


class ProvinceOptions(BaseModel):
    """Its profile is known once `files` has looked; until then, and where it has mistakes, it is the national one."""

    province: str = Field("national", description="profile of the province: names, rules, sums")
    _of: Profile | None = PrivateAttr(None)

    @property
    def of(self) -> Profile:
        if self._of is None:
            try:
                self._of = profile(self.province)
            except Unknown:
                return national()
        return self._of

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        """The site's own profiles, where it has one of that name."""
        folder = site / "profiles"
        try:
            self._of = profile(self.province, folder)
        except Unknown as error:
            hint = f"did you mean {error.nearest}?" if error.nearest else ""
            problems.append(Problem(("province",), "JL-C014", str(error).partition(";")[0], hint))
        except ConfigError as error:
            problems.append(Problem(("province",), error.code, error.text))
        return tuple(sorted(folder.glob("*.yaml"))) if (folder / f"{self.province}.yaml").is_file() else ()
