"""The provinces that the proof is run in: what the gateway is told of each, and a centre that has its ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.sandbox.centre import Settings

_GUANGDONG = dict.fromkeys(("2206", "2207", "2208", "2304", "2305"), "mdtrtinfo")
_FILES = {"3301": "catalogcompin", "3302": "catalog", "3403": "deptinfo"}

# The shipped profiles whose ways differ in money or names, and two that a site would write.
CENTRES: Mapping[str, Settings] = {
    "national": Settings(),
    "hunan": Settings(infcode_as_text=True),
    "guangdong": Settings(
        fund_includes_account=True,
        refund_flag_required=True,
        input_nodes={**_GUANGDONG, **_FILES},
        renamed={"psn_part_amt": "psn_part_am"},
    ),
    "family-beside": Settings(family_inside_account=False),
    "discharge-after": Settings(discharge_first=False),
}

_OF_A_SITE = {
    "family-beside": "money: {family_beside_account: true}\n",
    "discharge-after": "discharge: after\n",
}


def write_profiles(site: Path) -> None:
    """The site's own, where the gateway looks for them."""
    folder = site / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    for name, said in _OF_A_SITE.items():
        text = f"profile: {name}\ntitle: 示例\nbased_on: national\nsure: partial\nsources: [tests]\n{said}"
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
