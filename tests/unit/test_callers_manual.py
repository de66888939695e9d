"""The manual of callers: its file is clean, and its examples, in Python and by curl, come in."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from caller_parts import House, jwks
from cryptography.hazmat.primitives.asymmetric import ec
from signing import KEY, sm2_key

from channels.loader import check
from config.settings import ROOT, load_settings

MANUAL = (ROOT / "endpoints" / "callers" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", MANUAL, re.DOTALL)


def block(language: str, holding: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == language and holding in text]
    return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    private, public = sm2_key(tmp_path)
    shutil.copy(private, tmp_path / "his.key")
    made.know(
        "callers:\n  kiosk: {keys: [{hmac-sm3: secret://kiosk-key}]}\n"
        f"  his: {{keys: [{{sm2: {public.name}}}]}}\n"
    )
    await made.door("/v1/patients", callers=["kiosk", "his"])
    yield made
    await made.stop()


async def ran(house: House, *command: str) -> str:
    env = {**os.environ, "KIOSK_KEY": KEY, "JINGLUO": f"http://127.0.0.1:{house.web.port}"}
    asked = await asyncio.create_subprocess_exec(
        *command, cwd=house.folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    return (await asked.communicate())[0].decode()


async def test_the_example_in_python_comes_in(house: House) -> None:
    assert await ran(house, sys.executable, "-c", block("python", "def signed")) == (
        '202 {"id":"1","state":"accepted"}\n'
    )
    assert house.engine.got[0].headers["caller.name"] == "kiosk"


@pytest.mark.parametrize(("holding", "caller"), [("-hmac", "kiosk"), ("pkeyutl", "his")])
async def test_the_examples_by_curl_come_in(house: House, holding: str, caller: str) -> None:
    said = await ran(house, "bash", "-euc", block("sh", holding))
    assert said == '{"id":"1","state":"accepted"}'
    assert house.engine.got[0].headers["caller.name"] == caller


def test_its_file_is_clean_but_for_callers_whom_no_channel_lets_in(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "callers").mkdir()
    (tmp_path / "callers.yaml").write_text(block("yaml", "callers:"), encoding="utf-8")
    sm2_key(tmp_path / "callers")[1].rename(tmp_path / "callers" / "his.pem")
    (tmp_path / "callers" / "sso.json").write_text(jwks(("1", ec.generate_private_key(ec.SECP256R1()))))
    env = {"JINGLUO_SECRET_KIOSK_KEY": KEY, "JINGLUO_SECRET_KIOSK_KEY_NEXT": KEY}
    found = check(load_settings(tmp_path, env), env)
    assert [finding.code for finding in found if finding.code != "JL-C094"] == ["JL-C097"] * 4
