"""What a site says of a HIS and an e-invoice platform, and what is wrong with it before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.loader import load_site
from config.settings import load_settings

CHANNEL = """\
channel: unpaid
from: {{http: {{method: GET, path: "/v1/unpaid/{{patient_no}}"}}}}
format: json
to: {{his: {{send: {send}}}}}
reply: his
"""
SYSTEMS = """\
systems:
  his:
    kind: his
    profile: %s
    url: http://his.example.org/ws
    settings: {hospital: H1, terminal: T1, user: U1}
    sign_key: k
  einvoice: {kind: einvoice, url: "http://e.example.org/api/medical", appid: A, key: k, place_code: P1}
"""


def findings(site: Path, send: str, systems: str = SYSTEMS % "one-string") -> list[str]:
    (site / "channels").mkdir()
    (site / "channels" / "unpaid.yaml").write_text(CHANNEL.format(send=send))
    (site / "systems.yaml").write_text(systems)
    return [str(one) for one in load_site(load_settings(site, {}), {}).findings if one.severity == "error"]


@pytest.mark.parametrize("send", ["his.unpaid", "einvoice.day_totals", "{system: his, operation: fee_list}"])
def test_a_channel_names_what_it_asks(tmp_path: Path, send: str) -> None:
    assert findings(tmp_path, send) == []


@pytest.mark.parametrize(
    ("send", "said"),
    [
        ("his.unpayed", "has no operation 'unpayed'; did you mean 'unpaid'"),
        ("einvoice.issue_outpatients", "did you mean issue_outpatient?"),
    ],
)
def test_a_name_that_is_none_is_found_before_it_runs(tmp_path: Path, send: str, said: str) -> None:
    assert said in "".join(findings(tmp_path, send)).replace(": did", "; did")


def test_a_profile_s_mistakes_are_shown_where_they_stand(tmp_path: Path) -> None:
    folder = tmp_path / "profiles" / "his"
    folder.mkdir(parents=True)
    folder.joinpath("ours.yaml").write_text(
        "his: ours\nspeaks: {json: {}}\nanswer: {code: $.code}\ncodes: {}\n"
        "operations:\n  unpaid: {send: {no: $.a, day: $.day|dollar}}\n"
    )
    (found,) = findings(tmp_path, "his.unpaid", SYSTEMS % "ours")
    assert found.startswith("profiles/his/ours.yaml:6:")
    assert "'dollar'" in found


def test_what_the_profile_wants_of_its_system_is_asked_for(tmp_path: Path) -> None:
    systems = (SYSTEMS % "one-string").replace("terminal: T1", "terminl: T1").replace("    sign_key: k\n", "")
    said = "".join(findings(tmp_path, "his.unpaid", systems))
    assert "terminal is missing" in said
    assert "unknown key 'terminl'" in said
    assert "sign_key" in said
