"""The examples of the manuals of Alipay and UnionPay run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from channels.loader import load_site
from config.settings import load_settings
from tests.payment.alipay_parts import private_pem, public_pem, rsa
from tests.payment.unionpay_parts import Clock, merchant_certificate, sandbox_of

MANUALS = Path(__file__).parents[2] / "endpoints" / "payment"


@pytest.mark.parametrize("kind", ["alipay", "unionpay"])
def test_the_manuals_systems_and_channels_are_a_site_without_a_finding(kind: str, tmp_path: Path) -> None:
    text = (MANUALS / kind / "README.md").read_text("utf-8")
    systems, channels = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "channels").mkdir()
    (tmp_path / "jingluo.yaml").write_text("secrets: {file: secrets.yaml}\n")
    (tmp_path / "systems.yaml").write_text(systems)
    for number, one in enumerate(channels.split("---\n")):
        name = re.findall(r"channel: (\S+)", one)[0]
        (tmp_path / "channels" / f"{name}.yaml").write_text(one)
        assert number < 2
    known = {
        "alipay-app-key": private_pem(rsa("app")),
        "alipay-public-key": public_pem(rsa("alipay")),
        "unionpay-key": private_pem(rsa("app")),
        "unionpay-certificate": merchant_certificate(),
        "unionpay-authorities": sandbox_of(Clock()).trusted,
    }
    (tmp_path / "secrets.yaml").write_text(json.dumps(known))
    (tmp_path / "secrets.yaml").chmod(0o600)
    loaded = load_site(load_settings(tmp_path, {}))
    assert [str(one) for one in loaded.findings if one.severity == "error"] == []
    assert len(loaded.channels) == 2
